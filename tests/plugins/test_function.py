"""The platform `lambda`: packages, versions, and the traffic of an alias, against moto's Lambda."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cli.project import PUSH
from plugins.lambda_target import KEYS, Lambda, Pusher, client, stop_at
from pushkit import Action, Busy, Interrupted, Output, PushFailed, PushRefused, TargetError
from pushkit.testing import CodeDeployServer, HttpsServer, Reply
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.function.alias import Alias, described

GROUP = {"application": "blog", "deployment_group": "prod"}


@pytest.fixture
def service(moto: str) -> Iterator[CodeDeployServer]:
    with CodeDeployServer(platform="Lambda", rest=moto) as made:
        yield made


@pytest.fixture
def function(moto: str, service: CodeDeployServer) -> Lambda:
    made = Lambda(moto)
    service.shifted = made.shift
    return made


@pytest.fixture
def pusher(tmp_path: Path, service: CodeDeployServer, function: Lambda) -> Iterator[Pusher]:
    made = Pusher(tmp_path, service, platform="lambda", function=function.name, pause=0)
    made.write("app.py", "def handler(event, context): return 1\n")
    yield made
    made.close()


def change(pusher: Pusher, number: int) -> None:
    pusher.write("app.py", f"def handler(event, context): return {number}\n")


def by_group(pusher: Pusher, **options: Any) -> None:
    """Let CodeDeploy shift the traffic."""
    del pusher.options["pause"]
    pusher.options |= {**GROUP, **options}


def twice(pusher: Pusher, **options: Any) -> None:
    """Push version 1, and change the code."""
    pusher.push(**options)
    change(pusher, 2)


# ---- package, code, version, alias


def test_the_first_push_sends_the_code_publishes_it_and_makes_the_alias(pusher: Pusher, function: Lambda) -> None:
    plan = pusher.plan()
    assert [(step.action, step.subject) for step in plan.steps] == [
        (Action.REPLACE, function.name),
        (Action.RUN, "publish"),
        (Action.SWITCH, f"{function.name}:live"),
    ]
    assert function.alias() == ("", {})
    release = pusher.push()
    assert (release.id, function.alias()) == ("1", ("1", {}))
    (package,) = pusher.scratch.glob("*.package")
    assert function.digest("1") == base64.b64encode(hashlib.sha256(package.read_bytes()).digest()).decode()
    (version,) = pusher.strategy().log()
    assert (version.release, version.outcome) == ("1", "live")
    assert version.why.endswith(", by ann@desk")


def test_the_same_files_are_the_same_package_and_there_is_nothing_to_do(pusher: Pusher, function: Lambda) -> None:
    pusher.push()
    os.utime(pusher.root / "app.py", (1, 1))
    assert (pusher.plan().steps, pusher.plan().live) == ((), "1")
    change(pusher, 2)
    assert pusher.push().id == "2"
    assert function.alias() == ("2", {})


def test_code_that_is_there_already_is_not_sent_again(pusher: Pusher, function: Lambda) -> None:
    """As a push leaves it whose traffic was not shifted: with the code, without the version that is live."""
    pusher.push()
    change(pusher, 2)
    pusher.push()
    function.client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    assert [step.action for step in pusher.plan().steps] == [Action.RUN, Action.SWITCH]


def test_a_package_may_go_through_a_bucket(pusher: Pusher, function: Lambda, moto: str) -> None:
    store = client("s3", moto)
    store.create_bucket(Bucket=f"packages-{function.name}")
    store.put_bucket_versioning(Bucket=f"packages-{function.name}", VersioningConfiguration={"Status": "Enabled"})
    options = {"bucket": f"packages-{function.name}", "s3_endpoint_url": moto, "path_style": True}
    plan = pusher.plan(**options)
    assert [step.action for step in plan.steps] == [Action.ADD, Action.REPLACE, Action.RUN, Action.SWITCH]
    pusher.push(**options)
    (there,) = store.list_objects_v2(Bucket=options["bucket"])["Contents"]
    content = store.get_object(Bucket=options["bucket"], Key=there["Key"])["Body"].read()
    assert function.digest("1") == base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert pusher.plan(**options).steps == ()


def test_what_cannot_be_pushed_is_told_before_anything_is_sent(
    pusher: Pusher, function: Lambda, service: CodeDeployServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TargetError, match="there is no function none"):
        pusher.strategy(function="none")
    monkeypatch.setattr("pushkit_aws.function.package.MOST_SENT", 10)
    with pytest.raises(PushRefused, match="a request may bring 10") as caught:
        pusher.plan()
    assert "bucket" in caught.value.hint
    pusher.write("secret.py", "x", 0o600)
    monkeypatch.undo()
    assert pusher.plan().warnings == ("the function cannot read secret.py: chmod -R o+rX",)
    service.instead = lambda method, path, body: (200, {"PackageType": "Image"}) if "/configuration" in path else None
    with pytest.raises(PushRefused, match="container image"):
        pusher.plan()
    service.instead = lambda method, path, body: None
    assert function.alias() == ("", {})


def test_another_update_is_waited_for_or_told_of(pusher: Pusher, service: CodeDeployServer) -> None:
    answers = [(409, {"__type": "ResourceConflictException", "Message": "An update is in progress."})] * 3

    def instead(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        return answers.pop() if path.endswith("/code") and answers else None

    service.instead = instead
    with pytest.raises(Busy, match=r"another update of hello-.* is under way"):
        pusher.push()
    pusher.wait = 5
    assert pusher.push().id == "1"
    assert any("waits for another update" in each for each in pusher.said)


def test_code_that_lambda_is_still_taking_is_waited_for_and_a_refusal_told(
    pusher: Pusher, service: CodeDeployServer, function: Lambda
) -> None:
    pusher.push()
    change(pusher, 2)
    states = ["InProgress", "InProgress"]
    sent = threading.Event()

    def instead(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        if path.endswith("/code"):
            sent.set()
        if "/configuration" in path and sent.is_set() and states:
            return 200, {"LastUpdateStatus": states.pop(), "LastUpdateStatusReason": "the image is too large"}
        return None

    service.instead = instead
    assert pusher.push().id == "2"
    assert states == []
    change(pusher, 3)
    states.append("Failed")
    sent.clear()
    with pytest.raises(TargetError, match=r"could not take the code of hello-\w+: the image is too large"):
        pusher.push()
    assert function.alias() == ("2", {})


def test_code_that_lambda_does_not_take_in_time_is_told(
    pusher: Pusher, service: CodeDeployServer, function: Lambda
) -> None:
    twice(pusher)
    sent = threading.Event()

    def instead(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        if path.endswith("/code"):
            sent.set()
        return (200, {"LastUpdateStatus": "InProgress"}) if "/configuration" in path and sent.is_set() else None

    service.instead = instead
    with pytest.raises(TargetError) as caught:
        pusher.push(within=0.1)
    assert caught.value.message == f"Lambda has not taken the code of {function.name} after 0.1 seconds: InProgress"
    assert "within = " in caught.value.hint
    assert function.alias() == ("1", {})


def test_a_package_that_goes_from_its_bucket_after_the_plan_is_told(
    pusher: Pusher, function: Lambda, moto: str
) -> None:
    store, name = client("s3", moto), f"packages-{function.name}"
    store.create_bucket(Bucket=name)
    options = {"bucket": name, "s3_endpoint_url": moto, "path_style": True}
    pusher.push(**options)
    (key,) = (each["Key"] for each in store.list_objects_v2(Bucket=name)["Contents"])
    change(pusher, 2)
    pusher.push()
    change(pusher, 1)
    strategy = pusher.strategy(**options)
    snapshot = pusher.snapshot(strategy)
    plan = strategy.plan(snapshot)
    assert [step.action for step in plan.steps] == [Action.REPLACE, Action.RUN, Action.SWITCH]
    store.delete_object(Bucket=name, Key=key)
    with pytest.raises(TargetError) as caught:
        strategy.push(plan, snapshot)
    assert (caught.value.message, caught.value.hint) == (f"{key} is not in {name} any more", "push again")
    assert function.alias() == ("2", {})


# ---- by CodeDeploy


def test_codedeploy_shifts_the_traffic_and_is_followed(
    pusher: Pusher, function: Lambda, service: CodeDeployServer
) -> None:
    hooks = {"BeforeAllowTraffic": "look", "AfterAllowTraffic": "look-again"}
    config = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    by_group(pusher, hooks=hooks, deployment_config=config, auto_rollback=True)
    twice(pusher)
    assert service.asked("CreateDeployment") == [], "there is no traffic to shift when there is no alias"
    weights = []

    def shifted(properties: Any, share: float) -> None:
        function.shift(properties, share)
        weights.append(function.alias())

    service.shifted = shifted
    assert pusher.push().id == "2"
    assert weights == [("1", {"2": 0.1}), ("2", {})]
    (asked,) = service.asked("CreateDeployment")
    content = asked["revision"]["appSpecContent"]
    assert hashlib.sha256(content["content"].encode()).hexdigest() == content["sha256"]
    assert json.loads(content["content"]) == {
        "version": 0.0,
        "Resources": [
            {
                "Function": {
                    "Type": "AWS::Lambda::Function",
                    "Properties": {
                        "Name": function.name,
                        "Alias": "live",
                        "CurrentVersion": "1",
                        "TargetVersion": "2",
                    },
                }
            }
        ],
        "Hooks": [{"BeforeAllowTraffic": "look"}, {"AfterAllowTraffic": "look-again"}],
    }
    assert (asked["deploymentConfigName"], asked["autoRollbackConfiguration"]["enabled"]) == (config, True)
    assert pusher.moves == [
        "BeforeAllowTraffic succeeded",
        "10% on version 2",
        "100% on version 2",
        "AllowTraffic succeeded",
        "AfterAllowTraffic succeeded",
    ]


@pytest.mark.parametrize(
    ("config", "shares"),
    [
        ("CodeDeployDefault.LambdaAllAtOnce", (100,)),
        ("CodeDeployDefault.LambdaLinear10PercentEvery1Minute", tuple(range(10, 101, 10))),
        ("OurOwn.Linear33Percent", (33, 66, 100)),
    ],
)
def test_however_the_group_shifts_the_traffic_each_share_is_told(
    pusher: Pusher, function: Lambda, service: CodeDeployServer, config: str, shares: tuple[int, ...]
) -> None:
    by_group(pusher, deployment_config=config)
    twice(pusher)
    service.shifted, service.shares = function.shift, shares
    assert pusher.push().id == "2"
    assert service.asked("CreateDeployment")[0]["deploymentConfigName"] == config
    told = [each for each in pusher.moves if "%" in each]
    assert told == [f"{share}% on version 2" for share in shares]
    assert function.alias() == ("2", {})


@pytest.mark.parametrize(
    "how", [("BeforeAllowTraffic", False, "1"), ("AfterAllowTraffic", True, "1"), ("AfterAllowTraffic", False, "2")]
)
def test_a_hook_that_fails_is_told_with_the_version_that_is_live_then(
    pusher: Pusher, function: Lambda, service: CodeDeployServer, how: tuple[str, bool, str]
) -> None:
    event, rollback, live = how
    by_group(pusher, auto_rollback=rollback)
    twice(pusher)
    service.failing = {f"{function.name}:live": (event, "")}
    with pytest.raises(PushFailed, match=rf"validation functions failed.*; version {live} is live$") as caught:
        pusher.push()
    assert ("; went back; " in caught.value.message) == rollback
    assert function.alias() == (live, {})
    service.failing = {}
    if live == "1":
        assert [step.action for step in pusher.plan().steps] == [Action.RUN, Action.SWITCH]
        assert pusher.push().id == "2"
        assert function.alias() == ("2", {})
        assert pusher.strategy().rollback().id == "1", "what failed was never live"


def test_ctrl_c_stops_the_deployment_and_the_traffic_goes_back(
    pusher: Pusher, function: Lambda, service: CodeDeployServer
) -> None:
    by_group(pusher)
    twice(pusher)
    service.shares = (10, 20, 30, 100)

    def shifted(properties: Any, share: float) -> None:
        function.shift(properties, share)
        if share == 20:
            pusher.cancelled.set()

    service.shifted = shifted
    with pytest.raises(Interrupted):
        pusher.push()
    assert [each.info["status"] for each in service.deployments] == ["Stopped", "Succeeded"]
    assert function.alias() == ("1", {})
    pusher.cancelled.clear()
    assert [each.id for each in pusher.strategy().status().releases] == ["1"]


def test_rollback_by_codedeploy_is_at_once_and_goes_back_each_time(
    pusher: Pusher, function: Lambda, service: CodeDeployServer
) -> None:
    by_group(pusher)
    for number in (1, 2, 3):
        change(pusher, number)
        pusher.push()
    status = pusher.strategy().status()
    assert (status.live, [each.id for each in status.releases]) == ("3", ["1", "2", "3"])
    assert pusher.strategy().rollback().id == "2"
    assert service.asked("CreateDeployment")[-1]["deploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"
    assert function.alias() == ("2", {})
    assert pusher.strategy().rollback().id == "1"
    assert function.alias() == ("1", {})
    with pytest.raises(PushRefused, match="which version was live before 1"):
        pusher.strategy().rollback()
    assert pusher.strategy().rollback("3").id == "3"
    assert function.alias() == ("3", {})
    with pytest.raises(PushRefused, match="there is no version 9"):
        pusher.strategy().rollback("9")
    log = pusher.strategy().log()
    assert [(entry.release, entry.previous) for entry in log] == [
        *(("1", ""), ("2", "1"), ("3", "2")),
        *(("2", "3"), ("1", "2"), ("3", "1")),
    ]
    assert [entry.outcome for entry in log] == ["live at once", *["succeeded"] * 5]


def test_a_group_of_another_platform_is_told(pusher: Pusher, moto: str) -> None:
    by_group(pusher)
    with CodeDeployServer(rest=moto) as service, pytest.raises(TargetError, match="the platform Server") as caught:
        pusher.strategy(endpoint_url=service.url)
    assert caught.value.hint == 'platform = "server"'


# ---- share by share


def test_shares_go_one_after_the_other_with_a_check_after_each(
    pusher: Pusher, function: Lambda, tmp_path: Path
) -> None:
    twice(pusher)
    pusher.environment = {"PATH": os.environ["PATH"]}
    pusher.write("check", f'#!/bin/sh\necho "$PUSH_TARGET $*" >>{tmp_path}/asked\necho fine\n', 0o755)
    check = {"command": "./check {function}:{alias} {version} {share}"}
    assert pusher.plan(shift=["10%", "50%"], check=check).steps[-1].reason == "from version 1, 10%, 50%, all"
    pusher.push(shift=["10%", "50%"], check=check)
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"live {function.name}:live 2 {share}" for share in (10, 50, 100)
    ]
    assert pusher.moves == ["10% on version 2", "50% on version 2", "100% on version 2"]
    assert [event.line for event in pusher.events if isinstance(event, Output)] == ["fine"] * 3
    assert function.alias() == ("2", {})


def test_the_alias_has_the_share_while_it_is_checked(
    pusher: Pusher, function: Lambda, service: CodeDeployServer
) -> None:
    twice(pusher)
    seen = []
    with HttpsServer(host="127.0.0.1") as web:
        web.reply("GET", "/healthz", *[Reply(200)] * 3)

        def instead(method: str, path: str, body: bytes) -> None:
            if method == "PUT" and "/aliases/" in path:
                seen.append(json.loads(body)["RoutingConfig"]["AdditionalVersionWeights"])

        service.instead = instead
        pusher.push(shift=["2.5%", "40%"], check={"url": f"{web.url}/healthz"})
        assert len(web.received) == 3
    assert seen == [{"2": 0.025}, {"2": 0.4}, {}]


@pytest.mark.parametrize("at", [10, 50, 100])
def test_a_check_that_fails_leaves_nothing_on_the_new_version(pusher: Pusher, function: Lambda, at: int) -> None:
    twice(pusher)
    pusher.environment = {"PATH": os.environ["PATH"]}
    pusher.write("check", f'#!/bin/sh\n[ "$PUSH_SHARE" != {at} ] || {{ echo no answer; exit 3; }}\n', 0o755)
    with pytest.raises(PushFailed) as caught:
        pusher.push(shift=["10%", "50%"], check={"command": "./check"})
    assert caught.value.message == "`./check` ended with exit code 3; all the traffic is back on version 1"
    assert function.alias() == ("1", {})
    assert pusher.moves[-1] == "100% on version 1"
    log = pusher.strategy().log()
    assert [entry.outcome for entry in log] == ["live", "published"]
    assert [event.line for event in pusher.events if isinstance(event, Output)] == ["no answer"]


def test_a_url_that_fails_is_told(pusher: Pusher, function: Lambda) -> None:
    twice(pusher)
    with HttpsServer(host="127.0.0.1") as web:
        web.reply("GET", "/", Reply(503))
        with pytest.raises(PushFailed, match=r"answers with status 503; all the traffic is back on version 1"):
            pusher.push(shift=["10%"], check={"url": f"{web.url}/"})
    with pytest.raises(PushFailed, match="does not answer"):
        pusher.push(shift=["10%"], check={"url": "http://127.0.0.1:1/"})
    assert function.alias() == ("1", {})


def test_an_alarm_that_goes_off_while_a_share_is_looked_at_ends_it(pusher: Pusher, function: Lambda, moto: str) -> None:
    twice(pusher)
    watch = client("cloudwatch", moto)
    watch.put_metric_alarm(
        AlarmName=f"errors-{function.name}", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1,
        MetricName="Errors", Namespace="AWS/Lambda", Period=60, Statistic="Sum", Threshold=0,
    )  # fmt: skip

    def state(value: str) -> None:
        watch.set_alarm_state(AlarmName=f"errors-{function.name}", StateValue=value, StateReason="5 errors")

    state("OK")
    check = {"alarms": [f"errors-{function.name}"]}
    assert [finding.message for finding in pusher.strategy(check=check).check()][-1] == "no alarm is on"
    emit = pusher.events.append

    class Events(list[Any]):
        """Sets the alarm off as soon as the share is there."""

        def append(self, event: Any) -> None:
            emit(event)
            if getattr(event, "state", "") == "10% on version 2":
                state("ALARM")

    pusher.events = Events()
    with pytest.raises(PushFailed, match=r"the alarm errors-hello-\w+ went off: 5 errors; all the traffic is back"):
        pusher.push(shift=["10%"], check=check, pause=3600)
    assert function.alias() == ("1", {})
    assert "went off" in pusher.strategy(check=check).check()[-1].message
    with pytest.raises(PushFailed, match="there is no alarm none"):
        pusher.push(shift=["10%"], check={"alarms": ["none"]})


def test_a_command_that_runs_over_its_time_is_a_failure(pusher: Pusher, function: Lambda) -> None:
    twice(pusher)
    pusher.environment = {"PATH": os.environ["PATH"]}
    with pytest.raises(PushFailed, match="all the traffic is back on version 1"):
        pusher.push(shift=["10%"], check={"command": "sleep 60", "timeout": 0.1})
    assert function.alias() == ("1", {})


def test_ctrl_c_gives_the_traffic_back(pusher: Pusher, function: Lambda) -> None:
    twice(pusher)
    stop_at(pusher, "10% on version 2")
    with pytest.raises(Interrupted):
        pusher.push(shift=["10%"], pause=3600)
    assert function.alias() == ("1", {})
    assert "all the traffic is back on version 1" in pusher.said


def test_what_a_push_leaves_of_the_traffic_is_told_and_given_back_or_taken_up(pusher: Pusher, function: Lambda) -> None:
    twice(pusher)
    stop_at(pusher, "10% on version 2")
    with pytest.raises(Interrupted):
        pusher.push(shift=["10%"], pause=3600, on_interrupt="leave")
    pusher.cancelled.clear()
    pusher.events = []
    assert function.alias() == ("1", {"2": 0.1})
    with pytest.raises(PushRefused, match=r"version 2 has 10% of the traffic: another push is under way"):
        pusher.plan()
    assert pusher.strategy().status().who.endswith("version 2 has 10% of the traffic")
    assert pusher.strategy().rollback().id == "1"
    assert function.alias() == ("1", {})
    function.client.update_alias(
        FunctionName=function.name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}}
    )
    pusher.repair = True
    assert pusher.push().id == "2"
    assert function.alias() == ("2", {})


def test_rollback_is_to_what_was_live_and_never_to_what_failed(pusher: Pusher, function: Lambda) -> None:
    pusher.environment = {"PATH": os.environ["PATH"]}
    for number, well in ((1, True), (2, True), (3, False), (4, True)):
        change(pusher, number)
        with suppress(PushFailed):
            pusher.push(check={"command": "true" if well else "false"})
    assert function.alias() == ("4", {})
    assert [entry.outcome for entry in pusher.strategy().log()] == ["was live", "was live", "published", "live"]
    assert pusher.strategy().rollback().id == "2"
    assert pusher.strategy().rollback().id == "1"
    with pytest.raises(PushRefused, match="which version was live before 1"):
        pusher.strategy().rollback()
    assert pusher.strategy().rollback("4").id == "4"
    assert pusher.strategy().status().who == "ann@desk"


def test_nothing_is_rolled_back_before_the_first_push_or_under_a_deployment(pusher: Pusher, function: Lambda) -> None:
    with pytest.raises(PushRefused) as refused:
        pusher.strategy().rollback()
    assert refused.value.message == f"{function.name} has no alias live yet"
    assert refused.value.hint == "push makes it"
    twice(pusher)
    pusher.push()
    by_group(pusher)
    weights = {"AdditionalVersionWeights": {"1": 0.25}}
    function.client.update_alias(FunctionName=function.name, Name="live", RoutingConfig=weights)
    with pytest.raises(Busy) as busy:
        pusher.strategy().rollback()
    assert busy.value.message == "a deployment is under way: version 1 has 25% of the traffic"
    assert busy.value.hint == "wait for it, or stop it in CodeDeploy"
    assert function.alias() == ("2", {"1": 0.25})


def test_an_alias_that_somebody_moved_after_the_plan_is_left_there(pusher: Pusher, function: Lambda) -> None:
    twice(pusher)
    pusher.push()
    change(pusher, 3)
    strategy = pusher.strategy()
    snapshot = pusher.snapshot(strategy)
    plan = strategy.plan(snapshot)
    function.client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    with pytest.raises(PushFailed) as caught:
        strategy.push(plan, snapshot)
    assert caught.value.message == "the alias went from version 2 to 1 meanwhile, and is left there"
    assert caught.value.hint == "see what is live: push status"
    assert function.alias() == ("1", {})


@pytest.mark.parametrize("when", ["first", "second"])
def test_who_changes_the_alias_meanwhile_is_not_overruled(
    pusher: Pusher, function: Lambda, service: CodeDeployServer, when: str
) -> None:
    """The refusal is AWS's, which moto does not know."""
    twice(pusher)
    puts = []

    def instead(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        if method == "PUT" and "/aliases/" in path:
            puts.append(json.loads(body))
            if len(puts) > (when == "second"):
                return 412, {"__type": "PreconditionFailedException", "Message": "The RevisionId provided"}
        return None

    service.instead = instead
    with pytest.raises(PushFailed) as caught:
        pusher.push(shift=["10%"])
    assert caught.value.message.startswith("somebody else changed the alias live meanwhile; ")
    assert all(each["RevisionId"] for each in puts)
    expected = "version 1 is live, as before" if when == "first" else "could not be taken back: somebody else"
    assert expected in caught.value.message
    assert function.alias() == ("1", {} if when == "first" else {"2": 0.1})


@pytest.mark.parametrize("reached", [True, False])
def test_a_change_whose_answer_is_lost_is_looked_for_and_taken_back(
    pusher: Pusher, function: Lambda, service: CodeDeployServer, reached: bool
) -> None:
    twice(pusher)

    def instead(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        if method != "PUT" or "/aliases/" not in path or "0.1" not in body.decode():
            return None
        if reached:
            function.client.update_alias(FunctionName=function.name, Name="live", **routing(body))
        return 400, {"__type": "OddException", "Message": "who knows"}

    service.instead = instead
    with pytest.raises(PushFailed, match=r"OddException who knows; (.*)$") as caught:
        pusher.push(shift=["10%"])
    assert caught.value.message.endswith("all the traffic is back on version 1" if reached else "as before")
    assert function.alias() == ("1", {})


def routing(body: bytes) -> dict[str, Any]:
    """What a request to update an alias says of the traffic."""
    return {"RoutingConfig": json.loads(body)["RoutingConfig"]}


def test_a_version_that_cannot_be_published_leaves_what_is_live(
    pusher: Pusher, function: Lambda, service: CodeDeployServer
) -> None:
    twice(pusher)
    refusal = {"__type": "CodeVerificationFailedException", "Message": "The code signature is not right"}
    service.instead = lambda method, path, body: (400, refusal) if path.endswith("/versions") else None
    with pytest.raises(PushFailed, match=r"CodeVerificationFailed.*version 1 is live, as before"):
        pusher.push()
    assert function.alias() == ("1", {})


# ---- as values


def test_an_alias_remembers_what_was_live_within_its_description() -> None:
    live = Alias("12", {}, "x" * 100 + "; before: " + ", ".join(map(str, range(11, 1, -1))), "r")
    assert live.before == tuple(map(str, range(11, 1, -1)))
    words = described("y" * 400, live, "13")
    assert (len(words), words[215:]) == (256, "; before: 12, 11, 10, 9, 8, 7, 6, 5, 4, 3")
    assert Alias("13", {}, words, "r").before == ("12", *map(str, range(11, 2, -1)))
    assert Alias("9", {}, described("back", live, "9"), "r").before == tuple(map(str, range(8, 1, -1)))
    assert Alias("1", {}, "somebody's own words; before: noon", "r").before == ()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "`function` is missing"),
        ({"function": "f", "shift": ["10%", "5%"]}, "larger than the one before"),
        ({"function": "f", "shift": ["100%"]}, "no share of the traffic"),
        ({"function": "f", "shift": ["0%"]}, "no share of the traffic"),
        ({"function": "f", "shift": ["a tenth"]}, "no share of the traffic"),
        ({"function": "f", **GROUP, "shift": ["10%"]}, "`shift`: CodeDeploy shifts the traffic"),
        ({"function": "f", "alarms": ["a"]}, "`alarms`: needs `application`"),
        ({"function": "f", "application": "a"}, "belong together"),
        ({"function": "f", **GROUP, "hooks": {"BeforeInstall": "f"}}, "BeforeInstall is none of BeforeAllowTraffic"),
        ({"function": "f", "file_exists": "RETAIN"}, '`file_exists` is for `platform = "server"`'),
        ({"function": "f", "task_definition": "t.json"}, '`task_definition` is for `platform = "ecs"`'),
        ({"function": "f", "alias": "7"}, "alias"),
        ({"function": "f", "check": {}}, "expected `command`, `url` or `alarms`"),
        ({"function": "f", "check": {"url": "ftp://x"}}, "http:// or https://"),
        ({"function": "f", "check": {"command": "'"}}, "cannot be split"),
        ({"function": "f", "bucket": "No Bucket"}, "name of a bucket"),
    ],
)
def test_options_that_cannot_be_are_told(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CodeDeployOptions.of({"platform": "lambda", **table})


# ---- the command line


def test_the_command_line_pushes_tells_and_goes_back(
    pusher: Pusher, function: Lambda, service: CodeDeployServer, tmp_path: Path
) -> None:
    by_group(pusher)
    lines = [f"{key} = {json.dumps(value)}" for key, value in pusher.options.items()]
    pusher.write("Pushfile", "\n".join(["[target.live]", 'strategy = "codedeploy"', *lines]))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}

    def push(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PUSH, *arguments], cwd=pusher.root, env=environment, capture_output=True, text=True, check=False
        )

    twice(pusher)
    done = push()
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    assert f"live: {function.name}:live 10% on version 2 (d-000000001)" in done.stderr
    assert "pushed 2 to live: 1 file" in done.stderr
    assert "2" in push("status").stdout
    done = push("rollback")
    assert (done.returncode, function.alias()) == (0, ("1", {})), done.stderr
    assert KEYS["secret_access_key"] not in done.stderr
