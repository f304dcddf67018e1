"""The contract: `Strategy`, what only some strategies can do beside it, and `Run`, all that one gets of the world."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict

from pushkit.errors import Interrupted, PushkitError
from pushkit.events import (
    Emit,
    Event,
    Note,
    Output,
    StepFailed,
    StepFinished,
    StepProgress,
    StepStarted,
    Warned,
)
from pushkit.model import Finding, Plan, Project, Release, Step, Target
from pushkit.process import Command, execute
from pushkit.snapshot import Snapshot


class Options(BaseModel):
    """The base of a strategy's options: the target's table in the Pushfile, validated.

    Each field has a description (``Field(description=...)``), which is what ``push explain`` prints. Unknown
    keys are errors. A field that holds a secret is a `pydantic.SecretStr`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


OptionsT = TypeVar("OptionsT", bound=Options)
ItemT = TypeVar("ItemT")


class Run:
    """All that a strategy gets of the world. A strategy prints nothing and reads no environment of its own.

    ``scratch`` is a directory, mode 0700, that is removed after the command. ``cancelled`` is set when the
    user asks to stop: a strategy looks at it between steps (`step` and `each` do) and in long waits.
    ``person`` is who pushes, as ``user@host``. ``environment`` is what commands on this machine run with.
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
        redact: Callable[[str], str],
        environment: Mapping[str, str],
    ) -> None:
        self.project = project
        self.target = target
        self.emit = emit
        self.cancelled = cancelled
        self.scratch = scratch
        self.person = person
        self.redact = redact
        self.environment = environment

    def check(self) -> None:
        """Raise `Interrupted` when the user asked to stop."""
        if self.cancelled.is_set():
            raise Interrupted("stopped between two steps")

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Report one step: started, then finished, or failed with the error, which goes on."""
        self.check()
        self.emit(StepStarted(self.target.name, step))
        start = time.monotonic()
        try:
            yield
        except BaseException as error:
            self.emit(StepFailed(self.target.name, step, one_line(error)))
            raise
        self.emit(StepFinished(self.target.name, step, time.monotonic() - start))

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

        failures: list[Exception] = []
        pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="push")
        patient = True
        try:
            under_way: set[Future[None]] = set()
            for item in items:
                # A bounded queue: a tree of any size is never held as futures.
                if len(under_way) >= 2 * workers:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    failures += failures_of(done)
                if failures or self.cancelled.is_set():
                    break
                under_way.add(pool.submit(one, item))
            failures += failures_of(wait(under_way).done)
        except KeyboardInterrupt:
            # A person insists: what is under way ends when the connection is closed under it.
            patient = False
            raise
        finally:
            pool.shutdown(wait=patient, cancel_futures=not patient)
        real = [error for error in failures if not isinstance(error, Interrupted)]
        if real:
            raise ExceptionGroup(f"{len(real)} failed", real)
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

    def execute(self, command: Command) -> int:
        """Run a command on this machine, its output as events; return its exit code.

        The whole process group ends with it. Raises `TargetError` when it cannot be started, `TimedOut` when it
        runs over its time, `Interrupted` when the user asks to stop.
        """
        return execute(command, self.output, self.cancelled)

    def tell(self, event: Event) -> None:
        """Emit an event of a strategy's own."""
        self.emit(event)


def failures_of(futures: Iterable[Future[None]]) -> list[Exception]:
    """The exceptions that ended ``futures``; one that is no `Exception` (a Ctrl-C) is raised."""
    found: list[Exception] = []
    for future in futures:
        error = future.exception()
        if isinstance(error, Exception):
            found.append(error)
        elif error is not None:
            raise error
    return found


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
    is what ``push plugins`` prints.
    """

    name: ClassVar[str]
    Options: ClassVar[type[Options]]

    def __init__(self, options: OptionsT, run: Run) -> None:
        self.options = options
        self.run = run

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
class Inspectable(Protocol):
    """A strategy whose target knows what is live on it."""

    def history(self) -> Sequence[Release]:
        """The releases that are on the target and complete, the oldest first."""

    def live(self) -> str:
        """The id of the release that is live, empty when there is none."""


@runtime_checkable
class Revertible(Protocol):
    """A strategy that can make an earlier release live again without sending anything."""

    def rollback(self, release: str = "") -> Release:
        """Switch to ``release``, or to the last good release before the live one.

        Raises `PushRefused` when there is none.
        """
