"""`Shift`: moving the traffic of an alias from one version to another; and `GroupShift`, by CodeDeploy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from pushkit import Finding, LogEntry, PushFailed, Run
from pushkit_aws.appspec import AppSpec, AppSpecError, Resource, emit, load
from pushkit_aws.appspec import Function as Validation
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.group import Group
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.codedeploy.revision import Content, of_text
from pushkit_aws.function.alias import Alias, earlier, told
from pushkit_aws.function.function import Function
from pushkit_aws.function.version import entry

#: How CodeDeploy goes back: nobody wants to wait for it.
AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"


class Shift(Protocol):
    """A way to move the traffic."""

    def connect(self) -> None:
        """Reach what it needs."""

    def to(self, live: Alias, version: str, words: str) -> None:
        """Move the traffic to ``version``, and say so in ``words``. Raises `PushFailed` with what is live then."""

    def back(self, live: Alias, version: str, words: str) -> None:
        """Move all of it at once."""

    def before(self, live: Alias) -> Sequence[str]:
        """The versions that were live before, the last one first, as far as that is known."""

    def log(self, live: Alias | None, versions: Sequence[Mapping[str, Any]]) -> Sequence[LogEntry]:
        """What became of the pushes, the newest last; ``versions`` are those that were published."""

    def check(self) -> Sequence[Finding]:
        """What would stand in the way."""


class GroupShift:
    """By a deployment of CodeDeploy."""

    def __init__(self, run: Run, options: CodeDeployOptions, clients: Clients, function: Function) -> None:
        self._options = options
        self._function = function
        self._group = Group(run, options, clients)

    def connect(self) -> None:
        """Ask for the deployment group."""
        self._group.connect()

    def to(self, live: Alias, version: str, words: str) -> None:
        """Deploy an AppSpec that names both versions, and follow that."""
        self._deploy(live, version, words)

    def back(self, live: Alias, version: str, words: str) -> None:
        """Deploy it with all the traffic at once."""
        self._deploy(live, version, words, AT_ONCE)

    def _deploy(self, live: Alias, version: str, words: str, config: str = "") -> None:
        try:
            self._group.deploy(of_text(self._appspec(live.version, version)), words, config)
        except PushFailed as error:
            # A deployment that fails leaves the traffic where it is, unless it is rolled back.
            after = self._function.alias()
            shares = told(after.shares) if after else ""
            if after is None:
                raise
            raise PushFailed(
                f"{error.message}; version {after.version} is live" + f", {shares}" * bool(shares), hint=error.hint
            ) from error

    def before(self, live: Alias) -> Sequence[str]:
        """What the deployments that succeeded went from and to."""
        now, found = "", ()  # type: tuple[str, tuple[str, ...]]
        for info, current, target in self._deployments():
            # What CodeDeploy itself takes back was never good, and what it goes back to was live before.
            if info.get("status") == "Succeeded" and info.get("creator") != "codeDeployRollback":
                found = earlier(now or current, found, target)
                now = target
        return earlier(now, found, live.version) if now else ()

    def log(self, live: Alias | None, versions: Sequence[Mapping[str, Any]]) -> Sequence[LogEntry]:
        """The deployments, and before them the version that was made live without one."""
        deployments = list(self._deployments())
        first = deployments[0][1] if deployments else live.version if live else ""
        found = [entry(1, each, "live at once") for each in versions if each["Version"] == first]
        for number, (info, current, target) in enumerate(deployments, len(found) + 1):
            ended = info.get("completeTime") or info["createTime"]
            words = f"{info.get('description') or 'deployment'} ({info['deploymentId']})"
            who, outcome = str(info.get("creator") or ""), str(info.get("status", "")).lower()
            found.append(LogEntry(number, ended, who, words, target, current, outcome))
        return found

    def _deployments(self) -> Iterator[tuple[Mapping[str, Any], str, str]]:
        """The deployments of this alias, the oldest first, each with the version that it went from and the one to."""
        for info, revision in self._group.deployments():
            if not isinstance(revision, Content):
                continue
            with suppress(AppSpecError):
                spec = load(self._group.text(revision).encode(), "an AppSpec", "lambda")
                assert spec.resource is not None
                name, alias, current, target = spec.resource.properties.values()
                if (name, alias) == (self._options.function, self._options.alias):
                    yield info, str(current), str(target)

    def check(self) -> Sequence[Finding]:
        """The group."""
        return [self._group.check()]

    def _appspec(self, current: str, target: str) -> str:
        """The AppSpec of a deployment."""
        options = self._options
        properties = {
            "Name": options.function,
            "Alias": options.alias,
            "CurrentVersion": current,
            "TargetVersion": target,
        }
        functions = tuple(Validation(event, name) for event, name in options.hooks.items())
        resource = Resource("Function", "AWS::Lambda::Function", properties)
        return emit(AppSpec("", "lambda", resource=resource, functions=functions))
