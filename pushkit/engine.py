"""The lifecycle of a push, and the sole owner of the order of its verbs.

load -> resolve secrets -> snapshot (while the strategy connects) -> plan -> guards -> push, or prepare -> receipt.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pushkit import pushfile, registry
from pushkit.capability import comparable, inspectable, joinable, lockable, preparable, resumable, revertible
from pushkit.commits import between
from pushkit.comparison import SECRET_NAME, Change, compare
from pushkit.course import Course
from pushkit.errors import (
    Interrupted,
    Overtaken,
    PushFailed,
    PushkitError,
    PushRefused,
    SnapshotError,
    TargetError,
    UsageError,
)
from pushkit.events import (
    CommandFailed,
    Emit,
    Emitter,
    Held,
    Joined,
    PlanReady,
    PushFinished,
    PushStarted,
    Released,
    Resumed,
    RolledBack,
    SnapshotTaken,
    Switched,
    Warned,
    redacted,
)
from pushkit.model import (
    Finding,
    Hold,
    Host,
    Kind,
    LogEntry,
    Notify,
    Outcome,
    Plan,
    Project,
    Receipt,
    Release,
    Severity,
    Status,
)
from pushkit.observer import Audience, Observer
from pushkit.options import Options
from pushkit.portability import unportable
from pushkit.questions import Ask, Questions
from pushkit.resolver import Resolver
from pushkit.secrets.redaction import Redactor
from pushkit.session import Session, Tally
from pushkit.snapshot import Snapshot, take
from pushkit.strategy import Checkable, Run, Strategy, Verifiable, one_line

if TYPE_CHECKING:
    from pushkit.fleet.options import FleetOptions

# A plan that removes more than this many paths, or more than half of what is live, needs a person's yes.
MANY_REMOVALS = 256
# So many files that may hold a secret are named.
SHOWN = 5
# How often a push is planned whose target keeps changing.
TURNS = 5


class Engine:
    """Runs the commands of one project.

    ``listeners`` hear every event, and who asks gets every answer, redacted. ``confirm`` is asked before anything
    unusual and returns yes or no, or raises `PushRefused`. ``ask`` puts a question of `Run.ask` to a person; an empty
    answer is none. ``environment`` is what commands on this machine run with. ``person`` is ``user@host``.
    ``attended``, ``wait``, ``prepare``, ``repair`` and ``adopt`` are as in `Run`.

    What a strategy cannot do raises `UsageError`.
    """

    def __init__(
        self,
        project: Project,
        *,
        listeners: tuple[Emit, ...],
        cancelled: threading.Event,
        confirm: Callable[[str], bool],
        ask: Ask,
        attended: bool = False,
        environment: Mapping[str, str],
        person: str,
        wait: float = 0.0,
        prepare: bool = False,
        repair: bool = False,
        adopt: bool = False,
    ) -> None:
        self.project = project
        self.redactor = Redactor()
        self._listeners = listeners
        self._cancelled = cancelled
        self._confirm = confirm
        self._attended = attended
        self._questions = Questions(ask, self.redactor)
        self._resolver = Resolver(project.root, self.redactor, self._questions, cancelled)
        self._environment = environment
        self._person = person
        self._wait = wait
        self._prepare = prepare
        self._repair = repair
        self._adopt = adopt
        self._snapshots: dict[tuple[tuple[str, ...], tuple[str, ...]], Snapshot] = {}

    # What the command line asks for.

    def snapshot(self, name: str | None = None) -> Snapshot:
        """The project frozen by the rules of a target (None: of no target), once for targets with the same rules."""
        target = self.project.targets[name] if name else None
        rules = (target.ignore, target.include) if target else ((), ())
        if rules not in self._snapshots:
            self._snapshots[rules] = take(self.project, target, self._cancelled)
        return self._snapshots[rules]

    def plan(self, name: str) -> Plan:
        """What a push of ``name`` would do. Changes nothing."""
        with self._session(name, lazily=True) as session:
            return redacted(self._plan(session, self._freeze(session)), self.redactor)

    def check(self, name: str, *, deep: bool = False) -> list[Finding]:
        """Connect and look, ``deep`` at every path that is live. Changes nothing."""
        with self._session(name) as session:
            strategy = session.strategy
            findings = list(strategy.check()) if isinstance(strategy, Checkable) else []
            findings += [plain(option) for option in pushfile.plain_secrets(session.target)]
            if not any(finding.severity is Severity.ERROR for finding in findings):
                findings += self._obstacles(session)
            if deep and isinstance(strategy, Verifiable):
                findings += strategy.verify()
            elif deep:
                message = f"the {strategy.name} strategy cannot compare what is live with what was pushed"
                findings.append(Finding(Severity.WARNING, "target", message))
            return list(redacted(tuple(findings), self.redactor))

    def _obstacles(self, session: Session) -> list[Finding]:
        """What a plan would warn of, and what would keep a push from being planned."""
        try:
            snapshot = self.snapshot(session.target.name)
            plan = session.strategy.plan(snapshot)
        except (SnapshotError, PushRefused, TargetError) as error:
            return [Finding(Severity.ERROR, "target", error.message, error.hint)]
        paths = [each.path for each in snapshot.entries]
        told = dict.fromkeys((*snapshot.warnings, *plan.warnings, *unportable(paths)))
        files = [each.path for each in snapshot.entries if each.kind is not Kind.DIRECTORY]
        return [*(Finding(Severity.WARNING, "snapshot", message) for message in told), *private(files)]

    def hosts(self, name: str) -> Sequence[Host]:
        """The hosts of ``name``, in the order of a rollout. Their sources are asked, and none of them."""
        with self._ready(name, lazily=True) as (_kind, options, run, *_):
            if not getattr(options, "many", False):
                raise UsageError(f"{name} is not many hosts", hint="`hosts` in the Pushfile makes it so")
            from pushkit.fleet.source import hosts_of  # noqa: PLC0415  (only who asks needs it)

            return redacted(tuple(hosts_of(cast("FleetOptions", options), run)), self.redactor)

    def status(self, name: str) -> Status:
        """What the target ``name`` says of itself."""
        with self._session(name, lazily=True) as session:
            return redacted(inspectable(session.strategy).status(), self.redactor)

    def log(self, name: str) -> Sequence[LogEntry]:
        """How the pushes to ``name`` ended, the newest last."""
        with self._session(name, lazily=True) as session:
            return redacted(tuple(inspectable(session.strategy).log()), self.redactor)

    def report(self, name: str) -> tuple[Status, Sequence[LogEntry]]:
        """What the target ``name`` says of itself, and how the pushes to it ended, the newest last."""
        with self._session(name, lazily=True) as session:
            strategy = inspectable(session.strategy)
            return redacted((strategy.status(), tuple(strategy.log())), self.redactor)

    def diff(self, name: str, *, text: bool = False) -> Sequence[Change]:
        """What differs between the project and what is live on ``name``; with ``text``, line by line."""
        with self._session(name, lazily=True) as session:
            snapshot = self._freeze(session)
            strategy = comparable(session.strategy)
            return redacted(tuple(compare(strategy, snapshot, self.redactor, text=text)), self.redactor)

    def rollback(self, name: str, release: str = "") -> Release:
        """Make an earlier release live again."""
        with self._turning(name, "rollback") as session:
            live = redacted(revertible(session.strategy).rollback(release), self.redactor)
            session.emit(RolledBack(name, live, self._person))
            return live

    def switch(self, name: str, release: str) -> Release:
        """Make a release live that was prepared, or live before."""
        with self._turning(name, "switch") as session:
            live = redacted(preparable(session.strategy).switch(release), self.redactor)
            session.emit(Switched(name, live, self._person))
            return live

    def resume(self, name: str, number: int = 0) -> Release:
        """Complete a push that died once it had begun to change what is live."""
        with self._turning(name, "resume") as session:
            release = redacted(resumable(session.strategy).resume(number), self.redactor)
            session.emit(Resumed(name, release, self._person))
            return release

    def join(self, name: str, host: str) -> Release:
        """Bring the one ``host`` to what is live on the others of ``name``."""
        with (
            self._audience(name) as audience,
            self._session(name, audience, joining=host) as session,
            self._failing(session, "join"),
        ):
            strategy = joinable(session.strategy)
            live = redacted(strategy.join(self._freeze(session)), self.redactor)
            session.emit(Joined(name, live, host, self._person))
            return live

    def hold(self, name: str, why: str) -> None:
        """Let nobody push to ``name``."""
        with self._audience(name) as audience, self._session(name, audience, lazily=True) as session:
            lockable(session.strategy).hold(why)
            session.emit(Held(name, why, self._person))

    def release_hold(self, name: str) -> Hold | None:
        """Let pushes to ``name`` go on. The hold that ended, None when there was none."""
        with self._audience(name) as audience, self._session(name, audience, lazily=True) as session:
            hold = redacted(lockable(session.strategy).release_hold(), self.redactor)
            session.emit(Released(name, hold, self._person))
            return hold

    def unlock(self, name: str, number: int, why: str) -> None:
        """End the push ``number`` in the queue of ``name``."""
        with self._session(name, lazily=True) as session:
            lockable(session.strategy).unlock(number, why)

    def push(self, name: str) -> Receipt:
        """Push to ``name``. Raises `PushFailed` with the receipt when some steps were taken before a failure."""
        start = time.monotonic()
        with self._audience(name) as audience, self._session(name, audience) as session:
            plan = None
            try:
                snapshot = self._freeze(session)
                for turn in count(1):
                    plan = self._plan(session, snapshot)
                    if not plan.steps:
                        receipt = self._receipt(session, start, Outcome.NOTHING, live=plan.live)
                        break
                    self._guard(plan)
                    if not session.emit.begun:
                        self._announce(session, plan, snapshot)
                    try:
                        release = session.strategy.push(plan, snapshot)
                    except Overtaken:
                        # Somebody else was faster, and it is our turn now: what is there has to be looked at again.
                        if turn == TURNS:
                            raise
                        continue
                    session.emit.begin()
                    outcome, live = (Outcome.PREPARED, plan.live) if self._prepare else (Outcome.DONE, release.id)
                    receipt = self._receipt(session, start, outcome, release=release, live=live)
                    break
            except BaseException as error:
                failure = self._failure(session, plan, error, start)
                if failure is error:
                    raise
                raise failure from error
            session.emit(PushFinished(name, receipt, self._person))
            return receipt

    # How.

    @contextmanager
    def _audience(self, name: str) -> Iterator[Audience]:
        """The observers of the Pushfile, for one command. One that cannot be told is warned of, and is no reason not to
        push.
        """
        makers = [(each.name, partial(self._observer, each)) for each in self.project.notify.values()]
        audience = Audience(makers, self._questions.is_open)
        try:
            yield audience
        finally:
            warn = Emitter(self.redactor, self._listeners)
            for problem in audience.close():
                warn(Warned(name, problem))

    def _observer(self, notify: Notify) -> Observer[Any]:
        """An observer, whose secrets are looked up when there is something to tell."""
        kind = registry.observer(notify.observer)
        return kind(pushfile.notify_options(self.project, notify, self._resolver), self.project)

    @contextmanager
    def _ready(
        self, name: str, *more: Emit, joining: str = "", lazily: bool = False
    ) -> Iterator[tuple[type[Strategy[Any]], Options, Run, Emitter, Tally]]:
        """All that a strategy for ``name`` needs, and who counts its steps.

        ``lazily`` is for who only looks: nothing is resolved but what it takes to look.
        """
        target = self.project.targets[name]
        kind = registry.strategy(target.strategy)
        options = pushfile.options(self.project, target, self._resolver, lazily=lazily)
        tally, course = Tally(), Course(self.redactor)
        emit = Emitter(self.redactor, (tally, course, *self._listeners, *more))
        # What a script leaves there may be another user's: that is no reason to call a good push a failure.
        with tempfile.TemporaryDirectory(prefix="push-", ignore_cleanup_errors=True) as scratch:
            run = Run(
                project=self.project,
                target=target,
                emit=emit,
                cancelled=self._cancelled,
                scratch=Path(scratch),
                person=self._person,
                redact=self.redactor,
                environment=self._environment,
                wait=self._wait,
                prepare=self._prepare,
                repair=self._repair,
                adopt=self._adopt,
                ask=self._questions,
                attended=self._attended,
                confirm=self._confirm,
                joining=joining,
                course=course,
            )
            yield kind, options, run, emit, tally

    @contextmanager
    def _session(self, name: str, *more: Emit, joining: str = "", lazily: bool = False) -> Iterator[Session]:
        with self._ready(name, *more, joining=joining, lazily=lazily) as (kind, options, run, emit, tally):
            for told in registry.notices():
                emit(Warned(name, told))
            session = Session(run.target, kind.of(options, run), emit, tally)
            try:
                yield session
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
                    session.abandon()
                else:
                    # One more Ctrl-C ends the wait, and must not hide the error that says what is live.
                    with suppress(KeyboardInterrupt):
                        session.close()
                raise
            session.close()

    @contextmanager
    def _failing(self, session: Session, command: str) -> Iterator[None]:
        """Tell of the failure of ``command``."""
        try:
            yield
        except PushkitError as error:
            session.emit(CommandFailed(session.target.name, command, error.message, self._person))
            raise

    @contextmanager
    def _turning(self, name: str, command: str) -> Iterator[Session]:
        """A session in which ``command`` is about to change what is live without sending anything."""
        with (
            self._audience(name) as audience,
            self._session(name, audience) as session,
            self._failing(session, command),
        ):
            try:
                yield session
            except (Interrupted, KeyboardInterrupt) as error:
                if isinstance(error, Interrupted) and error.hint:
                    raise
                raise Interrupted(f"stopped: {session.whereabouts(None)}") from error

    def _freeze(self, session: Session) -> Snapshot:
        start = time.monotonic()
        snapshot = self.snapshot(session.target.name)
        if not snapshot.files:
            raise PushRefused(
                f"there is no file to push in {self.project.source!r}; nothing was sent",
                hint="see what the ignore rules leave: push files",
            )
        for warning in snapshot.warnings:
            session.emit(Warned(session.target.name, warning))
        taken = SnapshotTaken(
            session.target.name,
            snapshot.files,
            snapshot.size,
            snapshot.revision.short,
            time.monotonic() - start,
        )
        session.emit(taken)
        return snapshot

    def _plan(self, session: Session, snapshot: Snapshot) -> Plan:
        if self._prepare:
            preparable(session.strategy)
        if self._repair and not session.strategy.repairs:
            comparable(session.strategy)
        plan = session.strategy.plan(snapshot)
        session.emit(PlanReady(session.target.name, plan.told))
        return plan

    def _announce(self, session: Session, plan: Plan, snapshot: Snapshot) -> None:
        """Let it be told that the push begins, and what it brings, where somebody is there to hear of it.

        With its first step: until then it may wait for its turn, or have none.
        """
        commits, more = (
            between(self.project.root, plan.live, snapshot.revision.commit) if self.project.notify else ((), 0)
        )
        revision = snapshot.revision.short
        session.emit.beginning = PushStarted(session.target.name, self._person, revision, plan.live, commits, more)

    def _guard(self, plan: Plan) -> None:
        removed, there = plan.removed, plan.there
        if (removed > MANY_REMOVALS or removed * 2 > there) and not self._confirm(
            f"{removed} of the {there} paths that are live on {plan.target} would be removed. Go on?"
        ):
            raise PushRefused(f"{removed} removals on {plan.target} were not confirmed; nothing changed")
        if self._cancelled.is_set():
            raise Interrupted("stopped before anything was changed")

    def _failure(self, session: Session, plan: Plan | None, error: BaseException, start: float) -> BaseException:
        """The error that says what is live now, after its receipt was sent to who listens."""
        if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1 and not error.split(PushkitError)[1]:
            # What failed alone is told as itself, with its hint and its exit code.
            error = error.exceptions[0]
        stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
        outcome = Outcome.INTERRUPTED if stopped else Outcome.FAILED
        live = plan.live if plan and not session.tally.switched else ""
        receipt = self._receipt(session, start, outcome, live=live, error=one_line(error))
        session.emit(PushFinished(session.target.name, receipt, self._person))
        where = session.whereabouts(plan)
        if stopped:
            return error if getattr(error, "hint", "") else Interrupted(f"stopped: {where}")
        if isinstance(error, PushFailed):
            error.receipt = receipt
            return error
        if isinstance(error, ExceptionGroup) and error.split(PushkitError)[1]:
            return error  # a bug is among them
        if isinstance(error, ExceptionGroup) and not session.tally.done and not error.split(TargetError)[1]:
            return TargetError(f"{one_line(error)}; {where}")
        if isinstance(error, ExceptionGroup) or (isinstance(error, TargetError) and session.tally.done):
            return PushFailed(f"{one_line(error)}; {where}", hint=getattr(error, "hint", ""), receipt=receipt)
        return error

    def _receipt(
        self,
        session: Session,
        start: float,
        outcome: Outcome,
        *,
        release: Release | None = None,
        live: str,
        error: str = "",
    ) -> Receipt:
        tally = session.tally
        return Receipt(
            target=session.target.name,
            outcome=outcome,
            release=release,
            live=live,
            done=tally.done,
            failed=tuple(tally.failed),
            size=tally.size,
            seconds=time.monotonic() - start,
            error=error,
        )


def private(paths: Sequence[str]) -> Iterator[Finding]:
    """The finding that files are sent by whose names one expects a secret: where a web server serves them, to all."""
    found = [path for path in paths if SECRET_NAME(path)]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield Finding(
            Severity.WARNING,
            "snapshot",
            f"{', '.join(found[:SHOWN])}{more} would be sent, and by the name may hold a secret",
            "what is not to leave this machine belongs in .pushignore",
        )


def plain(option: str) -> Finding:
    """The finding that a secret stands in the Pushfile."""
    return Finding(
        Severity.WARNING,
        "Pushfile",
        f"{option} is written in the Pushfile, where everybody who has the project can read it",
        f'keep it elsewhere, {option} = "${{env:NAME}}", and change it if others may have seen it',
    )
