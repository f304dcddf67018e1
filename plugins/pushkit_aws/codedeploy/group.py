"""`Group`: the deployment group of a target: what was deployed to it, and deploying to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pushkit import (
    Action,
    Finding,
    LogEntry,
    PushFailed,
    PushRefused,
    Release,
    Revision,
    Run,
    Severity,
    Status,
    Step,
    TargetError,
)
from pushkit_aws.appspec import Platform
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.following import Following
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.codedeploy.revision import Content, Revised, of_deployment
from pushkit_aws.codedeploy.service import Service

#: How many deployments back `status`, `log` and `rollback` look.
DEPTH = 50
#: A description may be as long (API reference, Description), in characters.
LONGEST = 256
#: What CodeDeploy calls a platform (API reference, ComputePlatform).
CALLED: dict[Platform, str] = {"server": "Server", "lambda": "Lambda", "ecs": "ECS"}


class Group:
    """The deployment group. `connect` comes first."""

    def __init__(self, run: Run, options: CodeDeployOptions, clients: Clients) -> None:
        self._run = run
        self._options = options
        self._service = Service(run, options, clients)
        self._info: Mapping[str, Any] = {}

    def connect(self) -> None:
        """Ask for the group. Raises `TargetError` when there is none that we may see, or it is of another platform."""
        self._info = self._service.group()
        found = str(self._info.get("computePlatform") or "Server")
        if found != CALLED[self._options.platform]:
            names = {called: platform for platform, called in CALLED.items()}
            raise TargetError(
                f"{self._options.deployment_group} is a group of the platform {found}",
                hint=f'platform = "{names.get(found, found)}"',
            )

    @property
    def _pauses(self) -> float:
        """Seconds that a blue/green deployment waits: for somebody who moves the traffic, and before what had it ends.

        It has not succeeded until both are over.
        """
        config: Mapping[str, Any] = self._info.get("blueGreenDeploymentConfiguration") or {}
        ready = config.get("deploymentReadyOption") or {}
        ending = config.get("terminateBlueInstancesOnDeploymentSuccess") or {}
        minutes = 0
        if self._options.at_ready == "wait" and ready.get("actionOnTimeout") == "STOP_DEPLOYMENT":
            minutes += int(ready.get("waitTimeInMinutes") or 0)
        if ending.get("action") == "TERMINATE":
            minutes += int(ending.get("terminationWaitTimeInMinutes") or 0)
        return minutes * 60.0

    @cached_property
    def last(self) -> Mapping[str, Any] | None:
        """The last deployment that succeeded."""
        last = (self._info.get("lastSuccessfulDeployment") or {}).get("deploymentId")
        return self._service.deployment(str(last)) if last else None

    def deployments(self) -> list[tuple[Mapping[str, Any], Revised]]:
        """The last deployments with their revisions, the oldest first."""
        found = [(each, of_deployment(each)) for each in reversed(self._service.deployments(DEPTH))]
        return [(info, revision) for info, revision in found if revision]

    def good(self) -> list[tuple[Mapping[str, Any], Revised]]:
        """Those that succeeded, the newest first."""
        return [each for each in reversed(self.deployments()) if each[0].get("status") == "Succeeded"]

    def text(self, revision: Content) -> str:
        """The AppSpec of a revision; empty when CodeDeploy does not tell."""
        return self._service.content(revision).text

    def register(self, revision: Revised, description: str) -> None:
        """Make a revision known to the application."""
        self._service.register(revision, description[:LONGEST])

    def deploy(self, revision: Revised, description: str, config: str = "") -> str:
        """Deploy a revision and follow that to its end; its id. ``config`` is another deployment configuration.

        Raises `PushFailed` with what became of it, `Busy` when another deployment is under way.
        """
        deployment = self._service.deploy(revision, description[:LONGEST], config)
        self._run.note(f"{deployment} was begun")
        try:
            Following(self._run, self._options, self._service, self._pauses).follow(deployment)
        except TargetError as error:
            raise PushFailed(f"{error.message}; {deployment} goes on", hint=error.hint) from error
        return deployment

    def rollback(self, release: str) -> Release:
        """Deploy an earlier revision again: that of a deployment, or the last good one that was another."""
        if not self.last:
            raise PushRefused(
                f"nothing was deployed to {self._options.deployment_group} yet",
                hint="push first: there is nothing to go back to",
            )
        current = of_deployment(self.last)
        for each, revision in self.good():
            if each.get("deploymentId") == release if release else revision != current:
                was = str(each["deploymentId"])
                why = f"back to {was}: {each.get('description', '')}"
                known = self._service.content(revision) if isinstance(revision, Content) else revision
                if isinstance(known, Content) and not known.text:
                    raise TargetError(
                        f"CodeDeploy does not tell the AppSpec of {was} any more",
                        hint="push the revision that it was of",
                    )
                with self._run.step(Step(Action.SWITCH, self._options.deployment_group, why)):
                    deployment = self.deploy(known, f"back to {was}, by {self._run.person}")
                return Release(deployment, Revision("", False, ""), datetime.now(UTC), self._run.person)
        raise PushRefused(
            f"there is no good deployment {release}" if release else "there is no good deployment before the live one",
            hint="see which there are: push log",
        )

    def status(self) -> Status:
        """The last deployment that succeeded, and those that it can be rolled back to."""
        releases = tuple(released(*each) for each in self.good())[::-1]
        if not self.last:
            return Status("", releases=releases)
        last = self.last
        return Status(str(last["deploymentId"]), last.get("completeTime"), str(last.get("description") or ""), releases)

    def log(self) -> list[LogEntry]:
        """The last deployments, whatever began them."""
        found = reversed(self._service.deployments(DEPTH))
        return [
            LogEntry(
                number,
                each.get("completeTime") or each["createTime"],
                str(each.get("creator") or ""),
                str(each.get("description") or "deployment"),
                str(each["deploymentId"]),
                str((each.get("previousRevision") or {}).get("s3Location", {}).get("key", "")),
                str(each.get("status", "")).lower(),
            )
            for number, each in enumerate(found, 1)
        ]

    def check(self) -> Finding:
        """What the group is."""
        platform = self._info.get("computePlatform", "Server")
        kind = (self._info.get("deploymentStyle") or {}).get("deploymentType") or "IN_PLACE"
        return Finding(Severity.OK, self._options.deployment_group, f"{platform}, {kind}")


def described(run: Run, revision: Revision) -> str:
    """What is pushed, and by whom."""
    return f"{run.project.name} {revision.short}, by {run.person}"


def released(info: Mapping[str, Any], revision: Revised) -> Release:
    """A deployment as push has releases."""
    created = info.get("createTime")
    made = created if isinstance(created, datetime) else datetime.fromtimestamp(0, UTC)
    words = str(info.get("description") or "")
    return Release(str(info["deploymentId"]), Revision("", False, revision.digest), made, words)
