"""How far a push is: files and bytes, the rate, the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from pushkit.events import Event, PlanReady, StepFinished, StepProgress, StepsPassed
from pushkit.model import Action, Step

# Seconds that the rate looks back: long enough to be calm, short enough to follow a line that slows down.
_WINDOW = 10.0

# Seconds between two of the points that it looks back at.
_SAMPLE = 0.1


def sends(step: Step) -> bool:
    """Whether ``step`` puts a file or a symlink on the target. A directory's subject ends in a slash."""
    return step.action in (Action.ADD, Action.REPLACE) and not step.subject.endswith("/")


class Progress:
    """Counts what has travelled on one target, told by events. Bytes are those of files, not of the wire."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steps: dict[Step, int] = {}
        self._samples: deque[tuple[float, int]] = deque()
        self._start(files=0, size=0)

    def __call__(self, event: Event) -> None:
        """Take note of ``event``."""
        if isinstance(event, PlanReady):
            self._start(sum(map(sends, event.plan.steps)), event.plan.size)
        elif isinstance(event, StepProgress):
            self._steps[event.step] = self._steps.get(event.step, 0) + event.size
            self._add(event.size)
        elif isinstance(event, StepFinished):
            # A strategy that reports no bytes on the way has sent them by now.
            self._add(max(0, event.step.size - self._steps.pop(event.step, 0)))
            self.files += sends(event.step)
        elif isinstance(event, StepsPassed):
            self._add(event.size)
            self.files += sum(map(sends, event.steps))

    def _start(self, files: int, size: int) -> None:
        self.files = self.size = 0
        self.total_files = files
        self.total_size = size
        self._steps.clear()
        self._samples.clear()

    def _add(self, size: int) -> None:
        self.size += size
        now = self._clock()
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE:
            self._samples.append((now, self.size))
        while len(self._samples) > 2 and self._samples[0][0] < now - _WINDOW:
            self._samples.popleft()

    @property
    def rate(self) -> float:
        """Bytes a second of late, 0.0 while it is not known."""
        if not self._samples:
            return 0.0
        first, then = self._samples[0]
        seconds = self._clock() - first
        return (self.size - then) / seconds if seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until all has travelled at this rate, None while it is not known."""
        rate = self.rate
        return max(0, self.total_size - self.size) / rate if rate > 0 else None

    @property
    def share(self) -> float:
        """From 0.0 to 1.0: by bytes, by files where all files are empty."""
        done, total = (self.size, self.total_size) if self.total_size else (self.files, self.total_files)
        return min(1.0, done / total) if total else 0.0
