"""The policies that `push codedeploy iam` prints are all that a push needs, and each right of them is needed.

S3 is a real SeaweedFS that enforces policies; the rest is what the tests' own CodeDeploy lets through.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import get_session

from cli.project import PUSH
from plugins.lambda_target import Lambda, Pusher, client, stop_at
from plugins.s3_gate import S3Gate
from plugins.s3_target import Bucket
from plugins.s3_target import Pusher as SitePusher
from plugins.test_codedeploy import APPSPEC
from pushkit import (
    Action,
    Interrupted,
    Output,
    Project,
    PushFailed,
    PushkitError,
    PushRefused,
    StepFinished,
    Target,
    TargetError,
)
from pushkit.testing import CodeDeployServer, SeaweedFs
from pushkit_aws.clients import Clients
from pushkit_aws.iam import Facts
from pushkit_aws.iam.command import facts_of

ACCOUNT = "123456789012"
Policy = dict[str, Any]


def printed(pusher: Pusher | SitePusher, strategy: str = "codedeploy") -> Policy:
    """The policy of who pushes, as the command prints it for the target."""
    lines = [f"{key} = {toml(value)}" for key, value in pusher.options.items()]
    pushfile = "\n".join(['[project]\nname = "blog"', "[target.live]", f'strategy = "{strategy}"', *lines])
    (pusher.scratch / "Pushfile").write_text(pushfile)
    for path in pusher.root.glob("*.json"):
        (pusher.scratch / path.name).write_bytes(path.read_bytes())
    line = [PUSH, "codedeploy", "iam", "--account", ACCOUNT]
    done = subprocess.run(line, cwd=pusher.scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    policy: Policy = json.loads(done.stdout)["pusher"]["policy"]
    return policy


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def facts_with(root: Path, family: str, more: Mapping[str, str]) -> Facts:
    """What a policy would be written for, of a service with a task definition."""
    (root / "task.json").write_text(json.dumps({"family": family, **more}))
    target = Target("live", "codedeploy", {"platform": "ecs", "task_definition": "task.json"})
    project = Project("blog", root / "Pushfile", root, ".", (), "live", {"live": target})
    return facts_of(project, target, account=ACCOUNT, region="us-east-1", partition="aws", kms_key="")


def rights(policy: Policy) -> list[str]:
    return [action for statement in policy["Statement"] for action in statement["Action"]]


def without(policy: Policy, action: str) -> Policy:
    statements = [
        {**each, "Action": [name for name in each["Action"] if name != action]} for each in policy["Statement"]
    ]
    return {**policy, "Statement": [each for each in statements if each["Action"]]}


def allows(policy: Policy) -> Callable[[str, str], bool]:
    """What IAM would say of an action and a resource: a star in a policy stands for any text."""

    def pattern(text: str) -> re.Pattern[str]:
        return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)

    return lambda action, resource: any(
        action in each["Action"] and any(pattern(given).fullmatch(resource) for given in each["Resource"])
        for each in policy["Statement"]
    )


# ---- S3


class Ci:
    """A user of SeaweedFS with a policy of its own, and a bucket with versions."""

    def __init__(self, server: SeaweedFs) -> None:
        self.bucket = Bucket(server, versions=True)
        self.name = f"ci-{secrets.token_hex(4)}"
        self.iam: Any = get_session().create_client(
            "iam", region_name="us-east-1", endpoint_url=server.url, aws_access_key_id=server.key,
            aws_secret_access_key=server.secret, config=Config(retries={"max_attempts": 0}),
        )  # fmt: skip
        self.iam.create_user(UserName=self.name)
        made = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        self.keys = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}

    def may(self, policy: Policy) -> None:
        """Give it a policy, of which S3's part counts here."""
        statements = [each for each in policy["Statement"] if each["Action"][0].startswith("s3:")]
        # SeaweedFS takes one resource a statement, and no empty policy.
        document = {**policy, "Statement": statements or [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
        self.iam.put_user_policy(UserName=self.name, PolicyName="push", PolicyDocument=json.dumps(document))


@pytest.fixture
def ci(seaweedfs: SeaweedFs) -> Ci:
    return Ci(seaweedfs)


@pytest.fixture
def gate(seaweedfs: SeaweedFs) -> Iterator[S3Gate]:
    with S3Gate(seaweedfs) as made:
        yield made


def lists(policy: Policy, bucket: Bucket) -> bool:
    """Whether a policy lets its user list the bucket."""
    return allows(policy)("s3:ListBucket", f"arn:aws:s3:::{bucket.name}")


@pytest.fixture
def server_pusher(tmp_path: Path, ci: Ci) -> Iterator[tuple[Pusher, CodeDeployServer]]:
    with CodeDeployServer() as service:
        made = Pusher(
            tmp_path, service, application="blog", deployment_group="prod", bucket=ci.bucket.name, path_style=True,
            s3_endpoint_url=ci.bucket.server.url, key="{project}/{digest}.tar.gz", **ci.keys,
        )  # fmt: skip
        made.write("appspec.yml", APPSPEC)
        (made.root / "bin").mkdir()
        made.write("bin/start.sh", "#!/bin/sh\n", 0o755)
        yield made, service
        made.close()


def test_the_printed_rights_in_the_bucket_are_enough_and_each_is_needed(
    server_pusher: tuple[Pusher, CodeDeployServer], ci: Ci, gate: S3Gate
) -> None:
    pusher, _service = server_pusher
    pusher.options["s3_endpoint_url"] = gate.url
    policy = printed(pusher)
    assert {each for each in rights(policy) if each.startswith("s3:")} == {
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    }
    ci.may(policy)
    assert pusher.push().id == "d-000000001"
    assert pusher.plan().steps == ()
    for lost in ("s3:GetObject", "s3:PutObject"):
        pusher.write("new.html", lost)
        ci.may(without(policy, lost))
        with pytest.raises(TargetError) as caught:
            pusher.push()
        assert caught.value.message.startswith(f"s3 denies {lost} on arn:aws:s3:::{ci.bucket.name}/blog/")
        assert caught.value.hint.startswith(f"grant {lost} on arn:aws:s3:::{ci.bucket.name}/blog/")
    pusher.write("new.html", "s3:ListBucket")
    fewer = without(policy, "s3:ListBucket")
    ci.may(fewer)
    gate.lists = lists(fewer, ci.bucket)
    with pytest.raises(TargetError) as caught:
        pusher.push()
    assert [each.partition(" ")[0] for each in gate.denied] == ["HEAD"]
    assert caught.value.message == f"s3 denies s3:ListBucket on arn:aws:s3:::{ci.bucket.name}"
    assert re.fullmatch(
        rf"grant s3:ListBucket on arn:aws:s3:::{ci.bucket.name} to who pushes, or push with other credentials; "
        r"without it S3 does not say whether blog/[0-9a-f]{64}\.tar\.gz is there",
        caught.value.hint,
    )
    ci.may(policy)
    gate.lists = lists(policy, ci.bucket)
    pusher.push()


def test_the_printed_rights_end_an_upload_in_parts_that_fails_and_lead_nowhere_else(
    server_pusher: tuple[Pusher, CodeDeployServer], ci: Ci, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher, _service = server_pusher
    monkeypatch.setattr("pushkit_aws.s3.upload.PART", 5 * 1024 * 1024)
    pusher.write("large", "".join(secrets.token_hex(1 << 19) for _ in range(14)))
    ci.may(printed(pusher))
    pusher.push()
    client = get_session().create_client(
        "s3", region_name="us-east-1", endpoint_url=ci.bucket.server.url,
        aws_access_key_id=ci.keys["access_key_id"], aws_secret_access_key=ci.keys["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )  # fmt: skip
    begun = client.create_multipart_upload(Bucket=ci.bucket.name, Key="blog/x")["UploadId"]
    client.abort_multipart_upload(Bucket=ci.bucket.name, Key="blog/x", UploadId=begun)
    ci.bucket.put("other/secret", b"1")
    (key,) = (each for each in ci.bucket.holds() if each.startswith("blog/"))
    for operation, parameters in (
        ("put_object", {"Key": "other/x", "Body": b""}),
        ("get_object", {"Key": "other/secret"}),
        ("delete_object", {"Key": key}),
        ("create_multipart_upload", {"Key": "other/x"}),
    ):
        with pytest.raises(client.exceptions.ClientError, match="Denied"):
            getattr(client, operation)(Bucket=ci.bucket.name, **parameters)
    client.close()


@pytest.mark.parametrize("mode", ["site", "bundle"])
def test_the_printed_rights_of_a_target_of_s3_are_enough_and_each_is_needed(
    tmp_path: Path, ci: Ci, gate: S3Gate, mode: str
) -> None:
    pusher = SitePusher(tmp_path, ci.bucket, mode=mode, region="us-east-1")
    pusher.options |= ci.keys | ({"prefix": "blog"} if mode == "site" else {"key": "blog/{project}.zip"})
    policy = printed(pusher, "s3")
    pusher.options["endpoint_url"] = gate.url
    names = iter(range(100))

    def may(policy: Policy) -> None:
        ci.may(policy)
        gate.lists = lists(policy, ci.bucket)

    def work() -> None:
        """Push twice, and go back where that can be: something is new, changed and gone each time."""
        ci.bucket.client.delete_object(Bucket=ci.bucket.name, Key="blog/blog.zip")
        for name in pusher.root.iterdir():
            name.unlink()
        for _ in range(2):
            (pusher.root / f"{next(names)}.html").write_text("x")
            pusher.push()
        if mode == "bundle":
            strategy = pusher.strategy()
            try:
                strategy.rollback()
            finally:
                strategy.close()

    may(policy)
    work()
    # To end an upload in parts is what a failure needs.
    for lost in [each for each in rights(policy) if each != "s3:AbortMultipartUpload"]:
        may(without(policy, lost))
        with pytest.raises(PushkitError) as caught:
            work()
        assert f"s3 denies {lost} on arn:aws:s3:::{ci.bucket.name}" in caught.value.message, lost
        may(policy)
    work()


# ---- all else


class Rights:
    """Who pushes has ``policy`` alone."""

    def __init__(self, pusher: Pusher, service: CodeDeployServer) -> None:
        self.pusher, self.service = pusher, service
        self.policy = printed(pusher)
        self.number = 0
        service.pace = 100

    def lose(self, action: str) -> None:
        self.service.allowed = allows(without(self.policy, action))

    def have(self) -> None:
        self.service.allowed = allows(self.policy)


def each_is_needed(of: Rights, work: Callable[[], None], spare: Mapping[str, str] = {}) -> None:
    """``work`` ends well with all the rights, and with one fewer it fails by its name, but for what is to ``spare``."""
    of.have()
    work()
    names = [each for each in rights(of.policy) if not each.startswith("s3:") and each not in spare]
    for lost in names:
        of.lose(lost)
        with pytest.raises(PushkitError) as caught:
            work()
        told = caught.value.message + caught.value.hint
        assert f"denies {lost}" in told, f"{lost}: {told}"
        assert f"grant {lost}" in told, f"{lost}: {told}"
        of.have()


def test_a_group_of_servers(server_pusher: tuple[Pusher, CodeDeployServer], ci: Ci) -> None:
    pusher, service = server_pusher
    pusher.options["deployment_config"] = "CodeDeployDefault.OneAtATime"
    service.blue_green = True
    of = Rights(pusher, service)
    ci.may(of.policy)

    def work() -> None:
        of.number += 1
        pusher.write("index.html", str(of.number))
        try:
            pusher.push()
            pusher.strategy().status()
        finally:
            # Another deployment is for the next.
            for each in service.deployments:
                if each.info["status"] in {"Created", "InProgress", "Ready"}:
                    each.info["status"] = "Stopped"

    each_is_needed(of, work, {"codedeploy:StopDeployment": "after Ctrl-C only"})


def test_to_stop_a_deployment_is_a_right_of_its_own(server_pusher: tuple[Pusher, CodeDeployServer], ci: Ci) -> None:
    pusher, service = server_pusher
    of = Rights(pusher, service)
    service.pace = 1
    ci.may(of.policy)
    for lost, told in (("", "was asked to stop"), ("codedeploy:StopDeployment", "goes on")):
        of.lose(lost)
        pusher.write("index.html", lost)
        stop_at(pusher, "ApplicationStop succeeded")
        with pytest.raises(Interrupted):
            pusher.push()
        pusher.cancelled.clear()
        stopped = service.deployments[-1].info["status"] == "Stopped"
        assert (stopped, any(told in each for each in pusher.said)) == (not lost, True)
        service.deployments[-1].info["status"] = "Stopped"


@pytest.mark.parametrize("group", [True, False], ids=["by CodeDeploy", "share by share"])
def test_a_function(tmp_path: Path, moto: str, group: bool) -> None:
    with CodeDeployServer(platform="Lambda", rest=moto) as service:
        made = Lambda(moto)
        service.shifted = made.shift
        options: dict[str, Any] = {"application": "blog", "deployment_group": "prod"} if group else {"shift": ["10%"]}
        if not group:
            options |= {"pause": 0, "check": {"alarms": [f"of-{made.name}"]}}
            watch = get_session().create_client(
                "cloudwatch", region_name="us-east-1", endpoint_url=moto, aws_access_key_id="a",
                aws_secret_access_key="b",
            )  # fmt: skip
            watch.put_metric_alarm(
                AlarmName=f"of-{made.name}", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1,
                MetricName="Errors", Namespace="AWS/Lambda", Period=60, Statistic="Sum", Threshold=0,
            )  # fmt: skip
            watch.close()
        pusher = Pusher(tmp_path, service, platform="lambda", function=made.name, **options)
        of = Rights(pusher, service)

        def work() -> None:
            """A first push, one that shifts the traffic, and back."""
            with suppress(made.client.exceptions.ResourceNotFoundException):
                made.client.delete_alias(FunctionName=made.name, Name="live")
            service.deployments.clear()
            for _ in range(2):
                of.number += 1
                pusher.write("app.py", str(of.number))
                pusher.push()
            pusher.strategy().status()
            pusher.strategy().rollback()

        each_is_needed(of, work, {"codedeploy:StopDeployment": "after Ctrl-C only"})
        pusher.close()


def test_a_service(tmp_path: Path, moto: str) -> None:
    family = f"web-{secrets.token_hex(4)}"
    container = {"name": "web", "image": "web:1", "memory": 128, "portMappings": [{"containerPort": 8000}]}
    roles = {key: f"arn:aws:iam::{ACCOUNT}:role/{key}" for key in ("executionRoleArn", "taskRoleArn")}
    # A name is a role of this account.
    assert facts_with(tmp_path, family, roles | {"taskRoleArn": "taskRoleArn"}).roles == tuple(sorted(roles.values()))
    with CodeDeployServer(platform="ECS", rest=moto, blue_green=True) as service:
        pusher = Pusher(
            tmp_path, service, platform="ecs", application="blog", deployment_group="prod", task_definition="task.json"
        )

        def define(number: int) -> None:
            definition = {"family": family, "containerDefinitions": [{**container, "memory": 128 + number}], **roles}
            pusher.write("task.json", json.dumps(definition))

        define(0)
        of = Rights(pusher, service)

        def work() -> None:
            service.deployments.clear()
            for _ in range(2):
                of.number += 1
                define(of.number)
                pusher.push()
            pusher.strategy().rollback()

        each_is_needed(of, work, {"codedeploy:StopDeployment": "after Ctrl-C only"})
        of.service.allowed = allows(without(of.policy, "iam:PassRole"))
        define(1000)
        with pytest.raises((TargetError, PushFailed, PushRefused), match="denies iam:PassRole on arn:aws:iam"):
            pusher.push()
        of.have()
        # The printed rights are those of this family, and of no other.
        family += "-other"
        define(0)
        with pytest.raises((TargetError, PushFailed), match=f"denies ecs:TagResource on .*task-definition/{family}:1"):
            pusher.push()
        pusher.close()


def test_a_service_whose_definition_is_registered_elsewhere(tmp_path: Path, moto: str) -> None:
    family = f"web-{secrets.token_hex(4)}"
    container = {"name": "web", "image": "web:1", "memory": 128, "portMappings": [{"containerPort": 8000}]}
    ecs = client("ecs", moto)
    with CodeDeployServer(platform="ECS", rest=moto, blue_green=True) as service:
        pusher = Pusher(
            tmp_path, service, platform="ecs", application="blog", deployment_group="prod",
            task_definition=f"{family}:1",
        )  # fmt: skip
        pusher.write("index.html", "")
        of = Rights(pusher, service)
        assert {each for each in rights(of.policy) if not each.startswith("codedeploy:")} == {
            "ecs:DescribeTaskDefinition"
        }

        def work() -> None:
            service.deployments.clear()
            for _ in range(2):
                of.number += 1
                ecs.register_task_definition(family=family, containerDefinitions=[container])
                pusher.push(task_definition=f"{family}:{of.number}")
            pusher.strategy().rollback()

        each_is_needed(of, work, {"codedeploy:StopDeployment": "after Ctrl-C only"})
        pusher.close()


@pytest.fixture
def elsewhere(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[CodeDeployServer]:
    """Who answers for CloudFront and CodePipeline: a target has one endpoint for all, which is SeaweedFS here."""
    keys = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    real = Clients.client
    with CodeDeployServer(rest=moto) as service:
        made = {
            name: get_session().create_client(name, endpoint_url=service.url, **keys)
            for name in ("cloudfront", "codepipeline")
        }
        monkeypatch.setattr(Clients, "client", lambda self, name: made.get(name) or real(self, name))
        yield service
        for each in made.values():
            each.close()


def lacking(policy: Policy, elsewhere: CodeDeployServer, work: Callable[[], None], *, all_of: set[str]) -> None:
    """``work`` ends well with ``policy``, and fails by the name of each right of ``all_of`` that it lacks."""
    assert {each for each in rights(policy) if not each.startswith("s3:")} == all_of | SPARE & {*rights(policy)}
    elsewhere.allowed = allows(policy)
    work()
    for lost in sorted(all_of):
        elsewhere.allowed = allows(without(policy, lost))
        with pytest.raises(PushkitError, match=f"denies {lost} on arn:aws:") as caught:
            work()
        assert caught.value.hint.startswith(f"grant {lost} on arn:aws:"), lost
        elsewhere.allowed = allows(policy)
    work()


#: Without it a push does not tell of a pipeline's actions; how the pipeline ended it knows all the same.
SPARE = {"codepipeline:ListActionExecutions"}


def test_a_distribution(tmp_path: Path, ci: Ci, moto: str, elsewhere: CodeDeployServer) -> None:
    made = get_session().create_client(
        "cloudfront", region_name="us-east-1", endpoint_url=moto, aws_access_key_id="a", aws_secret_access_key="b"
    )
    origin = {"Id": "o", "DomainName": "x.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    forwarded = {"QueryString": False, "Cookies": {"Forward": "none"}}
    behavior = {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all", "MinTTL": 0, "ForwardedValues": forwarded}
    config = {
        "CallerReference": ci.bucket.name, "Origins": {"Quantity": 1, "Items": [origin]}, "Comment": "",
        "DefaultCacheBehavior": behavior, "Enabled": True,
    }  # fmt: skip
    distribution = made.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
    made.close()
    pusher = SitePusher(tmp_path, ci.bucket, mode="site", region="us-east-1", distribution=distribution, **ci.keys)
    policy = printed(pusher, "s3")
    ci.may(policy)
    numbers = iter(range(100))

    def work() -> None:
        (pusher.root / "index.html").write_text(str(next(numbers)))
        pusher.push()

    lacking(policy, elsewhere, work, all_of={"cloudfront:CreateInvalidation"})


@pytest.mark.parametrize("starts", [True, False], ids=["started", "begun by its source"])
def test_a_pipeline(tmp_path: Path, ci: Ci, moto: str, elsewhere: CodeDeployServer, *, starts: bool) -> None:
    keys = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    iam, made = (get_session().create_client(name, endpoint_url=moto, **keys) for name in ("iam", "codepipeline"))
    trusted = {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    name = ci.bucket.name
    source = {"owner": "AWS", "provider": "S3", "version": "1"}
    stages = [
        {"name": each, "actions": [{"name": "Act", "actionTypeId": source | {"category": each}}]}
        for each in ("Source", "Deploy")
    ]
    made.create_pipeline(
        pipeline={
            "name": name, "roleArn": iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"],
            "artifactStore": {"type": "S3", "location": "artifacts"}, "stages": stages, "version": 1,
        }
    )  # fmt: skip
    options = {"pipeline": name, "pipeline_start": starts, "pipeline_within": 20, **ci.keys}
    pusher = SitePusher(tmp_path, ci.bucket, region="us-east-1", **options)

    class Events(list[Any]):
        def append(self, event: Any) -> None:
            super().append(event)
            if isinstance(event, StepFinished) and event.step.action is not Action.RUN and not starts:
                made.start_pipeline_execution(name=name)

    def instead(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        # moto knows no actions.
        action = {"stageName": "Deploy", "actionName": "Act", "status": "Succeeded"}
        return (200, {"actionExecutionDetails": [action]}) if b'"filter"' in body else None

    elsewhere.instead = instead
    pusher.events = Events()
    policy = printed(pusher, "s3")
    ci.may(policy)
    numbers = iter(range(100))

    def work() -> None:
        (pusher.root / "index.html").write_text(str(next(numbers)))
        pusher.push()

    began = "Start" if starts else "List"
    needed = {f"codepipeline:{began}PipelineExecution" + "s" * (not starts), "codepipeline:GetPipelineExecution"}
    lacking(policy, elsewhere, work, all_of=needed)
    assert any(isinstance(event, Output) for event in pusher.events)
    elsewhere.allowed = allows(without(policy, *SPARE))
    work()
    assert not any(isinstance(event, Output) for event in pusher.events)
    iam.close()
    made.close()
