"""A deployment of a bundle to this machine, from its first event to its last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pushkit import (
    Interrupted,
    Outcome,
    Plan,
    PlanReady,
    Problem,
    PushFailed,
    PushFinished,
    PushkitError,
    PushRefused,
    Receipt,
    Release,
    Revision,
    Run,
    Step,
    TargetError,
)
from pushkit_aws.appspec import WITHOUT_SCRIPTS, AppSpec, Behavior, Hook, load
from pushkit_aws.local.bundle import find_appspec, strip, unpack
from pushkit_aws.local.grants import user_id
from pushkit_aws.local.hooks import Hooks, runas_obstacle, step
from pushkit_aws.local.install import Installer, Prepared
from pushkit_aws.local.order import OF_THE_LAST
from pushkit_aws.local.request import Request
from pushkit_aws.local.root import Root
from pushkit_aws.local.script import GRACE
from pushkit_aws.local.state import State

ARCHIVE = "deployment-archive"
HINT = "set file_exists_behavior in the AppSpec, -b OVERWRITE or -b RETAIN; or take away what is there"


class Deployment:
    """One deployment, as ``request`` asks for it. ``grace`` is as of a script, in seconds."""

    def __init__(self, request: Request, run: Run, grace: float = GRACE) -> None:
        self._request = request
        self._run = run
        self._grace = grace
        self._state = State(request.state, request.group)
        self._root = Root(request.root)
        self._installer = Installer(run, self._root, self._state, lenient=request.installs_elsewhere)
        self._changed = False
        self._done = 0

    def plan(self) -> Plan:
        """What `carry_out` would do. Unpacks into the scratch directory, and changes nothing else."""
        self._state.check_root(self._root.top)
        archive = self._run.scratch / ARCHIVE
        spec = self._unpacked(archive)
        return self._planned(spec, archive)

    def carry_out(self) -> str:
        """Deploy; the deployment's id. Raises `TargetError` where nothing changed, `PushFailed` where something did.

        A revision that cannot be unpacked or is not valid is told before the first script runs.
        """
        begun = time.monotonic()
        with self._state.held(self._root.top):
            deployment = self._state.new()
            try:
                spec = self._unpacked(deployment / ARCHIVE)
                plan = self._planned(spec, deployment / ARCHIVE)
            except BaseException:
                self._state.discard(deployment)
                raise
            self._run.emit(PlanReady(self._run.target.name, plan))
            with self._told(deployment.name, plan, begun):
                for event in self._request.events:
                    self._event(event, spec, deployment)
            return deployment.name

    def _unpacked(self, archive: Path) -> AppSpec:
        """Unpack the bundle and read its AppSpec. Raises `TargetError` and `AppSpecError`: nothing changed."""
        unpack(self._request.location, self._request.kind, archive, self._run.check)
        strip(archive, self._request.appspec)
        spec = self._spec(archive)
        for problem in spec.warnings:
            self._run.warn(told(spec.name, problem))
        if spec.os != "linux":
            raise TargetError(f"{spec.name} is for {spec.os}, and this machine is not")
        return spec

    def _spec(self, archive: Path) -> AppSpec:
        path = find_appspec(archive, self._request.appspec)
        return load(path.read_bytes(), path.name, "server", events=self._request.events)

    def _behavior(self, spec: AppSpec) -> Behavior:
        return spec.file_exists_behavior or self._request.behavior

    def _planned(self, spec: AppSpec, archive: Path) -> Plan:
        """The plan of all events. Raises `TargetError` for what would fail for sure."""
        try:
            prepared = self._installer.prepare(spec, archive, self._behavior(spec))
        except OSError as error:
            raise TargetError(f"{error.filename}: {error.strerror}; nothing was changed") from error
        obstacles = [*self._installer.obstacles(prepared), *self._runas_obstacles(spec)]
        if obstacles:
            raise TargetError("; ".join(dict.fromkeys(obstacles)), hint="nothing was changed")
        steps: list[Step] = []
        for event in self._request.events:
            if event == "Install":
                steps += prepared.steps()
            else:
                _, hooks = self._hooks(event, spec, archive.parent)
                steps += (step(event, hook) for hook in hooks)
        warnings = [*self._installer.warnings(prepared), *self._foreseen(spec, prepared)]
        kept = len(prepared.instructions.retained)
        return Plan(self._run.target.name, tuple(steps), kept=kept, warnings=tuple(warnings))

    def _foreseen(self, spec: AppSpec, prepared: Prepared) -> Iterator[str]:
        """A warning of what is in the way. A script of BeforeInstall may take it away: it is looked at again then."""
        if prepared.instructions.in_the_way:
            unless = " unless BeforeInstall takes them away" if spec.hooks.get("BeforeInstall") else ""
            yield (
                f"{in_words(prepared.instructions.in_the_way)}: Install will fail{unless}, "
                "and the last deployment stays; codedeploy-agent would delete it first"
            )

    def _runas_obstacles(self, spec: AppSpec) -> Iterator[str]:
        for event in self._request.events:
            for hook in spec.hooks.get(event, ()):
                if obstacle := runas_obstacle(hook, self._state.group, lambda name: user_id(name) is not None):
                    yield obstacle

    def _hooks(self, event: str, spec: AppSpec, deployment: Path) -> tuple[Path, tuple[Hook, ...]]:
        """The deployment whose scripts an event runs, and the scripts."""
        if event in WITHOUT_SCRIPTS["server"]:
            return deployment, ()
        if event not in OF_THE_LAST:
            return deployment, spec.hooks.get(event, ())
        last = self._state.last
        if last is None:
            return deployment, ()
        try:
            return last, self._spec(last / ARCHIVE).hooks.get(event, ())
        except (OSError, PushkitError) as error:
            why = error.message if isinstance(error, PushkitError) else error.strerror
            self._run.warn(f"{event} is left out: {last}, which was installed last, cannot be read: {why}")
            return last, ()

    def _event(self, event: str, spec: AppSpec, deployment: Path) -> None:
        """One event. Raises `PushFailed`, or `PushRefused` where nothing changed."""
        self._run.check()
        if event == "Install":
            self._install(spec, deployment)
        elif event == "DownloadBundle":
            self._state.begun(deployment)
            self._state.prune(deployment)
        else:
            revision, hooks = self._hooks(event, spec, deployment)
            self._changed = self._changed or bool(hooks)
            Hooks(self._run, self._variables(deployment), self._grace).event(event, hooks, revision)
            self._done += len(hooks)

    def _install(self, spec: AppSpec, deployment: Path) -> None:
        """Install, unless something is in the way: that is looked at before anything of the last deployment goes."""
        prepared = self._installer.prepare(spec, deployment / ARCHIVE, self._behavior(spec))
        in_the_way, problems = prepared.instructions.in_the_way, prepared.instructions.problems
        if in_the_way or problems:
            message = "; ".join((*([in_words(in_the_way)] if in_the_way else []), *problems))
            if self._changed:
                raise PushFailed(f"Install: {message}; scripts have run, no file was touched", hint=HINT)
            raise PushRefused(f"Install: {message}; nothing was changed", hint=HINT)
        try:
            self._installer.install(prepared)
        except (TargetError, OSError) as error:
            why = error.message if isinstance(error, TargetError) else f"{error.filename}: {error.strerror}"
            hint = "what was installed is in the group's cleanup file: the next deployment removes it"
            raise PushFailed(f"Install: {why}", hint=hint) from error
        self._done += len(prepared.removals) + len(prepared.instructions.makes)
        self._changed = True
        self._state.installed(deployment)

    def _variables(self, deployment: Path) -> Mapping[str, str]:
        """What scripts find in their environment beside the event's name."""
        request = self._request
        return {
            "DEPLOYMENT_ID": deployment.name,
            "APPLICATION_NAME": request.application,
            "DEPLOYMENT_GROUP_NAME": request.group_name,
            "DEPLOYMENT_GROUP_ID": request.group,
            **({"PUSH_ROOT": self._root.top} if request.installs_elsewhere else {}),
        }

    @contextmanager
    def _told(self, name: str, plan: Plan, begun: float) -> Iterator[None]:
        """Tell how it ended."""
        where, size = self._run.target.name, plan.size

        def finished(outcome: Outcome, error: str = "") -> None:
            revision = Revision("", False, "")
            release = Release(name, revision, datetime.now(UTC), self._run.person) if not error else None
            seconds = time.monotonic() - begun
            live = name if not error else ""
            receipt = Receipt(where, outcome, release, live, self._done, (), size, seconds, error)
            self._run.emit(PushFinished(where, receipt))

        try:
            yield
        except PushkitError as error:
            finished(Outcome.INTERRUPTED if isinstance(error, Interrupted) else Outcome.FAILED, error.message)
            raise
        except OSError as error:
            failed = PushFailed(f"{error.filename or 'the deployment'}: {error.strerror}; some of it was done")
            finished(Outcome.FAILED, failed.message)
            raise failed from error
        except BaseException as error:
            finished(Outcome.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Outcome.FAILED, "interrupted")
            raise
        finished(Outcome.DONE)


def in_words(paths: tuple[str, ...]) -> str:
    """What is in the way, the first few by name."""
    rest = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(paths[:3])}{rest} already exist{'s' * (len(paths) == 1)}, and no deployment put it there"


def told(name: str, problem: Problem) -> str:
    """A warning of an AppSpec on one line."""
    place = f"{name}:{problem.line}" if problem.line else name
    words = "; ".join(filter(None, (problem.message, problem.hint)))
    return ": ".join(filter(None, (place, problem.path, words)))
