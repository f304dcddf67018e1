"""`Pusher`: a project with one target, pushed to without a Pushfile and a command line."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushkit.course import Course
from pushkit.errors import Overtaken
from pushkit.events import Emitter, Event, StepsPassed
from pushkit.model import Plan, Project, Release, Target
from pushkit.questions import Ask, nobody
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import Snapshot, take
from pushkit.strategy import Run, Strategy
from pushkit.validation import secret_fields

#: How often a push is planned whose target keeps changing, as of the command line.
TURNS = 5


class Telling:
    """What a strategy tells events to: they are kept as they are, and handed on."""

    many = True

    def __init__(self, pusher: Pusher, emitter: Emitter) -> None:
        self._pusher = pusher
        self._emitter = emitter

    def __call__(self, event: Event) -> None:
        """Take in one, or several that come together."""
        self._pusher.moment += 1
        self._pusher.raw += event.each() if isinstance(event, StepsPassed) else [event]
        self._emitter(event)


class Pusher:
    """A project in ``root`` whose only target, ``live``, has the strategy ``kind`` and the options ``table``.

    Each push has a strategy of its own, as each command has. ``events`` is all that was told, redacted, and ``raw`` the
    same as the strategy told it; ``hear`` is called with each event as it is told. ``cancelled`` is what a person sets
    who asks to stop.
    """

    def __init__(self, base: Path, kind: type[Strategy[Any]], table: Mapping[str, Any], *, ask: Ask = nobody) -> None:
        self.root = base / "project"
        self.scratch = base / "scratch"
        for directory in (self.root, self.scratch):
            directory.mkdir(mode=0o700)
        self.kind = kind
        self.table = dict(table)
        self.environment = dict(os.environ)
        self.events: list[Event] = []
        self.raw: list[Event] = []
        self.hear: Callable[[Event], None] = lambda event: None
        self.cancelled = threading.Event()
        #: How often something was told; small steps that were told of together are of one moment.
        self.moment = 0
        self._ask = ask

    def write(self, path: str, content: bytes | str = b"x", mode: int = 0o644) -> None:
        """Write a file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)

    def remove(self, path: str) -> None:
        """Remove a file of the project, and the directory that it leaves empty."""
        file = self.root / path
        file.unlink()
        if file.parent != self.root and not os.listdir(file.parent):
            file.parent.rmdir()

    @property
    def project(self) -> Project:
        """The project, as a Pushfile would describe it."""
        target = Target("live", self.kind.name, self.table)
        return Project("contract", self.root / "Pushfile", self.root, ".", (), "live", {"live": target})

    def snapshot(self) -> Snapshot:
        """The project, frozen."""
        return take(self.project, self.project.targets["live"])

    def secrets(self, **changes: Any) -> list[str]:
        """The secrets among the options."""
        return [value for _, value in secret_fields(self._options(changes)) if value]

    @contextmanager
    def connected(self, *, flags: Mapping[str, Any] | None = None, **changes: Any) -> Iterator[Strategy[Any]]:
        """A strategy that has connected; it is closed in the end, also when it could not.

        ``flags`` are more of what a `Run` takes, such as ``prepare``; ``changes`` are of the options.
        """
        strategy = self.strategy(flags=flags, **changes)
        try:
            strategy.connect()
            yield strategy
        finally:
            strategy.close()

    def strategy(self, *, flags: Mapping[str, Any] | None = None, **changes: Any) -> Strategy[Any]:
        """A strategy that has not connected."""
        options = self._options(changes)
        redactor = Redactor()
        for name, value in secret_fields(options):
            redactor.add(name, value)
        project, course = self.project, Course(redactor)
        emitter = Emitter(redactor, (course, self._told))

        run = Run(
            project=project,
            target=project.targets["live"],
            emit=Telling(self, emitter),
            cancelled=self.cancelled,
            scratch=self.scratch,
            person="ada@lovelace",
            redact=redactor,
            environment=self.environment,
            ask=self._ask,
            course=course,
            **(flags or {}),
        )
        return self.kind.of(options, run)

    def plan(self, **changes: Any) -> Plan:
        """What a push would do."""
        with self.connected(**changes) as strategy:
            return strategy.plan(self.snapshot())

    def push(self, *, flags: Mapping[str, Any] | None = None, **changes: Any) -> Release | None:
        """Plan and push, as the command does; None when there is nothing to do. ``events`` are those of this push."""
        self.events.clear()
        self.raw.clear()
        with self.connected(flags=flags, **changes) as strategy:
            snapshot = self.snapshot()
            for turn in range(1, TURNS + 1):
                plan = strategy.plan(snapshot)
                if not plan.steps:
                    break
                try:
                    return strategy.push(plan, snapshot)
                except Overtaken:
                    # What is live had to be completed first: it is looked at again.
                    if turn == TURNS:
                        raise
        return None

    def _options(self, changes: Mapping[str, Any]) -> Any:
        return self.kind.Options.of({**self.table, **changes})

    def _told(self, event: Event) -> None:
        self.events.append(event)
        self.hear(event)
