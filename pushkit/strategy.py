"""The contract: `Strategy`, what only some strategies can do beside it, and `Run`, all that one gets of the world."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from pushkit.capture import Captured, capture
from pushkit.course import Course
from pushkit.errors import Interrupted, PushkitError
from pushkit.events import (
    Emit,
    Event,
    Note,
    Output,
    Redact,
    StepFailed,
    StepFinished,
    StepProgress,
    StepsPassed,
    StepStarted,
    Warned,
)
from pushkit.index import cache_file
from pushkit.model import Finding, Hold, LogEntry, Plan, Project, Release, Status, Step, Target
from pushkit.options import Options
from pushkit.process import Command, execute, refusal
from pushkit.questions import Ask, nobody
from pushkit.quotation import excerpt
from pushkit.snapshot import Snapshot

OptionsT = TypeVar("OptionsT", bound=Options)
ItemT = TypeVar("ItemT")


class Run:
    """All that a strategy gets of the world. A strategy prints nothing and reads no environment of its own.

    ``scratch`` is a directory, mode 0700, that is removed after the command. ``cancelled`` is set when the
    user asks to stop: a strategy looks at it between steps (`step` and `each` do) and in long waits.
    ``person`` is who pushes, as ``user@host``. ``environment`` is what commands on this machine run with.
    ``wait`` is how many seconds to wait for a target that is busy. ``prepare``: `Preparable` is asked for. ``repair``:
    what is live is looked at itself, and not only what is remembered of it. ``adopt``: files on the target that no push
    put there are taken over. The function ``ask`` puts a question of `ask` to a person; by default there is nobody.
    ``attended``: a person sits at a terminal, and sees how it goes.
    ``confirm`` asks a person for a yes, and raises `PushRefused` where there is nobody and ``--yes`` was not given.
    ``release`` is what a push is to leave, where that is decided elsewhere: on a host of many. ``joining`` is the one
    host of many that `Joinable` is asked for. ``course`` knows what took how long so far, for who keeps a log.
    """

    def __init__(
        self,
        *,
        project: Project,
        target: Target,
        emit: Emit,
        cancelled: threading.Event,
        scratch: Path,
        person: str,
        redact: Redact,
        environment: Mapping[str, str],
        wait: float = 0.0,
        prepare: bool = False,
        repair: bool = False,
        adopt: bool = False,
        ask: Ask = nobody,
        attended: bool = False,
        confirm: Callable[[str], bool] = lambda question: False,
        release: Release | None = None,
        joining: str = "",
        course: Course | None = None,
    ) -> None:
        self.project = project
        self.target = target
        self.emit = emit
        self.cancelled = cancelled
        self.scratch = scratch
        self.person = person
        self.redact = redact
        self.environment = environment
        self.wait = wait
        self.prepare = prepare
        self.repair = repair
        self.adopt = adopt
        self.attended = attended
        self.confirm = confirm
        self.release = release
        self.joining = joining
        self.course = course or Course(redact)
        self._ask = ask

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the user asks to stop, which raises `Interrupted`."""
        self.cancelled.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise `Interrupted` when the user asked to stop."""
        if self.cancelled.is_set():
            raise Interrupted("stopped")

    def step(self, step: Step) -> AbstractContextManager[None]:
        """Report one step: started, then finished, or failed with the error, which goes on."""
        return Reported(self, step)

    def passed(self, steps: Sequence[Step], seconds: float) -> None:
        """Report small steps that were taken one after the other, in so many seconds: as `step` and `progress` would.

        For who takes thousands of them: that each costs as much as a file.
        """
        self.check()
        event = StepsPassed(self.target.name, tuple(steps), seconds)
        for each in (event,) if getattr(self.emit, "many", False) else event.each():
            self.emit(each)

    def progress(self, step: Step, size: int) -> None:
        """Report that ``size`` more bytes of ``step`` have travelled."""
        self.emit(StepProgress(self.target.name, step, size))

    def each(
        self,
        items: Iterable[ItemT],
        work: Callable[[ItemT], None],
        *,
        workers: int = 1,
        step: Callable[[ItemT], Step] | None = None,
    ) -> None:
        """Do ``work`` for every item, ``workers`` at a time, each within `step` where one is given.

        After a failure nothing new is started; what is under way ends. Raises an `ExceptionGroup` of every
        failure, never only the first, and `Interrupted` when the user asked to stop.
        """

        def one(item: ItemT) -> None:
            if step is None:
                self.check()
                work(item)
            else:
                with self.step(step(item)):
                    work(item)

        todo = iter(items)
        lock = threading.Lock()
        stop = threading.Event()
        failures: list[Exception] = []

        def act() -> None:
            while not stop.is_set():
                with lock:
                    found = list(islice(todo, 1))
                if not found:
                    break
                try:
                    one(found[0])
                except Exception as error:  # all of them are raised in the end
                    failures.append(error)
                    stop.set()

        pool = ThreadPoolExecutor(workers, thread_name_prefix="push")
        patient = True
        try:
            for worker in [pool.submit(act) for _ in range(workers)]:
                worker.result()
        except KeyboardInterrupt:
            # A person insists: what is under way ends when the connection is closed under it.
            patient = False
            raise
        finally:
            stop.set()
            pool.shutdown(wait=patient, cancel_futures=not patient)
        # That somebody asked to stop is said once, and not beside what failed.
        real = [error for error in failures if not isinstance(error, Interrupted)]
        if real:
            raise ExceptionGroup(f"{len(real)} failed", real)
        if failures:
            raise failures[0]
        self.check()

    def note(self, message: str) -> None:
        """Tell a person something."""
        self.emit(Note(self.target.name, message))

    def warn(self, message: str) -> None:
        """Tell a person something that should not be missed."""
        self.emit(Warned(self.target.name, message))

    def output(self, source: str, line: str) -> None:
        """Pass on one line that a command printed."""
        self.emit(Output(self.target.name, source, line))

    def kept(self, subject: str) -> Path:
        """A directory for what makes the next push cheaper, of this project, target and ``subject``; it is there.

        Only its owner may read it. It is kept between commands, several of which may use it at once, and may be lost at
        any time; who has no home gets one for this command only.
        """
        key = os.fsencode("\0".join((str(self.project.root), self.target.name, subject)))
        directory = cache_file(self.target.strategy, key)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            directory = self.scratch / directory.name
            directory.mkdir(exist_ok=True)
        return directory

    def execute(self, command: Command, output: Callable[[str], None] | None = None) -> int:
        """Run a command on this machine, each line of its output as an event, or given to ``output``.

        Returns its exit code. A very long line is passed on in pieces, never cut within a secret, which would show it
        in two halves.
        The whole process group ends with it. Raises `TargetError` when it cannot be started, `TimedOut` when it
        runs over its time, `Interrupted` when the user asks to stop.
        """
        take = self.output if output is None else lambda _name, line: output(line)
        return execute(command, take, self.cancelled, self.redact.cut)

    def capture(self, command: Command) -> Captured:
        """Run a command on this machine for all that it prints, as bytes.

        For commands that lose nothing when they are killed: when the user asks to stop, which raises `Interrupted`, and
        when they run over their time, which raises `TimedOut`. Raises `TargetError` when it cannot be started.
        """
        try:
            return capture(command, self.cancelled)
        except OSError as error:
            raise refusal(command, error) from error

    def ask(self, question: str) -> str:
        """Ask a person for a secret, on their terminal and without echo: "password of the vault".

        A question is asked once in a command, whatever target or thread it comes from; who has to ask again asks
        differently. The answer is hidden wherever it turns up. Ask in `Strategy.connect` or `Strategy.plan`: raises
        `PushRefused`, which says that nothing changed, when there is nobody to ask or nothing is given, and
        `Interrupted` when the user asks to stop.
        """
        self.check()
        return self._ask(question)

    def hide(self, name: str, value: str) -> None:
        """Show a secret that came from elsewhere than options or `ask` as ``[secret:NAME]``, wherever it turns up."""
        self.redact.add(name, value)

    def excerpt(self, text: str, length: int) -> str:
        """The beginning of ``text``, of somebody else's, for a message: without secrets, on one line of at most
        ``length`` characters.

        Cut first and hidden then, half a secret could be left, which nobody would recognise.
        """
        return excerpt(self.redact(text), length)

    def tell(self, event: Event) -> None:
        """Emit an event of a strategy's own."""
        self.emit(event)


