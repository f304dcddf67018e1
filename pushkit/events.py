"""What happens during a push, as frozen structs, and the one place that all of it passes through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from pushkit.model import Commit, Hold, Plan, Receipt, Release, Step


class Event(Struct, frozen=True):
    """The base of all events. ``target`` is the name of the target it happened on."""

    target: str


class SnapshotTaken(Event, frozen=True):
    """The project directory is frozen. ``size`` is in bytes, ``revision`` is short."""

    files: int
    size: int
    revision: str
    seconds: float


class PlanReady(Event, frozen=True):
    """The strategy said what it would do."""

    plan: Plan


class PushStarted(Event, frozen=True):
    """The plan is carried out by ``who``, whose turn it is: the first step begins.

    ``live`` is the id of the release that is live yet. ``commits`` are what is new since then, the newest first, as far
    as git knows, and ``more`` how many there are beside them.
    """

    who: str
    revision: str
    live: str
    commits: tuple[Commit, ...]
    more: int


class StepStarted(Event, frozen=True):
    """A step began."""

    step: Step


class StepProgress(Event, frozen=True):
    """``size`` more bytes of a step have travelled."""

    step: Step
    size: int


class StepFinished(Event, frozen=True):
    """A step is done."""

    step: Step
    seconds: float


class StepFailed(Event, frozen=True):
    """A step failed. ``error`` is one line."""

    step: Step
    error: str


class StepsPassed(Event, frozen=True):
    """Small steps that were begun and are done, one after the other, in ``seconds`` altogether.

    Only listeners that say that they take ``many`` get it; all others get what it stands for, see `Emitter`.
    """

    steps: tuple[Step, ...]
    seconds: float

    @property
    def size(self) -> int:
        """The bytes of all steps."""
        return sum([step.size for step in self.steps])

    def each(self) -> Iterator[Event]:
        """What it stands for: that each step began, that its bytes have travelled, and that it is done."""
        seconds = self.seconds / len(self.steps)
        for step in self.steps:
            yield StepStarted(self.target, step)
            if step.size:
                yield StepProgress(self.target, step, step.size)
            yield StepFinished(self.target, step, seconds)


class HostChanged(Event, frozen=True):
    """A host of many is in another state: one of `pushkit.fleet.State`, or what a service calls it.

    ``reason`` and ``batch`` may be empty.
    """

    host: str
    state: str
    reason: str
    batch: str


class Output(Event, frozen=True):
    """One line that a command printed, without its line end. ``source`` names the command or the host."""

    source: str
    line: str


class Note(Event, frozen=True):
    """Something a person may want to know."""

    message: str


class Warned(Event, frozen=True):
    """Something a person should know. The push goes on."""

    message: str


class PushFinished(Event, frozen=True):
    """The push of ``who`` is over, well or not."""

    receipt: Receipt
    who: str = ""


class RolledBack(Event, frozen=True):
    """An earlier release is live again."""

    release: Release
    who: str


class Switched(Event, frozen=True):
    """A release that was prepared, or live before, is live."""

    release: Release
    who: str


class Resumed(Event, frozen=True):
    """A push that had died is complete."""

    release: Release
    who: str


class Joined(Event, frozen=True):
    """One host was brought to what is live on the others."""

    release: Release
    host: str
    who: str


class CommandFailed(Event, frozen=True):
    """``command``, which was to change what is live, did not succeed: rollback, switch, resume or join."""

    command: str
    error: str
    who: str


class Held(Event, frozen=True):
    """Nobody may push, until the hold is released."""

    why: str
    who: str


class Released(Event, frozen=True):
    """The hold is over; None when there was none."""

    hold: Hold | None
    who: str


Emit = Callable[[Event], None]

T = TypeVar("T")


class Redact(Protocol):
    """Replaces what must not be seen in a text. False when it knows nothing to replace.

    ``add`` lets it know one more, under a name. ``cut`` is as in `pushkit.process.Cut`: where a text can be cut without
    cutting that in two.
    """

    def __call__(self, text: str) -> str: ...
    def __bool__(self) -> bool: ...
    def add(self, name: str, value: str) -> None: ...
    def cut(self, text: str, at: int, ended: bool) -> int: ...


class Emitter:
    """Passes each event, redacted, to every listener, one event at a time whatever thread it comes from.

    A listener whose attribute ``many`` is true gets `StepsPassed` as it is, the others get each step's own events.
    ``beginning`` is an event that is told when the first step begins, just before it; ``begun`` says that it was.
    """

    many = True

    def __init__(self, redact: Redact, listeners: tuple[Emit, ...]) -> None:
        self.beginning: Event | None = None
        self.begun = False
        self._redact = redact
        self._listeners = listeners
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Tell ``beginning``, unless it was told."""
        with self._lock:
            event, self.beginning = self.beginning, None
            if event:
                self.begun = True
                self(event)

    def __call__(self, event: Event) -> None:
        """Redact ``event`` and hand it on."""
        with self._lock:
            if isinstance(event, (StepStarted, StepsPassed)):
                self.begin()
            if self._redact:
                event = redacted(event, self._redact)
            for listener in self._listeners:
                if isinstance(event, StepsPassed) and not getattr(listener, "many", False):
                    for each in event.each():
                        listener(each)
                else:
                    listener(event)


#: So many steps are looked at in one go.
MANY = 64


def redacted(value: T, redact: Callable[[str], str]) -> T:
    """``value`` with ``redact`` applied to every text in it, at any depth. What needs no change is shared."""
    new: Any = value
    if isinstance(value, str):
        text = redact(value)
        # An enumeration's member is a str too; it holds no secret and must stay what it is.
        new = value if text == value else text
    elif isinstance(value, (tuple, list)):
        if len(value) >= MANY and _clean(value, redact):
            return value
        items = [redacted(item, redact) for item in value]
        if any(a is not b for a, b in zip(items, value, strict=True)):
            new = type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    elif isinstance(value, Mapping):
        there = {redacted(key, redact): redacted(item, redact) for key, item in value.items()}
        new = value if all(key in there and there[key] is item for key, item in value.items()) else there
    elif isinstance(value, PurePath):
        text = redact(str(value))
        new = value if text == str(value) else type(value)(text)
    elif isinstance(value, Struct):
        changes = {}
        for name in value.__struct_fields__:
            old = getattr(value, name)
            if (changed := redacted(old, redact)) is not old:
                changes[name] = changed
        new = replace(value, **changes) if changes else value
    return new  # type: ignore[no-any-return]


def _clean(values: Sequence[Any], redact: Callable[[str], str]) -> bool:
    """Whether these are steps, of which none has anything to hide. A plan may have a hundred thousand."""
    if not all(type(each) is Step for each in values):
        return False
    text = "\0".join([text for step in values for text in (step.subject, step.reason)])
    return redact(text) == text
