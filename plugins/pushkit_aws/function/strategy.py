"""`FunctionStrategy`: the snapshot as a version of a function of Lambda, to which an alias moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pushkit import (
    Action,
    Busy,
    Finding,
    LogEntry,
    Plan,
    PushFailed,
    PushRefused,
    Release,
    Revision,
    Run,
    Severity,
    Snapshot,
    Status,
    Step,
    Strategy,
    TargetError,
)
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.group import described
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.function.alias import Alias, told
from pushkit_aws.function.function import Function
from pushkit_aws.function.package import Package, unreadable
from pushkit_aws.function.shares import ShareShift
from pushkit_aws.function.shift import GroupShift, Shift
from pushkit_aws.function.version import released


class FunctionStrategy(Strategy[CodeDeployOptions]):
    """A version of a function, published and given the traffic of an alias."""

    name = "codedeploy"
    repairs = True
    Options = CodeDeployOptions

    def __init__(self, options: CodeDeployOptions, run: Run) -> None:
        super().__init__(options, run)
        self._clients = Clients(run, options)
        self._store = Clients(run, options.for_s3(), path_style=options.path_style) if options.bucket else None
        self._function = Function(run, options, self._clients)
        self._shift: Shift = (
            GroupShift(run, options, self._clients, self._function)
            if options.application
            else ShareShift(run, options, self._clients, self._function)
        )

    def connect(self) -> None:
        """Ask for the function, and for what moves the traffic. Raises `TargetError` when it cannot be had."""
        self._latest: Mapping[str, Any] = self._function.configuration()
        self._shift.connect()

    def close(self) -> None:
        """Close the connections."""
        self._clients.close()
        if self._store:
            self._store.close()

    def plan(self, snapshot: Snapshot) -> Plan:
        """Compare the package with what is live. Raises `PushRefused` for what cannot be pushed, `TargetError`."""
        options, name = self.options, self.run.target.name
        if self._latest.get("PackageType", "Zip") != "Zip":
            raise PushRefused(f"{options.function} is made of a container image, not of files")
        package = self._package(snapshot)
        alias = self._function.alias()
        live = alias.version if alias else ""
        warnings = tuple(unreadable(snapshot))
        if alias and not self.run.repair:
            if alias.shares and not options.application:
                raise PushRefused(
                    f"{told(alias.shares)}: another push is under way, or was cut off",
                    hint="give all the traffic back: push rollback; or push --repair takes it from there",
                )
            if not alias.shares and self._function.configuration(live).get("CodeSha256") == package.digest:
                return Plan(name, (), kept=snapshot.files, live=live, warnings=warnings)
        steps = []
        if self._latest.get("CodeSha256") != package.digest:
            steps = [
                *package.steps(),
                Step(Action.REPLACE, options.function, "the code is another", package.archive.size),
            ]
        steps.append(Step(Action.RUN, "publish", f"a version of {options.function}"))
        way = "all at once" if not options.shift else f"{', '.join(options.shift)}, all"
        way = "by CodeDeploy" if options.application else way
        reason = f"from version {live}, {way}" if alias else "the first"
        steps.append(Step(Action.SWITCH, f"{options.function}:{options.alias}", reason))
        return Plan(name, tuple(steps), live=live, warnings=warnings)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Send the code, publish it, move the traffic."""
        package = self._package(snapshot)
        words = described(self.run, snapshot.revision)
        version = ""
        for step in plan.steps:
            with self.run.step(step):
                match step.action:
                    case Action.ADD:
                        package.send(step)
                    case Action.REPLACE:
                        self._function.code(package.content())
                        self.run.progress(step, step.size * (self._store is None))
                    case Action.RUN:
                        with self._nothing_live(plan.live):
                            version = self._function.publish(package.digest, words)
                        self.run.note(f"version {version} of {self.options.function} was published")
                    case _:
                        with self._nothing_live(plan.live):
                            self._switch(plan.live, version, words)
        return Release(version, snapshot.revision, datetime.now(UTC), self.run.person)

    def rollback(self, release: str = "") -> Release:
        """Give the traffic to an earlier version at once; also what a push that was cut off has of it."""
        live = self._function.alias()
        if live is None:
            raise PushRefused(f"{self.options.function} has no alias {self.options.alias} yet", hint="push makes it")
        if live.shares and self.options.application:
            raise Busy(f"a deployment is under way: {told(live.shares)}", hint="wait for it, or stop it in CodeDeploy")
        version = live.version if live.shares and not release else self._earlier(live, release)
        subject, words = f"{self.options.function}:{self.options.alias}", f"back to {version}, by {self.run.person}"
        with self.run.step(Step(Action.SWITCH, subject, f"back to version {version}")):
            self._shift.back(live, version, live.words if version == live.version else words)
        return Release(version, Revision("", False, ""), datetime.now(UTC), self.run.person)

    def status(self) -> Status:
        """The version that the alias has, and those that had it before."""
        live = self._function.alias()
        if live is None:
            return Status("")
        versions = {str(each["Version"]): each for each in self._function.versions()}
        names = [*reversed(self._shift.before(live)), live.version]
        releases = tuple(released(versions[name]) for name in names if name in versions)
        # CodeDeploy leaves the description of an alias as it was.
        words = "" if self.options.application else live.words
        words = words or str(versions.get(live.version, {}).get("Description") or "")
        # `described` ends with who pushed.
        who = words.rpartition(", by ")[2]
        return Status(live.version, None, "; ".join(filter(None, (who, told(live.shares)))), releases)

    def log(self) -> Sequence[LogEntry]:
        """The deployments, each to a version, or the versions where there are none."""
        return self._shift.log(self._function.alias(), self._function.versions())

    def check(self) -> Sequence[Finding]:
        """The function, its alias, and what moves the traffic."""
        kind = f"{self._latest.get('Runtime') or self._latest.get('PackageType')}, {self._latest.get('Handler', '')}"
        found = [Finding(Severity.OK, self.options.function, kind)]
        alias = self._function.alias()
        if alias is None:
            found.append(Finding(Severity.WARNING, self.options.alias, "there is no such alias; a push makes it"))
        elif alias.shares:
            found.append(Finding(Severity.WARNING, self.options.alias, told(alias.shares)))
        else:
            found.append(Finding(Severity.OK, self.options.alias, f"version {alias.version}"))
        return [*found, *self._shift.check()]

    def _switch(self, planned: str, version: str, words: str) -> None:
        live = self._function.alias()
        if live is None:
            self._function.create_alias(version, words)
        elif live.version != planned:
            raise PushFailed(
                f"the alias went from version {planned or 'none'} to {live.version} meanwhile, and is left there",
                hint="see what is live: push status",
            )
        elif live.shares and not self.run.repair and not self.options.application:
            raise PushFailed(
                f"{told(live.shares)}: another push has begun meanwhile", hint="see what is live: push status"
            )
        elif live.version != version:
            self._shift.to(live, version, words)
        elif live.shares:
            self._shift.back(live, version, live.words)

    @contextmanager
    def _nothing_live(self, live: str) -> Iterator[None]:
        """What fails here has changed the code, and nothing that is live."""
        try:
            yield
        except (Busy, PushFailed):
            raise
        except (TargetError, PushRefused) as error:
            stays = f"version {live} is live, as before" if live else "nothing is live yet"
            raise PushFailed(f"{error.message}; {stays}", hint=error.hint) from error

    def _earlier(self, live: Alias, release: str) -> str:
        versions = [str(each["Version"]) for each in self._function.versions()]
        if release:
            if release in versions:
                return release
            raise PushRefused(f"there is no version {release}", hint="see which there are: push log")
        for version in self._shift.before(live):
            if version in versions and version != live.version:
                return version
        raise PushRefused(
            f"it is not known which version was live before {live.version}", hint="name one: push rollback VERSION"
        )

    _packed: tuple[Snapshot, Package] | None = None

    def _package(self, snapshot: Snapshot) -> Package:
        if self._packed is None or self._packed[0] is not snapshot:
            self._packed = (snapshot, Package(self.run, self.options, self._store, snapshot))
        return self._packed[1]
