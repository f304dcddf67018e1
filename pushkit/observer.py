"""Observers: who hears of a push, and can neither stop nor delay it."""

from __future__ import annotations

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

from pushkit.errors import PluginError, PushfileError, PushRefused
from pushkit.events import Event, Output, StepFinished, StepProgress, StepsPassed, StepStarted
from pushkit.model import Project
from pushkit.options import Options
from pushkit.strategy import one_line

OptionsT = TypeVar("OptionsT", bound=Options)

# What comes once a file or more often is for progress, not for people elsewhere.
FREQUENT = (StepStarted, StepProgress, StepFinished, StepsPassed)
# How long the end of a push waits for observers, all of them together, in seconds.
PATIENCE = 5.0
# Between two looks at them, in seconds.
TICK = 0.1
# Events that an observer is behind with; what comes after is not told to it.
BACKLOG = 1000


class Observer(ABC, Generic[OptionsT]):
    """Hears of pushes: a chat, a webhook, a log. One instance serves one command.

    ``name`` is what ``observer`` says in a ``[notify.NAME]`` table of the Pushfile, and the name of the entry point in
    the group ``pushkit.observers``. `Options` is the class of the table's other keys.
    """

    name: ClassVar[str]
    Options: ClassVar[type[Options]]

    def __init__(self, options: OptionsT, project: Project) -> None:
        self.options = options
        self.project = project

    @abstractmethod
    def hear(self, event: Event) -> None:
        """Take in one event, redacted. Called in a thread of the observer's own; what it raises changes nothing."""


#: Makes an observer. What it takes that fails or hangs is the observer's failure.
Make = Callable[[], Observer[Any]]


class Audience:
    """Tells observers of events, each in a thread of its own, so that one that hangs or raises changes nothing.

    ``makers`` are asked for them there, by name: the address of a chat may be a secret of a vault that hangs.
    ``asking`` says whether a person is asked something just now, which takes its time.
    """

    many = True

    def __init__(self, makers: Sequence[tuple[str, Make]], asking: Callable[[], bool] = lambda: False) -> None:
        self._asking = asking
        self._seats = [Seat(name, make) for name, make in makers]

    def __call__(self, event: Event) -> None:
        """Tell every observer of ``event``. Never waits."""
        if not isinstance(event, FREQUENT):
            for seat in self._seats:
                seat.tell(event)

    def close(self) -> Sequence[str]:
        """Wait a little for who is still listening. Returns what went wrong, a sentence for each observer."""
        for seat in self._seats:
            seat.tell(None)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not all(seat.is_empty(TICK) for seat in self._seats):
            if self._asking():
                end = time.monotonic() + PATIENCE
        return [problem for seat in self._seats if (problem := seat.problem())]


class Seat:
    """One observer, its thread, and what it has still to hear."""

    def __init__(self, name: str, make: Make) -> None:
        self._name = name
        self._make = make
        self._failure = ""
        self._events: queue.Queue[Event | None] = queue.Queue(BACKLOG)
        # A daemon: an observer that hangs does not keep the command alive.
        self._thread = threading.Thread(target=self._listen, name=f"notify {name}", daemon=True)
        self._thread.start()

    def tell(self, event: Event | None) -> None:
        """Leave ``event`` for the observer; None is the end."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            if not self._thread.is_alive():
                return
            self._failure = f"{self._name} was told only a part: it is too slow"
            if not isinstance(event, Output):
                # How it ends is heard by everybody; a line of output makes room for it.
                with suppress(queue.Empty):
                    self._events.get_nowait()
                self.tell(event)

    def is_empty(self, seconds: float) -> bool:
        """Whether the observer has heard it all, or does within ``seconds``."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def problem(self) -> str:
        """What went wrong with the observer, in a sentence; empty when nothing did."""
        if self._thread.is_alive():
            return f"{self._name} did not answer in time and was left behind"
        return self._failure

    def _listen(self) -> None:
        # Whatever an observer raises changes nothing, be it that it wants to end the process.
        try:
            observer = self._make()
        except BaseException as error:
            self._failure = told(self._name, error)
            return
        while (event := self._events.get()) is not None:
            try:
                observer.hear(event)
            except BaseException as error:
                self._failure = told(self._name, error)


def told(name: str, error: BaseException) -> str:
    """What became of the observer ``name``: not told, since something of its table cannot be had; or it failed."""
    if isinstance(error, PushfileError):
        why = "; ".join(f"{found.path}: {found.message} ({found.hint})" for found in error.problems)
        return f"{name} is not told: {why}"
    return f"{name} {'is not told' if isinstance(error, (PluginError, PushRefused)) else 'failed'}: {one_line(error)}"
