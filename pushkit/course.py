"""The course of one command on one target: its phases, with their seconds, and the last lines that were printed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pushkit.events import (
    Event,
    HostChanged,
    Output,
    PlanReady,
    SnapshotTaken,
    StepFailed,
    StepFinished,
    StepProgress,
    StepsPassed,
    StepStarted,
)
from pushkit.model import Action, Phase, Step

#: So many lines are kept of each command or host, so many characters of a line, and so many commands or hosts.
LINES, WIDTH, SOURCES = 12, 240, 1000
#: What a phase is called that a step belongs to, where that is not what its action is.
NAMES = {Action.ADD: "send", Action.REPLACE: "send", Action.KEEP: "copy"}
BEFORE, AFTER = "before switch", "after switch"


def phase(step: Step) -> str:
    """The name of the phase that a step belongs to."""
    return NAMES.get(step.action, step.action.value)


class Course:
    """Listens to the events of one command, and knows what it did when. Safe to use from threads.

    ``redact`` is applied to what is kept of each line, before it is cut.
    """

    #: Steps may come together, see `Emitter`.
    many = True

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._began = time.monotonic()
        self._lock = threading.Lock()
        # When each phase began and ended, by its host, which is empty where there is one, and its name.
        self._phases: dict[tuple[str, str], tuple[float, float]] = {}
        self._hosts: set[str] = set()
        self._failed: set[str] = set()
        self._output: dict[str, deque[str]] = {}
        self._switched: set[str] = set()
        self._ready = 0.0
        #: The bytes that the last plan would send.
        self.size = 0

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def __call__(self, event: Event) -> None:
        """Take down ``event``."""
        match event:
            case StepProgress():
                # There are most of these, and of the steps.
                pass
            case StepsPassed(steps=steps, seconds=seconds):
                for host, name in map(self._key, {each.action: each for each in steps}.values()):
                    self._take(host, name, self.now - seconds)
            case StepStarted(step=step):
                if self._key(step) not in self._phases:
                    self._meanwhile(step)
            case StepFinished(step=step) | StepFailed(step=step):
                self._meanwhile(step)
                if step.action is Action.SWITCH and isinstance(event, StepFinished):
                    self._switched.add(self._host(step))
            case SnapshotTaken(seconds=seconds):
                self._take("", "snapshot", self.now - seconds)
                self._ready = self.now
            case PlanReady(plan=plan):
                self._take("", "plan", self._ready)
                self.size = plan.size
            case HostChanged(host=host, state=state, reason=reason):
                self._hosts.add(host)
                # Who is done may have something to say of it, too.
                if reason and state != "done":
                    self._failed.add(host)
                    self._keep(host, f"{state}: {reason}")
            case Output(source=source, line=line):
                self._keep(source, line)

    @contextmanager
    def during(self, name: str, host: str = "") -> Iterator[None]:
        """A phase: what is done in it, on ``host`` where there are many."""
        began = self.now
        try:
            yield
        finally:
            self._take(host, name, began)
            if not host:
                self._ready = self.now

    @property
    def phases(self) -> Sequence[Phase]:
        """What it did so far, in the order in which it was begun."""
        with self._lock:
            found = [Phase(name, began, end - began, host) for (host, name), (began, end) in self._phases.items()]
        return sorted(found, key=lambda phase: phase.began)

    @property
    def output(self) -> Sequence[str]:
        """The last lines of each command or host, behind its name: those of hosts that failed at the end, and before
        that whatever was heard of last.
        """
        with self._lock:
            sources = sorted(self._output, key=lambda source: source.split(" ")[0] in self._failed)
            return [f"{source}: {line}" for source in sources for line in self._output[source]]

    def _host(self, step: Step) -> str:
        return step.subject if step.subject in self._hosts else ""

    def _key(self, step: Step) -> tuple[str, str]:
        """The host and the name of the phase that a step belongs to now."""
        host = self._host(step)
        if step.action is Action.RUN:
            return host, AFTER if host in self._switched else BEFORE
        return host, phase(step)

    def _meanwhile(self, step: Step) -> None:
        host, name = self._key(step)
        self._take(host, name, self._latest(host) if step.action is Action.VERIFY else self.now)

    def _latest(self, host: str) -> float:
        """When the last phase ended. What a server verifies with a script is heard of when it is done."""
        with self._lock:
            return max((end for (where, _), (_, end) in self._phases.items() if where == host), default=self.now)

    def _take(self, host: str, name: str, began: float) -> None:
        """A phase that lasts until now, and began then, unless it had begun before."""
        with self._lock:
            earlier = self._phases.get((host, name))
            self._phases[host, name] = (earlier[0] if earlier else max(began, 0.0), self.now)

    def _keep(self, source: str, line: str) -> None:
        text = self._redact(line)[:WIDTH]
        with self._lock:
            lines = self._output.pop(source, None) or deque(maxlen=LINES)
            lines.append(text)
            self._output[source] = lines
            if len(self._output) > SOURCES:
                del self._output[next(iter(self._output))]
