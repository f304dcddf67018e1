"""The platform `ecs`: task definitions registered at moto's ECS, and deployed by the tests' own CodeDeploy."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.lambda_target import Pusher, client, stop_at
from pushkit import Action, Interrupted, PushFailed, PushfileError, PushRefused, TargetError
from pushkit.testing import CodeDeployServer
from pushkit_aws.codedeploy.options import CodeDeployOptions

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
        LoadBalancerInfo: {ContainerName: web, ContainerPort: 9000}
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
    assert resource["Properties"]["LoadBalancerInfo"]["ContainerPort"] == 9000
    assert spec["Hooks"] == [{"AfterInstall": "from-the-file"}, {"BeforeAllowTraffic": "from-the-pushfile"}]
    pusher.write("appspec.yml", "version: 0.0\nResources: []\n")
    with pytest.raises(PushfileError):
        pusher.plan()
    with pytest.raises(PushRefused, match=r"there is no other\.yml in what is pushed"):
        pusher.plan(appspec="other.yml")


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
    options = {"task_definition": f"{family}:1", "container": "web", "port": 8000}
    assert [step.action for step in pusher.plan(**options).steps] == [Action.SWITCH]
    pusher.push(**options)
    assert pusher.plan(**options).steps == ()
    with pytest.raises(PushRefused, match="`images`"):
        pusher.plan(**options, images={"web": "x"})
    with pytest.raises(PushRefused, match="none is known"):
        pusher.plan(task_definition=f"{family}:1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is no task definition"),
        ("{}", "containerDefinitions"),
        ('{"family": "x", "containerDefinitions": [], "famly": 1}', "famly"),
        ('{"family": 7, "containerDefinitions": [{"name": [], "memory": "much"}]}', "memory"),
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
