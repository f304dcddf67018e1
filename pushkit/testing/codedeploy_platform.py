"""What deployments to servers, functions and services go through, and how CodeDeploy tells of their targets."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct, field


class Deployment(Struct):
    """One deployment.

    ``info`` is what the API tells of it. ``moves`` is how many events are over on each target, ``failing`` what fails,
    by target. ``traffic`` is the share of the traffic, in percent, that a function or a service has by it.
    """

    info: dict[str, Any]
    targets: tuple[str, ...]
    failing: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    moves: int = 0
    continued: bool = False
    shifts: int = 0
    traffic: float = 0.0

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of the only resource of its AppSpec."""
        document = json.loads(self.info["revision"]["appSpecContent"]["content"])
        ((resource,),) = (each.values() for each in document["Resources"])
        found: Mapping[str, Any] = resource["Properties"]
        return found


class Platform(ABC):
    """A compute platform: its name, and its lifecycle events in order."""

    name: ClassVar[str]
    events: ClassVar[tuple[str, ...]]

    @abstractmethod
    def ids(self, deployment: Deployment) -> Sequence[str]:
        """What the deployment is to."""

    @abstractmethod
    def told(self, deployment: Deployment, target: dict[str, Any]) -> dict[str, Any]:
        """A target as BatchGetDeploymentTargets has it; ``target`` is what all of them have."""

    def reverse(self, deployment: Deployment, good: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The revision that takes a deployment back: the last that was ``good``."""
        return good

    def diagnostics(self, output: str) -> dict[str, str]:
        """What is told of an event that failed."""
        return {"errorCode": "UnknownError", "message": "The function said that it failed", "logTail": output}

    def error(self) -> dict[str, str]:
        """Why a deployment failed."""
        return {"code": "HOOK_EXECUTION_FAILURE", "message": "One or more of the validation functions failed."}


class Servers(Platform):
    """Instances with the agent."""

    name = "Server"
    events = ("ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall", "ApplicationStart")

    def ids(self, deployment: Deployment) -> Sequence[str]:
        """The instances of the group."""
        return deployment.targets

    def told(self, deployment: Deployment, target: dict[str, Any]) -> dict[str, Any]:
        """An instance."""
        arn = f"arn:aws:ec2:us-east-1:123456789012:instance/{target['targetId']}"
        return {"deploymentTargetType": "InstanceTarget", "instanceTarget": {**target, "targetArn": arn}}

    def diagnostics(self, output: str) -> dict[str, str]:
        """The script and the end of its output."""
        words = {"scriptName": "bin/start.sh", "message": "Script failed with exit code 1"}
        return {"errorCode": "ScriptFailed", **words, "logTail": output}

    def error(self) -> dict[str, str]:
        """Nothing about the script that failed."""
        return {"code": "HEALTH_CONSTRAINTS", "message": "Too few healthy instances are available."}


class Functions(Platform):
    """A function of Lambda."""

    name = "Lambda"
    events = ("BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic")

    def ids(self, deployment: Deployment) -> Sequence[str]:
        """The alias."""
        return [f"{deployment.properties['Name']}:{deployment.properties['Alias']}"]

    def told(self, deployment: Deployment, target: dict[str, Any]) -> dict[str, Any]:
        """The function, and where its traffic goes."""
        properties = deployment.properties
        info = {
            "functionName": properties["Name"],
            "functionAlias": properties["Alias"],
            "currentVersion": properties["CurrentVersion"],
            "targetVersion": properties["TargetVersion"],
            "targetVersionWeight": deployment.traffic,
        }
        return {"deploymentTargetType": "LambdaTarget", "lambdaTarget": {**target, "lambdaFunctionInfo": info}}

    def reverse(self, deployment: Deployment, good: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The same the other way round."""
        document = json.loads(deployment.info["revision"]["appSpecContent"]["content"])
        ((resource,),) = (each.values() for each in document["Resources"])
        properties = resource["Properties"]
        properties["CurrentVersion"], properties["TargetVersion"] = (
            properties["TargetVersion"],
            properties["CurrentVersion"],
        )
        content = json.dumps(document)
        digest = hashlib.sha256(content.encode()).hexdigest()
        return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content, "sha256": digest}}


class Services(Platform):
    """A service of ECS."""

    name = "ECS"
    events = (
        *("BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic"),
        *("BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"),
    )

    def ids(self, deployment: Deployment) -> Sequence[str]:
        """The service in its cluster."""
        return ["cluster:web"]

    def told(self, deployment: Deployment, target: dict[str, Any]) -> dict[str, Any]:
        """The service, and the traffic of its two task sets."""
        sets = [
            {"taskSetLabel": "Blue", "status": "PRIMARY", "trafficWeight": 100 - deployment.traffic},
            {"taskSetLabel": "Green", "status": "ACTIVE", "trafficWeight": deployment.traffic},
        ]
        return {"deploymentTargetType": "ECSTarget", "ecsTarget": {**target, "taskSetsInfo": sets}}


PLATFORMS: Mapping[str, Platform] = {each.name: each for each in (Servers(), Functions(), Services())}
