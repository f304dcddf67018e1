"""`GroupStrategy`: what pushes have in common that are deployments to a group, whatever they deploy."""

from __future__ import annotations

from collections.abc import Sequence

from pushkit import Finding, LogEntry, Release, Run, Status, Strategy
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.group import Group
from pushkit_aws.codedeploy.options import CodeDeployOptions


class GroupStrategy(Strategy[CodeDeployOptions]):
    """Deployed by AWS CodeDeploy to the group of the target."""

    name = "codedeploy"
    repairs = True
    Options = CodeDeployOptions

    def __init__(self, options: CodeDeployOptions, run: Run) -> None:
        super().__init__(options, run)
        self._clients = Clients(run, options)
        self._group = Group(run, options, self._clients)

    def connect(self) -> None:
        """Ask for the deployment group. Raises `TargetError` when there is none, or we may not see it."""
        self._group.connect()

    def close(self) -> None:
        """Close the connections."""
        self._clients.close()

    def rollback(self, release: str = "") -> Release:
        """Deploy again what was deployed earlier: by a deployment, or the last good one that was another."""
        return self._group.rollback(release)

    def status(self) -> Status:
        """The last deployment that succeeded, and those that it can be rolled back to."""
        return self._group.status()

    def log(self) -> Sequence[LogEntry]:
        """The last deployments, whatever began them."""
        return self._group.log()

    def check(self) -> Sequence[Finding]:
        """The group."""
        return [self._group.check()]