class Reported(AbstractContextManager[None]):
    """Reports a step around what is done in it. A class, since a push may have a hundred thousand of them."""

    __slots__ = ("_run", "_start", "_step")

    def __init__(self, run: Run, step: Step) -> None:
        self._run = run
        self._step = step
        self._start = 0.0

    def __enter__(self) -> None:
        run = self._run
        run.check()
        run.emit(StepStarted(run.target.name, self._step))
        self._start = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run = self._run
        if error is not None:
            run.emit(StepFailed(run.target.name, self._step, one_line(error)))
        else:
            run.emit(StepFinished(run.target.name, self._step, time.monotonic() - self._start))


def one_line(error: BaseException) -> str:
    """The message of an error on one line, with the name of its class where it is not one of ours."""
    if isinstance(error, PushkitError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(one_line(each) for each in error.exceptions))
    return " ".join(f"{type(error).__name__}: {error}".split())


class Strategy(ABC, Generic[OptionsT]):
    """One way to push a snapshot to a target. One instance serves one command.

    ``name`` is what a Pushfile's ``strategy`` says, and the name of the entry point in the group
    ``pushkit.strategies``. `Options` is the class of its options. The first line of a strategy's docstring
    is what ``push plugins`` prints. ``repairs``: its plan heeds ``run.repair``, though it is not `Comparable`;
    of one that is neither, ``push --repair`` is refused.
    """

    name: ClassVar[str]
    Options: ClassVar[type[Options]]
    repairs: ClassVar[bool] = False

    def __init__(self, options: OptionsT, run: Run) -> None:
        self.options = options
        self.run = run

    @classmethod
    def of(cls, options: OptionsT, run: Run) -> Strategy[Any]:
        """The strategy for these options: by default this one."""
        return cls(options, run)

    def connect(self) -> None:
        """Reach the target. Called once, before `plan`, possibly in a thread of its own.

        Raises `TargetError` when it cannot be reached or does not let us in.
        """

    def close(self) -> None:
        """Give back what `connect` took. Always called, also when `connect` failed half-way."""

    @abstractmethod
    def plan(self, snapshot: Snapshot) -> Plan:
        """What `push` would do. Never writes. A plan without steps means that there is nothing to do."""

    @abstractmethod
    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Do what the plan says, each step reported through `Run.step` exactly once.

        Raises `TargetError` when nothing changed, `PushFailed` when something did.
        """


@runtime_checkable
class Checkable(Protocol):
    """A strategy that can look at its target and say what would stand in the way of a push."""

    def check(self) -> Sequence[Finding]:
        """Look; change nothing."""


@runtime_checkable
class Verifiable(Protocol):
    """A strategy that can compare what is live with what was pushed."""

    def verify(self) -> Sequence[Finding]:
        """Look at every path that is live; change nothing. An error says what is not as it was pushed."""


@runtime_checkable
class Inspectable(Protocol):
    """A strategy whose target knows what is live on it, and what was."""

    def status(self) -> Status:
        """What the target says of itself, all of one moment."""

    def log(self) -> Sequence[LogEntry]:
        """How the pushes to it ended, the newest last."""


@runtime_checkable
class Comparable(Protocol):
    """A strategy that knows what is live path by path, and can read it."""

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live, a step a path: add, replace or remove, each with its reason.

        The subject of a directory's step ends in a slash.
        """

    def read_live(self, path: str, limit: int) -> bytes:
        """The content of a live file of at most ``limit`` bytes, asked once `changes` was. Raises `TargetError`."""


