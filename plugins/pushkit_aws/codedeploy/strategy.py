"""`CodeDeployStrategy`: the snapshot as a revision of an application, deployed to a group of servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pushkit import (
    Action,
    Archive,
    Entry,
    Finding,
    Kind,
    Plan,
    PushRefused,
    Release,
    Run,
    Severity,
    Snapshot,
    Step,
    Strategy,
    TargetError,
    pack,
)
from pushkit_aws.appspec import load
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.group import described
from pushkit_aws.codedeploy.group_strategy import GroupStrategy
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.codedeploy.revision import of_deployment, of_version
from pushkit_aws.s3.bundle import Bundle


class CodeDeployStrategy(GroupStrategy):
    """Deployed by AWS CodeDeploy: a bundle to servers, a function's version, a service's task definition."""

    @classmethod
    def of(cls, options: CodeDeployOptions, run: Run) -> Strategy[Any]:
        """Functions and services have strategies of their own."""
        if options.platform == "lambda":
            from pushkit_aws.function.strategy import FunctionStrategy  # noqa: PLC0415  (one of three is needed)

            return FunctionStrategy(options, run)
        if options.platform == "ecs":
            from pushkit_aws.tasks.strategy import TaskStrategy  # noqa: PLC0415

            return TaskStrategy(options, run)
        return cls(options, run)

    def __init__(self, options: CodeDeployOptions, run: Run) -> None:
        super().__init__(options, run)
        self._store = Clients(run, options.for_s3(), path_style=options.path_style)
        self._bundle = Bundle(run, options.for_s3(), self._store)

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._store.close()

    def plan(self, snapshot: Snapshot) -> Plan:
        """Validate the AppSpec, and compare the bundle with what was deployed last.

        Raises `AppSpecError` with every problem, `PushRefused` when a script is missing, `TargetError`.
        """
        warnings = self._appspec(snapshot)
        key, archive = self._bundle.key(snapshot), self._archive(snapshot)
        there = self._bundle.look(key)
        same = there is not None and there.sha256 == archive.sha256.hex()
        live = self._group.last
        deployed = of_deployment(live) if live else None
        name = self.run.target.name
        live_id = str(live["deploymentId"]) if live else ""
        if same and there and deployed == of_version(self.options.bucket, self._packing, there) and not self.run.repair:
            return Plan(name, (), kept=snapshot.files, live=live_id, warnings=warnings)
        steps = []
        if not same:
            why = "another bundle is there" if there else "new"
            steps.append(Step(Action.ADD, f"s3://{self.options.bucket}/{key}", why, archive.size))
        steps.append(Step(Action.RUN, "register", f"a revision of {self.options.application}"))
        steps.append(Step(Action.SWITCH, self.options.deployment_group, f"from {live_id}" if live_id else "the first"))
        return Plan(name, tuple(steps), live=live_id, warnings=warnings)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Send the bundle, register it, deploy it, and follow the deployment to its end."""
        key, archive = self._bundle.key(snapshot), self._archive(snapshot)
        words = described(self.run, snapshot.revision)
        *before, deploying = plan.steps
        sent = None
        for step in before:
            with self.run.step(step):
                if step.action is Action.ADD:
                    sent = self._bundle.send(step, key, archive, snapshot)
                else:
                    sent = sent or self._bundle.look(key)
                    if sent is None:
                        raise TargetError(f"{key} is not in {self.options.bucket} any more", hint="push again")
                    bundle = of_version(self.options.bucket, self._packing, sent)
                    self._group.register(bundle, words)
        with self.run.step(deploying):
            deployment = self._group.deploy(bundle, words)
        return Release(deployment, snapshot.revision, datetime.now(UTC), self.run.person)

    def check(self) -> Sequence[Finding]:
        """The group, and the bucket."""
        found = [*super().check()]
        try:
            self._bundle.look(self.run.project.name)
        except TargetError as error:
            found.append(Finding(Severity.ERROR, self.options.bucket, error.message, error.hint))
        else:
            found.append(Finding(Severity.OK, self.options.bucket, "answers, and lets us look"))
        return found

    @property
    def _packing(self) -> str:
        return self.options.for_s3().packing

    _packed: tuple[Snapshot, Archive] | None = None

    def _archive(self, snapshot: Snapshot) -> Archive:
        """The bundle, packed once."""
        if self._packed is None or self._packed[0] is not snapshot:
            path = self.run.scratch / f"{self.run.target.name}.bundle"
            path.unlink(missing_ok=True)
            self._packed = (snapshot, pack(snapshot, self.options.for_s3().packing, path, self.run.check))
        return self._packed[1]

    def _appspec(self, snapshot: Snapshot) -> tuple[str, ...]:
        """What the AppSpec warns of. Raises `AppSpecError`, and `PushRefused` when it or what it names is missing."""
        files = {entry.path: entry for entry in snapshot.entries}
        entry = files.get(self.options.appspec_path)
        if entry is None or entry.kind is not Kind.FILE:
            raise PushRefused(
                f"there is no {self.options.appspec_path} in what is pushed", hint="see what travels: push files"
            )
        spec = load(snapshot.read(entry), self.options.appspec_path, "server")
        missing = [
            f"{event}: {hook.location} (line {hook.line})"
            for event, hooks in spec.hooks.items()
            for hook in hooks
            if hook.location.lstrip("/") not in files
        ]
        missing += [
            f"files: {file.source} (line {file.line})"
            for file in spec.files
            if file.source.strip("/") and file.source.strip("/") not in files
        ]
        if missing:
            raise PushRefused(
                f"{self.options.appspec_path} names what is not pushed: {'; '.join(missing)}",
                hint="correct it, or see why it is left out: push files --why PATH",
            )
        return (
            *(f"{self.options.appspec_path}: {each.message}" for each in spec.warnings),
            *not_executable(spec.hooks, files),
        )


def not_executable(hooks: Mapping[str, Sequence[Any]], files: Mapping[str, Entry]) -> list[str]:
    """Scripts that the agent will have to make executable."""
    found = {hook.location.lstrip("/") for each in hooks.values() for hook in each}
    return [
        f"{path} is not executable; the agent makes it so" for path in sorted(found) if not files[path].mode & 0o100
    ]
