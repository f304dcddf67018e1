"""AWS CodeDeploy, as far as a push of a bundle needs it: one application, one deployment group, its servers.

Every request and every answer is held against the service's own model, as botocore has it. A deployment moves by one
lifecycle event each time that it is looked at; a test says what fails.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from pushkit.testing.listener import HttpServer

EVENTS = ("ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall", "ApplicationStart")
OPEN = {"Created", "InProgress", "Ready"}
#: What a deployment tells as it was asked for it.
KEPT = (
    *("applicationName", "deploymentGroupName", "revision", "description", "autoRollbackConfiguration"),
    *("deploymentConfigName", "fileExistsBehavior", "ignoreApplicationStopFailures"),
)


class Refusal(Exception):
    """An error of the API, by its code."""


@dataclass
class Deployment:
    """One deployment: ``moves`` is how many events are over on each server, ``failing`` what fails, by server."""

    info: dict[str, Any]
    servers: tuple[str, ...]
    failing: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    moves: int = 0
    continued: bool = False


class CodeDeployServer(HttpServer):
    """The service at `url` from `start` to `stop`.

    ``servers`` are the group's. ``failing`` says which lifecycle event of the next deployments fails on which server,
    and what its script wrote. ``blue_green``: a deployment becomes Ready and waits. ``refusals`` are codes of errors,
    by operation, each answered once. ``requests`` are operation and parameters of each request.
    """

    def __init__(self, *, servers: tuple[str, ...] = ("i-1", "i-2"), blue_green: bool = False) -> None:
        super().__init__(host="127.0.0.1")
        self.servers = servers
        self.blue_green = blue_green
        self.failing: dict[str, tuple[str, str]] = {}
        self.refusals: dict[str, list[str]] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.deployments: list[Deployment] = []
        self.revisions: list[dict[str, Any]] = []
        self.paused = False
        self._model = model()
        self._lock = threading.Lock()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each request for ``operation``."""
        return [parameters for name, parameters in self.requests if name == operation]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return handler(self)

    def answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises `Refusal`, and `ValueError` for what the service's model does not allow."""
        shapes = self._model.operation_model(operation)
        check(parameters, shapes.input_shape)
        with self._lock:
            self.requests.append((operation, parameters))
            if self.refusals.get(operation):
                raise Refusal(self.refusals[operation].pop(0))
            found: dict[str, Any] = getattr(self, f"_{operation}")(parameters)
        if shapes.output_shape is not None:
            check(found, shapes.output_shape)
        return found

    # The operations, by their names.

    def _GetDeploymentGroup(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._known(asked["applicationName"], asked["deploymentGroupName"])
        style = {"deploymentType": "BLUE_GREEN" if self.blue_green else "IN_PLACE"}
        info: dict[str, Any] = {
            "applicationName": "blog",
            "deploymentGroupName": "prod",
            "computePlatform": "Server",
            "deploymentStyle": style,
        }
        good = [each.info for each in self.deployments if each.info["status"] == "Succeeded"]
        if good:
            info["lastSuccessfulDeployment"] = {"deploymentId": good[-1]["deploymentId"], "status": "Succeeded"}
        return {"deploymentGroupInfo": info}

    def _RegisterApplicationRevision(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._known(asked["applicationName"])
        self.revisions.append(asked["revision"])
        return {}

    def _CreateDeployment(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._known(asked["applicationName"], asked["deploymentGroupName"])
        if any(each.info["status"] in OPEN for each in self.deployments):
            raise Refusal("DeploymentLimitExceededException")
        if asked["revision"] not in self.revisions:
            raise Refusal("RevisionDoesNotExistException")
        return {"deploymentId": self._begin(asked).info["deploymentId"]}

    def _GetDeployment(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(asked["deploymentId"])
        if not self.paused:
            self._move(found)
        return {"deploymentInfo": found.info}

    def _ListDeployments(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"deployments": [each.info["deploymentId"] for each in self.deployments]}

    def _BatchGetDeployments(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"deploymentsInfo": [self._found(each).info for each in asked["deploymentIds"]]}

    def _ListDeploymentTargets(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"targetIds": list(self._found(asked["deploymentId"]).servers)}

    def _BatchGetDeploymentTargets(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(asked["deploymentId"])
        return {"deploymentTargets": [self._target(found, each) for each in asked["targetIds"]]}

    def _ContinueDeployment(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(asked["deploymentId"])
        if found.info["status"] != "Ready" or asked["deploymentWaitType"] != "READY_WAIT":
            raise Refusal("DeploymentIsNotInReadyStateException")
        found.continued = True
        return {}

    def _StopDeployment(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._end(self._found(asked["deploymentId"]), "Stopped")
        return {"status": "Succeeded", "statusMessage": "stopped"}

    # What becomes of a deployment.

    def _begin(self, asked: dict[str, Any]) -> Deployment:
        info = {name: asked[name] for name in KEPT if name in asked}
        number = len(self.deployments) + 1
        info |= {
            "deploymentId": f"d-{number:09d}",
            "status": "Created",
            "createTime": datetime.now(UTC) + timedelta(microseconds=number),
            "creator": "user",
        }
        made = Deployment(info, self.servers, dict(self.failing))
        self.deployments.append(made)
        return made

    def _move(self, deployment: Deployment) -> None:
        status = deployment.info["status"]
        if status not in OPEN:
            return
        if status == "Created":
            deployment.info["status"] = "InProgress"
            return
        if self.blue_green and deployment.moves == len(EVENTS) - 1 and not deployment.continued:
            deployment.info["status"] = "Ready"
            return
        deployment.info["status"] = "InProgress"
        deployment.moves += 1
        if any(EVENTS.index(event) < deployment.moves for event, _ in deployment.failing.values()):
            self._end(deployment, "Failed")
        elif deployment.moves == len(EVENTS):
            self._end(deployment, "Succeeded")

    def _end(self, deployment: Deployment, status: str) -> None:
        info = deployment.info
        info |= {"status": status, "completeTime": datetime.now(UTC)}
        if status != "Failed":
            return
        info["errorInformation"] = {"code": "HEALTH_CONSTRAINTS", "message": "Too few healthy instances are available."}
        good = [each for each in self.deployments if each.info["status"] == "Succeeded"]
        if info.get("autoRollbackConfiguration", {}).get("enabled") and good:
            self.failing = {}
            again = self._begin({**good[-1].info, "description": f"rollback of {info['deploymentId']}"})
            info["rollbackInfo"] = {"rollbackDeploymentId": again.info["deploymentId"]}

    def _target(self, deployment: Deployment, server: str) -> dict[str, Any]:
        event, output = deployment.failing.get(server, ("", ""))
        events = []
        for number, name in enumerate(EVENTS):
            over = number < deployment.moves
            made: dict[str, Any] = {"lifecycleEventName": name, "status": "Succeeded" if over else "Pending"}
            if over and name == event:
                diagnostics = {"errorCode": "ScriptFailed", "scriptName": "bin/start.sh", "logTail": output}
                diagnostics |= {"message": "Script failed with exit code 1"}
                made |= {"status": "Failed", "diagnostics": diagnostics}
            events.append(made)
            if made["status"] == "Failed":
                break
        instance = {
            "deploymentId": deployment.info["deploymentId"],
            "targetId": server,
            "targetArn": f"arn:aws:ec2:us-east-1:123456789012:instance/{server}",
            "status": "InProgress",
            "lifecycleEvents": events,
        }
        return {"deploymentTargetType": "InstanceTarget", "instanceTarget": instance}

    def _found(self, deployment: str) -> Deployment:
        for each in self.deployments:
            if each.info["deploymentId"] == deployment:
                return each
        raise Refusal("DeploymentDoesNotExistException")

    def _known(self, application: str, group: str = "prod") -> None:
        if application != "blog":
            raise Refusal("ApplicationDoesNotExistException")
        if group != "prod":
            raise Refusal("DeploymentGroupDoesNotExistException")


def model() -> Any:
    """The service's model."""
    from botocore.loaders import create_loader  # noqa: PLC0415  (only who asks needs it)
    from botocore.model import ServiceModel  # noqa: PLC0415

    return ServiceModel(create_loader().load_service_model("codedeploy", "service-2"))


def check(value: Mapping[str, Any], shape: Any) -> None:
    """Raise ValueError when ``value`` is not of that shape."""
    from botocore.validate import ParamValidator  # noqa: PLC0415

    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        raise ValueError(report.generate_report())


def handler(server: CodeDeployServer) -> type[BaseHTTPRequestHandler]:
    """What answers the requests to ``server``."""

    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer one request: JSON 1.1, the operation in a header."""
            parameters = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            status, value = 200, {}
            try:
                value = server.answer(operation, parameters)
            except Refusal as error:
                status, value = 400, {"__type": str(error), "message": f"said by a test: {error}"}
            except ValueError as error:
                status, value = 400, {"__type": "ValidationException", "message": str(error)}
            data = json.dumps(value, default=lambda moment: moment.timestamp()).encode()
            with suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (as it is there)
            """Nothing: `requests` tells."""

    return Handler
