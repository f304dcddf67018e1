"""The strategy `codedeploy`, against a CodeDeploy of the tests' own and a real SeaweedFS."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.project import PUSH, hear_ctrl_c
from plugins.lambda_target import stop_at
from plugins.s3_target import Bucket
from pushkit import (
    Busy,
    HostChanged,
    Interrupted,
    Output,
    Plan,
    Project,
    PushFailed,
    PushRefused,
    Release,
    Run,
    Target,
    TargetError,
    Warned,
)
from pushkit.events import Event
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import take
from pushkit.testing import CodeDeployServer, SeaweedFs
from pushkit_aws.appspec import AppSpecError
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.codedeploy.strategy import CodeDeployStrategy

APPSPEC = """version: 0.0
os: linux
files:
  - source: /
    destination: /srv/blog
hooks:
  ApplicationStart:
    - location: bin/start.sh
      timeout: 60
"""


def table(bucket: Bucket, service: CodeDeployServer) -> dict[str, Any]:
    """The options of a target of the group ``prod`` of the application ``blog``."""
    return {
        "application": "blog",
        "deployment_group": "prod",
        "bucket": bucket.name,
        "path_style": True,
        "region": "us-east-1",
        "endpoint_url": service.url,
        "s3_endpoint_url": bucket.server.url,
        "access_key_id": bucket.server.key,
        "secret_access_key": bucket.server.secret,
        "every": 0.05,
    }


class Pusher:
    """A project whose only target is the group ``prod`` of the application ``blog``."""

    def __init__(self, root: Path, bucket: Bucket, service: CodeDeployServer) -> None:
        self.root = root / "blog"
        self.scratch = root / "scratch"
        for directory in (self.root / "bin", self.scratch):
            directory.mkdir(parents=True)
        self.bucket = bucket
        self.options = table(bucket, service)
        self.events: list[Event] = []
        self.cancelled = threading.Event()
        self.wait = 0.0
        (self.root / "appspec.yml").write_text(APPSPEC)
        (self.root / "bin/start.sh").write_text("#!/bin/sh\n")
        (self.root / "bin/start.sh").chmod(0o755)
        (self.root / "index.html").write_text("one\n")

    def strategy(self, **options: Any) -> CodeDeployStrategy:
        table = {**self.options, **options}
        target = Target("live", "codedeploy", table)
        run = Run(
            project=Project("blog", self.root / "Pushfile", self.root, ".", (), "live", {"live": target}),
            target=target,
            emit=self.events.append,
            cancelled=self.cancelled,
            scratch=self.scratch,
            person="ann@desk",
            redact=Redactor(),
            environment={},
            wait=self.wait,
        )
        made = CodeDeployStrategy(CodeDeployOptions.of(table), run)
        made.connect()
        return made

    def plan(self, **options: Any) -> Plan:
        strategy = self.strategy(**options)
        return strategy.plan(take(strategy.run.project, strategy.run.target))

    def push(self, **options: Any) -> Release:
        strategy = self.strategy(**options)
        snapshot = take(strategy.run.project, strategy.run.target)
        return strategy.push(strategy.plan(snapshot), snapshot)

    def change(self, content: str) -> None:
        (self.root / "index.html").write_text(content)

    @property
    def moves(self) -> list[tuple[str, str]]:
        """What each server was told of."""
        return [(event.host, event.state) for event in self.events if isinstance(event, HostChanged)]


@pytest.fixture
def service() -> Iterator[CodeDeployServer]:
    with CodeDeployServer() as made:
        yield made


@pytest.fixture
def pusher(tmp_path: Path, seaweedfs: SeaweedFs, service: CodeDeployServer) -> Pusher:
    return Pusher(tmp_path, Bucket(seaweedfs, versions=True), service)


def test_a_bundle_is_sent_registered_deployed_and_followed(pusher: Pusher, service: CodeDeployServer) -> None:
    release = pusher.push()
    assert release.id == "d-000000001"
    (key,) = pusher.bucket.holds()
    with zipfile.ZipFile(io.BytesIO(pusher.bucket.read(key))) as archive:
        assert archive.namelist() == ["appspec.yml", "bin/", "bin/start.sh", "index.html"]
    head = pusher.bucket.head(key)
    (asked,) = service.asked("CreateDeployment")
    assert asked["revision"]["s3Location"] == {
        "bucket": pusher.bucket.name,
        "key": key,
        "bundleType": "zip",
        "version": head["VersionId"],
        "eTag": head["ETag"].strip('"'),
    }
    assert "by ann@desk" in asked["description"]
    assert pusher.moves.count(("i-1", "ApplicationStart succeeded")) == 1
    assert next(state for host, state in pusher.moves if host == "i-2") == "ApplicationStop succeeded"


def test_an_unchanged_bundle_is_neither_sent_nor_deployed(pusher: Pusher, service: CodeDeployServer) -> None:
    release = pusher.push()
    plan = pusher.plan()
    assert (plan.steps, plan.live) == ((), release.id)
    # The bundle of another day and zone is the same, so only a change makes another.
    for path in pusher.root.rglob("*"):
        os.utime(path, (1, 1))
    assert pusher.plan().steps == ()
    pusher.change("two\n")
    assert pusher.push().id == "d-000000002"
    assert len(pusher.bucket.holds()) == 2


@pytest.mark.parametrize("key", ["{project}.zip", "{project}.tar.gz"])
def test_the_bundle_of_another_day_time_zone_and_place_has_the_same_bytes(
    tmp_path: Path, seaweedfs: SeaweedFs, service: CodeDeployServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    bundles = []
    now = time.time
    for zone, days in (("Pacific/Auckland", 0), ("America/Los_Angeles", 2)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        monkeypatch.setattr(time, "time", lambda days=days: now() + days * 86400)
        (tmp_path / zone[:7]).mkdir()
        pusher = Pusher(tmp_path / zone[:7], Bucket(seaweedfs), service)
        for path in pusher.root.rglob("*"):
            os.utime(path, (1_700_000_000 + days * 86400,) * 2)
        pusher.push(key=key)
        (name,) = pusher.bucket.holds()
        bundles.append(pusher.bucket.read(name))
    monkeypatch.undo()
    time.tzset()
    assert bundles[0] == bundles[1]


def test_replacement_servers_are_those_with_all_the_tags_and_those_of_the_groups(
    pusher: Pusher, service: CodeDeployServer
) -> None:
    pusher.push(replacement_tags={"Role": "green", "Stage": "live"}, replacement_groups=["blog-green"])
    (asked,) = service.asked("CreateDeployment")
    assert asked["targetInstances"] == {
        "autoScalingGroups": ["blog-green"],
        "ec2TagSet": {
            "ec2TagSetList": [
                [{"Key": "Role", "Value": "green", "Type": "KEY_AND_VALUE"}],
                [{"Key": "Stage", "Value": "live", "Type": "KEY_AND_VALUE"}],
            ]
        },
    }


def test_what_is_wrong_with_the_appspec_is_told_before_anything_is_sent(
    pusher: Pusher, service: CodeDeployServer
) -> None:
    (pusher.root / "appspec.yml").write_text(
        APPSPEC.replace("os: linux", "os: beos").replace("timeout: 60", "timeout: -1")
    )
    with pytest.raises(AppSpecError) as caught:
        pusher.plan()
    assert len(caught.value.problems) == 2
    (pusher.root / "appspec.yml").write_text(APPSPEC)
    (pusher.root / "bin/start.sh").rename(pusher.root / "bin/begin.sh")
    with pytest.raises(PushRefused, match=r"ApplicationStart: bin/start\.sh"):
        pusher.plan()
    (pusher.root / "appspec.yml").unlink()
    with pytest.raises(PushRefused, match="there is no appspec"):
        pusher.plan()
    assert pusher.bucket.holds() == set()
    assert service.asked("CreateDeployment") == []


def test_a_script_that_fails_is_told_with_its_output(pusher: Pusher, service: CodeDeployServer) -> None:
    service.failing = {"i-2": ("BeforeInstall", "cannot bind\nport 80 is taken")}
    with pytest.raises(PushFailed) as caught:
        pusher.push()
    assert "bin/start.sh on i-2 (ScriptFailed)" in caught.value.message
    assert "Too few healthy instances" in caught.value.message
    lines = [event.line for event in pusher.events if isinstance(event, Output)]
    assert lines == ["cannot bind", "port 80 is taken"]


def test_the_rollback_that_a_failure_began_is_followed(pusher: Pusher, service: CodeDeployServer) -> None:
    first = pusher.push(auto_rollback=True)
    pusher.change("two\n")
    service.failing = {"i-1": ("Install", "no space")}
    with pytest.raises(PushFailed, match=r"d-000000002 failed: .*; went back"):
        pusher.push(auto_rollback=True)
    assert service.deployments[-1].info["status"] == "Succeeded"
    assert service.deployments[-1].info["revision"] == service.deployments[0].info["revision"]
    assert first.id == "d-000000001"


def test_blue_green_goes_on_when_the_new_servers_are_ready_or_waits_for_somebody(
    pusher: Pusher, service: CodeDeployServer
) -> None:
    service.blue_green = True
    pusher.push()
    assert len(service.asked("ContinueDeployment")) == 1
    pusher.change("two\n")
    stop_at(pusher, "somebody has to move the traffic")
    with pytest.raises(Interrupted):
        pusher.push(at_ready="wait", on_interrupt="leave")
    assert len(service.asked("ContinueDeployment")) == 1


def test_a_group_that_is_busy_is_waited_for_or_told_of(pusher: Pusher, service: CodeDeployServer) -> None:
    service.refusals["CreateDeployment"] = ["DeploymentLimitExceededException"]
    with pytest.raises(Busy, match="another deployment is under way"):
        pusher.push()
    service.refusals["CreateDeployment"] = ["DeploymentLimitExceededException"] * 2
    pusher.wait = 5
    assert pusher.push().id == "d-000000001"


def test_who_waits_is_told_for_which_deployment_of_whom(pusher: Pusher, service: CodeDeployServer) -> None:
    """Two pushes at once: the group takes one."""
    service.paused = True
    other = threading.Thread(target=pusher.push)
    other.start()
    end = time.monotonic() + 60
    while not service.asked("ListDeploymentTargets") and time.monotonic() < end:
        time.sleep(0.02)
    pusher.change("two\n")
    with pytest.raises(Busy, match=r"d-000000001 \(blog \w{7}, by ann@desk\); nothing was changed") as caught:
        pusher.push()
    assert "--wait" in caught.value.hint

    class Events(list[Any]):
        """Lets the first go on as soon as the second says that it waits."""

        def append(self, event: Any) -> None:
            super().append(event)
            if str(getattr(event, "message", "")).startswith("waits for d-000000001 (blog "):
                service.paused = False

    pusher.events = Events()
    pusher.wait = 60
    assert pusher.push().id == "d-000000002"
    other.join()
    assert service.deployments[0].info["status"] == "Succeeded"


def test_throttling_is_waited_out(pusher: Pusher, service: CodeDeployServer) -> None:
    service.refusals["GetDeployment"] = ["ThrottlingException"] * 2
    assert pusher.push().id == "d-000000001"


def test_rollback_deploys_the_revision_before_and_sends_nothing(pusher: Pusher, service: CodeDeployServer) -> None:
    pusher.push()
    pusher.change("two\n")
    pusher.push()
    before = pusher.bucket.holds()
    back = pusher.strategy().rollback()
    assert back.id == "d-000000003"
    revisions = [each.info["revision"] for each in service.deployments]
    assert revisions[2] == revisions[0] != revisions[1]
    assert pusher.strategy().rollback("d-000000002").id == "d-000000004"
    assert pusher.bucket.holds() == before
    with pytest.raises(PushRefused, match="there is no good deployment d-9"):
        pusher.strategy().rollback("d-9")
    status = pusher.strategy().status()
    assert (status.live, len(status.releases)) == ("d-000000004", 4)
    log = pusher.strategy().log()
    assert [entry.outcome for entry in log] == ["succeeded"] * 4


def test_nothing_to_go_back_to_is_told(pusher: Pusher) -> None:
    with pytest.raises(PushRefused) as caught:
        pusher.strategy().rollback()
    assert caught.value.message == "nothing was deployed to prod yet"
    assert caught.value.hint == "push first: there is nothing to go back to"
    pusher.push()
    with pytest.raises(PushRefused) as caught:
        pusher.strategy().rollback()
    assert caught.value.message == "there is no good deployment before the live one"
    assert caught.value.hint == "see which there are: push log"


def test_a_bundle_that_goes_after_the_plan_is_told_and_nothing_is_registered(
    pusher: Pusher, service: CodeDeployServer
) -> None:
    service.failing = {"i-1": ("Install", "no space")}
    with pytest.raises(PushFailed):
        pusher.push()
    strategy = pusher.strategy()
    snapshot = take(strategy.run.project, strategy.run.target)
    plan = strategy.plan(snapshot)
    assert [step.subject for step in plan.steps] == ["register", "prod"]
    (key,) = pusher.bucket.holds()
    pusher.bucket.client.delete_object(Bucket=pusher.bucket.name, Key=key)
    with pytest.raises(TargetError) as caught:
        strategy.push(plan, snapshot)
    assert caught.value.message == f"{key} is not in {pusher.bucket.name} any more"
    assert caught.value.hint == "push again"
    assert len(service.revisions) == 1


def test_options_reach_the_deployment(pusher: Pusher, service: CodeDeployServer) -> None:
    pusher.push(
        deployment_config="CodeDeployDefault.OneAtATime",
        file_exists="OVERWRITE",
        ignore_stop_failures=True,
        auto_rollback=True,
        alarms=["errors"],
    )
    (asked,) = service.asked("CreateDeployment")
    assert asked["deploymentConfigName"] == "CodeDeployDefault.OneAtATime"
    assert asked["fileExistsBehavior"] == "OVERWRITE"
    assert asked["ignoreApplicationStopFailures"] is True
    assert asked["autoRollbackConfiguration"]["events"] == ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
    assert asked["overrideAlarmConfiguration"] == {"enabled": True, "alarms": [{"name": "errors"}]}


def test_what_codedeploy_refuses_is_told(pusher: Pusher, service: CodeDeployServer) -> None:
    with pytest.raises(TargetError, match="DeploymentGroupDoesNotExist"):
        pusher.strategy(deployment_group="none")
    with pytest.raises(TargetError, match="ApplicationDoesNotExist"):
        pusher.strategy(application="none")
    service.refusals["RegisterApplicationRevision"] = ["InvalidRevisionException"]
    with pytest.raises(TargetError, match="InvalidRevision"):
        pusher.push()


def test_the_command_line_follows_a_deployment_and_ctrl_c_stops_it(
    pusher: Pusher, service: CodeDeployServer, tmp_path: Path
) -> None:
    lines = [f"{key} = {json.dumps(value)}" for key, value in pusher.options.items()]
    (pusher.root / "Pushfile").write_text("\n".join(["[target.live]", 'strategy = "codedeploy"', *lines]))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PUSH, *arguments], cwd=pusher.root, env=environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c,  # noqa: PLW1509
        )  # fmt: skip

    out, err = start().communicate(timeout=60)
    assert out == "d-000000001\n", err
    assert "live: i-1 ApplicationStart succeeded (d-000000001)" in err
    pusher.change("two\n")
    service.paused = True
    process = start("-v")
    end = time.monotonic() + 30
    while not service.asked("CreateDeployment")[1:]:
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "d-000000002 was asked to stop" in err
    assert service.deployments[1].info["status"] == "Stopped"
    assert pusher.bucket.server.secret not in err


def test_leaving_on_ctrl_c_says_that_it_goes_on(pusher: Pusher, service: CodeDeployServer) -> None:
    service.paused = True

    def stop() -> None:
        end = time.monotonic() + 30
        while not service.asked("ListDeploymentTargets") and time.monotonic() < end:
            time.sleep(0.02)
        pusher.cancelled.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Interrupted):
        pusher.push(on_interrupt="leave")
    stopper.join()
    assert any(isinstance(event, Warned) and "goes on" in event.message for event in pusher.events)
    assert service.asked("StopDeployment") == []
