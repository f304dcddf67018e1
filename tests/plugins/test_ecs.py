"""The platform `ecs`: task definitions registered at moto's ECS, and deployed by the tests' own CodeDeploy."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel

from cli.project import PUSH
from plugins.lambda_target import Pusher, client, stop_at
from pushkit import Action, Busy, Interrupted, PushFailed, PushfileError, PushRefused, TargetError
from pushkit.testing import CodeDeployServer
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.tasks.definition import RETURNED
from recorder.sitecustomize import recorded

GROUP = {"application": "blog", "deployment_group": "prod"}


@pytest.fixture
def service(moto: str) -> Iterator[CodeDeployServer]:
    with CodeDeployServer(platform="ECS", rest=moto) as made:
        yield made


@pytest.fixture
def family() -> str:
    return f"web-{secrets.token_hex(4)}"


@pytest.fixture
def pusher(tmp_path: Path, service: CodeDeployServer, family: str) -> Iterator[Pusher]:
    made = Pusher(tmp_path, service, platform="ecs", task_definition="task.json", **GROUP)
    made.write("task.json", json.dumps(definition(family)))
    yield made
    made.close()


def definition(family: str, image: str = "web:1", **more: Any) -> dict[str, Any]:
    container = {"name": "web", "image": image, "memory": 128, "portMappings": [{"containerPort": 8000}]}
    return {"family": family, "containerDefinitions": [{**container, **more}]}


def deployed(service: CodeDeployServer) -> list[Any]:
    """The AppSpec of each deployment that was asked for."""
    asked = service.asked("CreateDeployment")
    return [json.loads(each["revision"]["appSpecContent"]["content"]) for each in asked]


def test_the_definition_is_registered_and_the_appspec_made_of_it(
    pusher: Pusher, service: CodeDeployServer, family: str, moto: str
) -> None:
    plan = pusher.plan()
    assert [(step.action, step.subject) for step in plan.steps] == [
        (Action.ADD, f"task definition {family}"),
        (Action.SWITCH, "prod"),
    ]
    pusher.options["hooks"] = {"AfterAllowTestTraffic": "look"}
    release = pusher.push()
    assert release.id == "d-000000001"
    arn = f"arn:aws:ecs:us-east-1:123456789012:task-definition/{family}:1"
    balancer = {"ContainerName": "web", "ContainerPort": 8000}
    properties = {"LoadBalancerInfo": balancer, "TaskDefinition": arn}
    assert deployed(service) == [
        {
            "version": 0.0,
            "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}],
            "Hooks": [{"AfterAllowTestTraffic": "look"}],
        }
    ]
    registered = client("ecs", moto).describe_task_definition(taskDefinition=family)["taskDefinition"]
    assert registered["containerDefinitions"][0]["image"] == "web:1"
    assert pusher.moves == [
        *("BeforeInstall succeeded", "Install succeeded", "AfterInstall succeeded", "AllowTestTraffic succeeded"),
        *("AfterAllowTestTraffic succeeded", "BeforeAllowTraffic succeeded", "10% on green", "100% on green"),
        *("AllowTraffic succeeded", "AfterAllowTraffic succeeded"),
    ]


def test_a_definition_that_is_registered_is_not_registered_again(
    pusher: Pusher, service: CodeDeployServer, family: str, moto: str
) -> None:
    release = pusher.push()
    pusher.write("task.json", json.dumps(definition(family), indent=4))
    assert (pusher.plan().steps, pusher.plan().live) == ((), release.id)
    pusher.repair = True
    assert [step.action for step in pusher.plan().steps] == [Action.SWITCH]
    pusher.repair = False
    pusher.write("task.json", json.dumps(definition(family, "web:2")))
    pusher.push()
    found = client("ecs", moto).list_task_definitions(familyPrefix=family)["taskDefinitionArns"]
    assert [each.rpartition(":")[2] for each in found] == ["1", "2"]
    # What `aws ecs describe-task-definition` prints is a definition too.
    described = client("ecs", moto).describe_task_definition(taskDefinition=family)
    del described["ResponseMetadata"]
    pusher.write("task.json", json.dumps(described, default=str))
    assert pusher.plan().steps[0].action is Action.ADD


def test_images_may_be_of_the_revision(pusher: Pusher, service: CodeDeployServer, family: str, moto: str) -> None:
    pusher.push(images={"web": "registry.example.com/{project}:{revision}"})
    registered = client("ecs", moto).describe_task_definition(taskDefinition=family)["taskDefinition"]
    image = registered["containerDefinitions"][0]["image"]
    assert image.startswith("registry.example.com/blog:")
    assert len(image.rpartition(":")[2]) == 7
    with pytest.raises(PushRefused, match="no container wep") as caught:
        pusher.plan(images={"wep": "x"})
    assert "web" in caught.value.hint
    with pytest.raises(PushRefused, match="names a commit, and there is none"):
        pusher.plan(images={"web": "x:{commit}"})
    with pytest.raises(PushfileError, match=r"task\.json") as wrong:
        pusher.plan(images={"web": "x:{comit}"})
    (problem,) = wrong.value.problems
    assert (problem.path, problem.message) == ("containerDefinitions[0].image", "is 'x:{comit}', which is no image")


def test_what_a_definition_is_told_with_and_is_not_asked_with_is_what_the_service_says() -> None:
    model = ServiceModel(create_loader().load_service_model("ecs", "service-2"))
    told = set(model.shape_for("TaskDefinition").members)
    assert set(RETURNED) == told - set(model.operation_model("RegisterTaskDefinition").input_shape.members)


def test_an_appspec_of_the_project_says_the_rest(pusher: Pusher, service: CodeDeployServer, family: str) -> None:
    pusher.write(
        "appspec.yml",
        """