@runtime_checkable
class Lockable(Protocol):
    """A strategy whose target has a queue of pushes, and can be held."""

    def hold(self, why: str) -> None:
        """Let nobody push until `release_hold`. Raises `PushRefused` when the target is held already."""

    def release_hold(self) -> Hold | None:
        """Let pushes go on. The hold that ended, None when there was none."""

    def unlock(self, number: int, why: str) -> None:
        """End the push ``number`` of the queue, whatever became of it. Raises `PushRefused` when it has ended."""


@runtime_checkable
class Revertible(Protocol):
    """A strategy that can make an earlier release live again without sending anything."""

    def rollback(self, release: str = "") -> Release:
        """Switch to ``release``, or to the last good release before the live one.

        Raises `PushRefused` when there is none.
        """


@runtime_checkable
class Preparable(Protocol):
    """A strategy that can send a release now and make it live later.

    When `Run.prepare` is set, its plan has no switch, and `Strategy.push` ends when the release is complete: nothing
    that is live is touched.
    """

    def switch(self, release: str) -> Release:
        """Make ``release`` live, which was prepared or live before. Raises `PushRefused` when it is not there."""


@runtime_checkable
class Resumable(Protocol):
    """A strategy that can complete a push that died."""

    def resume(self, number: int = 0) -> Release:
        """Complete the push ``number``, or whichever it is, that died once it had begun to change what is live.

        Raises `PushRefused` when there is none.
        """


@runtime_checkable
class Joinable(Protocol):
    """A strategy whose target is many hosts, one of which can be brought to what is live on the others.

    When `Run.joining` is set, only what that takes is connected to.
    """

    def join(self, snapshot: Snapshot) -> Release:
        """Bring the host `Run.joining` to what is live, whose content ``snapshot`` has to be.

        Raises `PushRefused` when it is not.
        """
