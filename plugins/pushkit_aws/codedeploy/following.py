"""Follow a deployment to its end: what each target does, why one failed, and the rollback that it began."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pushkit import HostChanged, Interrupted, PushFailed, Run, TargetError
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.codedeploy.service import OVER, Service

#: How a target of each kind is called in an answer: servers, Lambda, ECS, CloudFormation.
KINDS = ("instanceTarget", "lambdaTarget", "ecsTarget", "cloudFormationTarget")


class Following:
    """Tells of deployments as they move. What was told is not told again.

    ``pauses`` are the seconds that the group itself has a deployment wait for.
    """

    def __init__(self, run: Run, options: CodeDeployOptions, service: Service, pauses: float = 0) -> None:
        self._run = run
        self._options = options
        self._service = service
        self._told: dict[tuple[str, str, str], str] = {}
        self._within = options.within + pauses
        self._end = time.monotonic() + self._within

    def follow(self, deployment: str) -> None:
        """Until it succeeded. Raises `PushFailed`, with what failed and what became of it, and `Interrupted`."""
        try:
            info = self._watch(deployment)
        except Interrupted:
            self._leave(deployment)
            raise
        if info.get("status") == "Succeeded":
            return
        ended = f"{deployment} {str(info['status']).lower()}: {self._why(info)}"
        back = str((info.get("rollbackInfo") or {}).get("rollbackDeploymentId") or "")
        if not back:
            raise PushFailed(ended, hint="see what is live: push status")
        self._run.warn(f"{ended}; CodeDeploy goes back by {back}")
        after = str(self._watch(back).get("status")).lower()
        went = "went back" if after == "succeeded" else f"and {back}, to go back, {after} too"
        raise PushFailed(f"{ended}; {went}", hint="see what is live: push status")

    def _watch(self, deployment: str) -> Mapping[str, Any]:
        """The deployment once it is over."""
        continued = False
        while True:
            try:
                info = self._service.deployment(deployment)
                self._tell(deployment)
            except TargetError as error:
                raise PushFailed(
                    f"{error.message}; {deployment} goes on",
                    hint=error.hint or "look at it: push status, or the console",
                ) from error
            status = info.get("status")
            if status in OVER:
                return info
            if status == "Ready" and not continued and self._options.at_ready == "continue":
                self._run.note(f"{deployment}: the new servers are ready; the traffic moves")
                self._service.go_on(deployment)
                continued = True
            elif status == "Ready" and not continued:
                self._run.note(f"{deployment}: the new servers are ready; somebody has to move the traffic")
                continued = True
            if time.monotonic() > self._end:
                raise PushFailed(
                    f"{deployment} is not done after {self._within:g} seconds, and goes on: {status}",
                    hint="look at it: push status; for more time: within = 7200",
                )
            self._run.sleep(self._options.every)

    def _tell(self, deployment: str) -> None:
        """Tell what is new of each target: its lifecycle events, the output of a script that failed, its traffic."""
        for target in self._service.targets(deployment):
            found = one(target)
            name = str(found.get("targetId") or "?").rpartition("/")[2]
            for version, share in shares(found).items():
                if self._told.setdefault((deployment, name, version), "0") != f"{share:g}":
                    self._told[deployment, name, version] = f"{share:g}"
                    self._run.tell(HostChanged(self._run.target.name, name, f"{share:g}% on {version}", "", deployment))
            for event in found.get("lifecycleEvents") or ():
                event_name, status = str(event.get("lifecycleEventName")), str(event.get("status"))
                if status == "Pending" or self._told.get((deployment, name, event_name)) == status:
                    continue
                self._told[deployment, name, event_name] = status
                diagnostics = event.get("diagnostics") or {}
                failed = status == "Failed"
                reason = " ".join(str(diagnostics.get("message") or "").split()) if failed else ""
                state = f"{event_name} {status.lower()}"
                self._run.tell(HostChanged(self._run.target.name, name, state, reason, deployment))
                if failed:
                    for line in str(diagnostics.get("logTail") or "").splitlines():
                        self._run.output(f"{name} {diagnostics.get('scriptName') or event_name}", line)

    def _why(self, info: Mapping[str, Any]) -> str:
        """Why it ended so: the scripts that failed, else what CodeDeploy says."""
        scripts = []
        for target in self._service.targets(str(info["deploymentId"])):
            found = one(target)
            for event in found.get("lifecycleEvents") or ():
                diagnostics = event.get("diagnostics") or {}
                if event.get("status") == "Failed" and diagnostics.get("errorCode") not in {None, "", "Success"}:
                    name = str(found.get("targetId")).rpartition("/")[2]
                    what = diagnostics.get("scriptName") or event.get("lifecycleEventName")
                    scripts.append(f"{what} on {name} ({diagnostics.get('errorCode')})")
        said = str((info.get("errorInformation") or {}).get("message") or "")
        return "; ".join([*dict.fromkeys(scripts), " ".join(said.split())][:4]) or "it does not say why"

    def _leave(self, deployment: str) -> None:
        """Stop it, or say that it goes on, for who asked to stop."""
        if self._options.on_interrupt == "stop":
            with suppress(Exception):
                self._service.stop(deployment)
                self._run.warn(f"{deployment} was asked to stop; look at what is live: push status")
                return
        self._run.warn(f"{deployment} goes on; look at it: push status {self._run.target.name}")


def one(target: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of a target, whatever kind it is of."""
    return next((target[kind] for kind in KINDS if kind in target), {})


def shares(found: Mapping[str, Any]) -> dict[str, float]:
    """The traffic, in percent, of the version or the task set that a deployment is to."""
    function = found.get("lambdaFunctionInfo") or {}
    if "targetVersionWeight" in function:
        return {f"version {function.get('targetVersion')}": float(function["targetVersionWeight"])}
    return {
        str(each.get("taskSetLabel") or each.get("identifer")).lower(): float(each.get("trafficWeight") or 0)
        for each in found.get("taskSetsInfo") or ()
        if each.get("taskSetLabel") == "Green"
    }