version: 0.0
Resources:
  - Web:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        PlatformVersion: LATEST
        LoadBalancerInfo: {ContainerName: web, ContainerPort: "8000"}
Hooks:
  - AfterInstall: from-the-file
  - BeforeAllowTraffic: from-the-file
""",
    )
    pusher.push(hooks={"BeforeAllowTraffic": "from-the-pushfile"})
    (spec,) = deployed(service)
    ((resource,),) = (each.values() for each in spec["Resources"])
    assert resource["Properties"]["TaskDefinition"].endswith(f"{family}:1")
    assert resource["Properties"]["PlatformVersion"] == "LATEST"
    assert resource["Properties"]["LoadBalancerInfo"] == {"ContainerName": "web", "ContainerPort": 8000}
    assert spec["Hooks"] == [{"AfterInstall": "from-the-file"}, {"BeforeAllowTraffic": "from-the-pushfile"}]
    pusher.write("appspec.yml", "version: 0.0\nResources: []\n")
    with pytest.raises(PushfileError):
        pusher.plan()
    (pusher.root / "appspec.yml").unlink()
    for name in ("other.yml", "appspec.yml"):
        with pytest.raises(PushRefused, match=rf"there is no {name} in what is pushed"):
            pusher.plan(appspec=name)


def test_the_container_and_port_of_an_appspec_are_those_of_the_definition(
    pusher: Pusher, service: CodeDeployServer, family: str
) -> None:
    made = definition(family)
    # One port for two protocols is one port.
    made["containerDefinitions"][0]["portMappings"].append({"containerPort": 8000, "protocol": "udp"})
    made["containerDefinitions"].append({"name": "side", "image": "side:1", "memory": 128})
    pusher.write("task.json", json.dumps(made))
    spec = """
version: 0.0
Resources:
  - Web:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: %s, ContainerPort: %d}
