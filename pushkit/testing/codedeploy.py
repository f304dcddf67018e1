"""AWS CodeDeploy, as far as a push needs it: one application, one deployment group, and what is deployed to.

Every request and every answer is held against the service's own model, as botocore has it. A deployment moves by one
lifecycle event each time that it is looked at; a test says what fails. Requests to other services are handed on to a
server of those, so that one endpoint stands for all of AWS.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from pushkit.testing.aws_rights import of_codedeploy, of_request, refusal
from pushkit.testing.codedeploy_handler import handler
from pushkit.testing.codedeploy_platform import PLATFORMS, Deployment
from pushkit.testing.listener import HttpServer

OPEN = {"Created", "InProgress", "Ready"}
#: What a deployment tells as it was asked for it.
KEPT = (
    *("applicationName", "deploymentGroupName", "revision", "description", "autoRollbackConfiguration"),
    *("deploymentConfigName", "fileExistsBehavior", "ignoreApplicationStopFailures"),
)


class Refusal(Exception):
    """An error of the API, by its code, with its message."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.message = message or f"said by a test: {code}"


class CodeDeployServer(HttpServer):
    """The service at `url` from `start` to `stop`.

    ``platform`` is ``Server``, ``Lambda`` or ``ECS``; ``servers`` are the group's. ``failing`` says which lifecycle
    event of the next deployments fails on which target, and what its script wrote. ``blue_green``: a deployment becomes
    Ready and waits; ``pauses`` are the minutes until the group stops it, and until what had the traffic ends. ``pace``
    is how many events are over each time that a deployment is looked at. ``shares`` of the traffic go one after the
    other to what is new, and ``shifted`` is told of each. ``refusals`` are codes of errors, by operation, each answered
    once. ``allowed`` says of an action and a resource whether they are. ``requests`` are operation and parameters of
    each request. ``rest`` is the URL of a server of all other services; ``instead`` may answer a request to it, by its
    method, path and body.
    """

    def __init__(
        self,
        *,
        servers: tuple[str, ...] = ("i-1", "i-2"),
        blue_green: bool = False,
        platform: str = "Server",
        rest: str = "",
    ) -> None:
        super().__init__(host="127.0.0.1")
        self.servers = servers
        self.blue_green = blue_green
        self.platform = PLATFORMS[platform]
        self.rest = rest
        self.pauses: tuple[int, int] | None = None
        self.shares: tuple[float, ...] = (10, 100)
        self.failing: dict[str, tuple[str, str]] = {}
        self.refusals: dict[str, list[str]] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.deployments: list[Deployment] = []
        self.revisions: list[dict[str, Any]] = []
        self.paused = False
        self.pace = 1
        self.shifted: Callable[[Mapping[str, Any], float], None] = lambda properties, share: None
        self.allowed: Callable[[str, str], bool] = lambda action, resource: True
        self.instead: Callable[[str, str, bytes], tuple[int, dict[str, Any]] | None] = lambda method, path, body: None
        self._model = model()
        self._lock = threading.Lock()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each request for ``operation``."""
        return [parameters for name, parameters in self.requests if name == operation]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return handler(self)

    def reply(self, operation: str, content: bytes) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of the answer to a request for ``operation``."""
        try:
            return 200, self.answer(operation, json.loads(content or b"{}"))
        except Refusal as error:
            return 400, {"__type": str(error), "message": error.message}
        except ValueError as error:
            return 400, {"__type": "ValidationException", "message": str(error)}

    def elsewhere(self, method: str, path: str, target: str, content: bytes) -> tuple[int, dict[str, Any]] | None:
        """What is answered in the place of another service; None where that answers."""
        for action, resource in of_request(method, path, target, content):
            if not self.allowed(action, resource):
                said = refusal(action, resource)
                return 403, {"__type": "AccessDeniedException", "Message": said, "message": said}
        return self.instead(method, path, content)

    def answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises `Refusal`, and `ValueError` for what the service's model does not allow."""
        shapes = self._model.operation_model(operation)
        check(parameters, shapes.input_shape)
        with self._lock:
            self.requests.append((operation, parameters))
            if self.refusals.get(operation):
                raise Refusal(self.refusals[operation].pop(0))
            for action, resource in of_codedeploy(operation, parameters):
                if not self.allowed(action, resource):
                    raise Refusal("AccessDeniedException", refusal(action, resource))
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
            "computePlatform": self.platform.name,
            "deploymentStyle": style,
        }
        if self.pauses:
            info["blueGreenDeploymentConfiguration"] = {
                "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": self.pauses[0]},
                "terminateBlueInstancesOnDeploymentSuccess": {
                    "action": "TERMINATE",
                    "terminationWaitTimeInMinutes": self.pauses[1],
                },
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
        content = asked["revision"].get("appSpecContent")
        if content and hashlib.sha256(content["content"].encode()).hexdigest() != content["sha256"]:
            raise Refusal("InvalidRevisionException")
        if bool(content) == (self.platform.name == "Server"):
            raise Refusal("InvalidRevisionException")
        if not content and asked["revision"] not in self.revisions:
            raise Refusal("RevisionDoesNotExistException")
        return {"deploymentId": self._begin(asked).info["deploymentId"]}

    def _GetDeployment(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(asked["deploymentId"])
        for _ in range(0 if self.paused else self.pace):
            self._move(found)
        return {"deploymentInfo": found.info}

    def _ListDeployments(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"deployments": [each.info["deploymentId"] for each in self.deployments]}

    def _BatchGetDeployments(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"deploymentsInfo": [briefly(self._found(each).info) for each in asked["deploymentIds"]]}

    def _GetApplicationRevision(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._known(asked["applicationName"])
        wanted = briefly(asked)["revision"]
        for each in self.revisions:
            if briefly({"revision": each})["revision"] == wanted:
                return {"applicationName": asked["applicationName"], "revision": each}
        raise Refusal("RevisionDoesNotExistException")

    def _ListDeploymentTargets(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"targetIds": list(self.platform.ids(self._found(asked["deploymentId"])))}

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
        found = self._found(asked["deploymentId"])
        self._end(found, "Stopped", rollback=asked.get("autoRollbackEnabled", False))
        back = found.info.get("rollbackInfo", {}).get("rollbackDeploymentId")
        # Who asked to stop looks at nothing any more.
        while back and self._found(back).info["status"] in OPEN:
            self._move(self._found(back))
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
        if info["revision"] not in self.revisions:
            self.revisions.append(info["revision"])
        made = Deployment(info, self.servers, dict(self.failing))
        self.deployments.append(made)
        return made

    def _move(self, deployment: Deployment) -> None:
        status, events = deployment.info["status"], self.platform.events
        if status not in OPEN:
            return
        if status == "Created":
            deployment.info["status"] = "InProgress"
            return
        if self.blue_green and deployment.moves == len(events) - 1 and not deployment.continued:
            deployment.info["status"] = "Ready"
            return
        deployment.info["status"] = "InProgress"
        if events[deployment.moves] == "AllowTraffic" and deployment.shifts < len(self.shares):
            deployment.traffic = self.shares[deployment.shifts]
            deployment.shifts += 1
            self._shift(deployment)
            if deployment.shifts < len(self.shares):
                return
        deployment.moves += 1
        if any(events.index(event) < deployment.moves for event, _ in deployment.failing.values()):
            self._end(deployment, "Failed")
        elif deployment.moves == len(events):
            self._end(deployment, "Succeeded")

    def _shift(self, deployment: Deployment) -> None:
        self.shifted(deployment.properties, deployment.traffic)

    def _end(self, deployment: Deployment, status: str, *, rollback: bool = False) -> None:
        info = deployment.info
        info |= {"status": status, "completeTime": datetime.now(UTC)}
        if status == "Succeeded":
            return
        if status == "Failed":
            info["errorInformation"] = self.platform.error()
            rollback = bool(info.get("autoRollbackConfiguration", {}).get("enabled"))
        good = [each for each in self.deployments if each.info["status"] == "Succeeded"]
        revision = self.platform.reverse(deployment, good[-1].info["revision"] if good else None)
        if rollback and revision:
            self.failing = {}
            words = f"rollback of {info['deploymentId']}"
            again = self._begin({**info, "revision": revision, "description": words})
            again.info["creator"] = "codeDeployRollback"
            # All at once, and without waiting for anybody.
            again.shifts, again.continued = max(len(self.shares) - 1, 0), True
            info["rollbackInfo"] = {"rollbackDeploymentId": again.info["deploymentId"]}

    def _target(self, deployment: Deployment, server: str) -> dict[str, Any]:
        event, output = deployment.failing.get(server, ("", ""))
        events = []
        for number, name in enumerate(self.platform.events):
            over = number < deployment.moves
            made: dict[str, Any] = {"lifecycleEventName": name, "status": "Succeeded" if over else "Pending"}
            if over and name == event:
                made |= {"status": "Failed", "diagnostics": self.platform.diagnostics(output)}
            events.append(made)
            if made["status"] == "Failed":
                break
        target = {
            "deploymentId": deployment.info["deploymentId"],
            "targetId": server,
            "status": "InProgress",
            "lifecycleEvents": events,
        }
        return self.platform.told(deployment, target)

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


def briefly(info: Mapping[str, Any]) -> dict[str, Any]:
    """A deployment without the text of its AppSpec, which lists of deployments leave out."""
    content = info["revision"].get("appSpecContent")
    if not content:
        return dict(info)
    revision = {**info["revision"], "appSpecContent": {"sha256": content["sha256"]}}
    return {**info, "revision": revision}


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