"""
    for container, port in (("web", 9000), ("side", 8000), ("wep", 8000)):
        pusher.write("appspec.yml", spec % (container, port))
        with pytest.raises(PushRefused, match=f"no container and port {container}, {port}; it has: web, 8000"):
            pusher.push()
    assert service.asked("CreateDeployment") == []
    # What the target says counts more, as with hooks.
    pusher.push(container="web", port=8000)
    ((resource,),) = (each.values() for each in deployed(service)[0]["Resources"])
    assert resource["Properties"]["LoadBalancerInfo"] == {"ContainerName": "web", "ContainerPort": 8000}


@pytest.mark.parametrize(
    ("options", "port"), [({"container": "admin"}, 9000), ({"port": 8000}, 8000), ({"container": "web"}, 8000)]
)
def test_which_container_gets_the_traffic_is_asked_where_there_are_several(
    pusher: Pusher, service: CodeDeployServer, family: str, options: dict[str, Any], port: int
) -> None:
    made = definition(family)
    made["containerDefinitions"].append(
        {"name": "admin", "image": "admin:1", "memory": 128, "portMappings": [{"containerPort": 9000}]}
    )
    pusher.write("task.json", json.dumps(made))
    with pytest.raises(PushRefused, match="web, 8000; admin, 9000"):
        pusher.plan()
    pusher.push(**options)
    ((resource,),) = (each.values() for each in deployed(service)[0]["Resources"])
    assert resource["Properties"]["LoadBalancerInfo"]["ContainerPort"] == port


def test_a_definition_that_is_registered_elsewhere_is_deployed(
    pusher: Pusher, service: CodeDeployServer, family: str, moto: str
) -> None:
    client("ecs", moto).register_task_definition(**definition(family))
    with pytest.raises(TargetError, match=f"there is no task definition {family}:7"):
        pusher.plan(task_definition=f"{family}:7")
    options = {"task_definition": f"{family}:1"}
    assert [step.action for step in pusher.plan(**options).steps] == [Action.SWITCH]
    pusher.push(**options)
    assert pusher.plan(**options).steps == ()
    with pytest.raises(PushRefused, match="`images`"):
        pusher.plan(**options, images={"web": "x"})
    with pytest.raises(PushRefused, match="no container and port web, 9000; it has: web, 8000"):
        pusher.plan(**options, container="web", port=9000)
    ((resource,),) = (each.values() for each in deployed(service)[0]["Resources"])
    assert resource["Properties"]["LoadBalancerInfo"] == {"ContainerName": "web", "ContainerPort": 8000}
    client("ecs", moto).deregister_task_definition(taskDefinition=f"{family}:1")
    with pytest.raises(TargetError, match=f"{family}:1 was deregistered"):
        pusher.plan(**options)


def test_a_plan_writes_nothing_and_what_was_registered_for_nothing_is_not_registered_again(
    pusher: Pusher, service: CodeDeployServer, family: str, moto: str
) -> None:
    def registered() -> list[str]:
        found: list[str] = client("ecs", moto).list_task_definitions(familyPrefix=family)["taskDefinitionArns"]
        return found

    pusher.plan()
    assert registered() == []
    assert {name for name, _ in service.requests} == {"GetDeploymentGroup"}
    service.refusals["CreateDeployment"] = ["DeploymentLimitExceededException"]
    with pytest.raises(Busy, match="another deployment is under way"):
        pusher.push()
    (left,) = registered()
    assert [(step.action, step.subject) for step in pusher.plan().steps] == [(Action.SWITCH, "prod")]
    pusher.push()
    assert registered() == [left]
    ((resource,),) = (each.values() for each in deployed(service)[-1]["Resources"])
    assert resource["Properties"]["TaskDefinition"] == left


def test_what_the_group_waits_for_itself_is_waited_for(pusher: Pusher, service: CodeDeployServer, family: str) -> None:
    pusher.options |= {"within": 0.2}
    with pytest.raises(PushFailed, match=r"is not done after 0\.2 seconds, and goes on: InProgress"):
        pusher.push()
    service.deployments[-1].info["status"] = "Stopped"
    # A deployment to ECS has not succeeded until the old tasks are ended.
    service.pauses = (0, 60)
    assert pusher.push().id == "d-000000002"
    service.blue_green, service.pauses = True, (1, 0)
    pusher.write("task.json", json.dumps(definition(family, "web:2")))
    stop_at(pusher, "somebody has to move the traffic")
    with pytest.raises(Interrupted):
        pusher.push(at_ready="wait")


def test_ctrl_c_stops_the_deployment_and_gives_the_traffic_back(
    pusher: Pusher, service: CodeDeployServer, family: str
) -> None:
    pusher.push()
    pusher.write("task.json", json.dumps(definition(family, "web:2")))
    stop_at(pusher, "10% on green")
    with pytest.raises(Interrupted):
        pusher.push()
    assert service.asked("StopDeployment") == [{"deploymentId": "d-000000002", "autoRollbackEnabled": True}]
    assert [each.info["status"] for each in service.deployments] == ["Succeeded", "Stopped", "Succeeded"]
    assert service.deployments[2].info["revision"] == service.deployments[0].info["revision"]
    pusher.cancelled.clear()
    stop_at(pusher, "10% on green")
    with pytest.raises(Interrupted):
        pusher.push(on_interrupt="leave")
    assert len(service.asked("StopDeployment")) == 1
    assert service.deployments[-1].info["status"] == "InProgress"


def test_who_asks_to_stop_before_a_deployment_has_its_id_is_told_that_it_may_have_begun(
    pusher: Pusher, service: CodeDeployServer, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = service.answer

    def late(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        found = answer(operation, parameters)
        if operation == "CreateDeployment":
            pusher.cancelled.set()
            time.sleep(1)
        return found

    monkeypatch.setattr(service, "answer", late)
    with pytest.raises(Interrupted):
        pusher.push()
    assert [each.info["status"] for each in service.deployments] == ["Created"]
    assert any(each.startswith("a deployment may have begun all the same") for each in pusher.said)


def test_an_appspec_that_is_not_told_any_more_is_not_deployed(
    pusher: Pusher, service: CodeDeployServer, family: str
) -> None:
    pusher.push()
    pusher.write("task.json", json.dumps(definition(family, "web:2")))
    pusher.push()
    for each in service.revisions:
        del each["appSpecContent"]["content"]
    with pytest.raises(TargetError, match="does not tell the AppSpec of d-000000001 any more"):
        pusher.strategy().rollback()
    assert len(service.asked("CreateDeployment")) == 2


def test_throttling_is_waited_out(pusher: Pusher, service: CodeDeployServer, family: str) -> None:
    for operation in ("GetDeploymentGroup", "CreateDeployment", "GetDeployment", "BatchGetDeploymentTargets"):
        service.refusals[operation] = ["ThrottlingException"]
    answers = iter([(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})])
    service.instead = lambda method, path, body: next(answers, None)
    assert pusher.push().id == "d-000000001"
    assert next(answers, None) is None
    assert not any(service.refusals.values())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is no task definition"),
        ("{}", "containerDefinitions"),
        ('{"family": "x", "containerDefinitions": [], "famly": 1}', "famly"),
        ('{"family": 7, "containerDefinitions": [{"name": [], "memory": "much"}]}', "memory"),
        ('{"family": "x", "containerDefinitions": []}', "is empty"),
        ('{"family": "web:7", "containerDefinitions": [{"name": "web", "image": "web"}]}', "'web:7'"),
        ('{"family": "x", "containerDefinitions": [{"image": "web"}]}', "is missing"),
        ('{"family": "x", "containerDefinitions": [{"name": "web"}]}', "is missing"),
        ('{"family": "x", "containerDefinitions": [{"name": "web", "image": "<IMAGE1_NAME>"}]}', "'<IMAGE1_NAME>'"),
        ('{"family": "x", "containerDefinitions": [{"name": "a", "image": "b"}, {"name": "a", "image": "b"}]}', "'a'"),
        ("[" * 100_000, "it is no JSON"),
    ],
)
def test_what_is_wrong_with_a_definition_is_told_before_anything_is_sent(
    pusher: Pusher, service: CodeDeployServer, content: str, said: str
) -> None:
    pusher.write("task.json", content)
    with pytest.raises(PushfileError) as caught:
        pusher.plan()
    assert any(said in problem.message for problem in caught.value.problems)
    (pusher.root / "task.json").unlink()
    with pytest.raises(PushRefused, match=r"there is no task\.json"):
        pusher.plan()
    assert service.asked("CreateDeployment") == []


def test_a_failure_is_told_and_the_rollback_followed(pusher: Pusher, service: CodeDeployServer, family: str) -> None:
    pusher.options["auto_rollback"] = True
    pusher.push()
    pusher.write("task.json", json.dumps(definition(family, "web:2")))
    service.failing = {"cluster:web": ("AfterAllowTestTraffic", "")}
    with pytest.raises(
        PushFailed,
        match=r"d-000000002 failed: AfterAllowTestTraffic on cluster:web .*validation functions failed.*; went back",
    ):
        pusher.push()
    assert service.deployments[-1].info["revision"] == service.deployments[0].info["revision"]


def test_rollback_deploys_the_definition_before_and_blue_green_waits_for_somebody(
    pusher: Pusher, service: CodeDeployServer, family: str
) -> None:
    pusher.push()
    pusher.write("task.json", json.dumps(definition(family, "web:2")))
    pusher.push()
    assert pusher.strategy().rollback().id == "d-000000003"
    assert deployed(service)[2] == deployed(service)[0] != deployed(service)[1]
    status = pusher.strategy().status()
    assert (status.live, len(status.releases)) == ("d-000000003", 3)
    service.blue_green = True
    pusher.write("task.json", json.dumps(definition(family, "web:3")))
    stop_at(pusher, "somebody has to move the traffic")
    with pytest.raises(Interrupted):
        pusher.push(at_ready="wait")
    pusher.cancelled.clear()
    assert service.asked("ContinueDeployment") == []
    pusher.push()
    assert len(service.asked("ContinueDeployment")) == 1
    assert [entry.outcome for entry in pusher.strategy().log()][-3:] == ["stopped", "succeeded", "succeeded"]


def test_the_command_line_plans_pushes_and_goes_back_and_shows_nothing_of_the_definition(
    pusher: Pusher, service: CodeDeployServer, family: str, tmp_path: Path
) -> None:
    said = {"environment": [{"name": "TOKEN", "value": "of-the-definition"}]}
    lines = [f"{key} = {json.dumps(value)}" for key, value in pusher.options.items()]
    pusher.write("Pushfile", "\n".join(["[target.live]", 'strategy = "codedeploy"', *lines]))
    environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}

    def push(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [PUSH, *arguments], cwd=pusher.root, env=environment, capture_output=True, text=True, check=False
        )
        assert "of-the-definition" not in done.stdout + done.stderr
        return done

    for number in (1, 2):
        pusher.write("task.json", json.dumps(definition(family, f"web:{number}", **said)))
        planned = push("plan", "--json")
        assert planned.returncode == 0, planned.stderr
        assert f"task definition {family}" in planned.stdout
        done = push()
        assert (done.returncode, done.stdout) == (0, f"d-00000000{number}\n"), done.stderr
    assert f"{family}:2 was registered" in done.stderr
    assert "d-000000002" in push("status").stdout
    done = push("rollback")
    assert done.returncode == 0, done.stderr
    assert deployed(service)[2] == deployed(service)[0]
    pusher.write("task.json", json.dumps(definition(family, "<IMAGE1_NAME>", **said)))
    done = push()
    assert done.returncode == 3
    assert "task.json: containerDefinitions[0].image: is '<IMAGE1_NAME>', which is no image" in done.stderr
    assert len(service.asked("CreateDeployment")) == 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "`application` is missing"),
        (GROUP, "`task_definition` is missing"),
        ({**GROUP, "task_definition": "t", "bucket": "bundles"}, '`bucket` is for `platform = "server"`'),
        ({**GROUP, "task_definition": "t", "shift": ["10%"]}, '`shift` is for `platform = "lambda"`'),
        ({**GROUP, "task_definition": "t", "hooks": {"Install": "f"}}, "Install is none of BeforeInstall"),
    ],
)
def test_options_that_cannot_be_are_told(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CodeDeployOptions.of({"platform": "ecs", **table})
