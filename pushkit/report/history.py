"""What a page tells: a target's status and its log, and what follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

from msgspec import Struct

from pushkit.model import LogEntry, Phase, Status

#: Outcomes of what did what it was for; of what turned back; how the others begin that failed.
WELL = {"good", "prepared", "switched", "resumed", "joined", "done", "succeeded"}
BACK = {"rolled back"}
BADLY = ("failed", "died", "stopped")


class Verdict(StrEnum):
    """How a push ended, in a word."""

    GOOD = "good"
    BACK = "turned back"
    BAD = "failed"
    OTHER = "ended otherwise"


class History(Struct, frozen=True):
    """A target of a project at the moment ``made``, with the pushes of its log, the newest last."""

    project: str
    target: str
    where: str
    made: datetime
    status: Status
    pushes: Sequence[LogEntry]

    @property
    def most(self) -> tuple[str, int]:
        """The release that is live on the most hosts, and on how many."""
        counts = Counter(live for live in self.hosts.values() if not live.startswith("["))
        return counts.most_common(1)[0] if counts else ("", 0)

    @property
    def hosts(self) -> Mapping[str, str]:
        """The release that is live on each host; a word in brackets where that is not known."""
        return self.status.hosts or {self.where: self.status.live}

    @property
    def failures(self) -> Sequence[LogEntry]:
        """The pushes that failed, the newest first."""
        return [each for each in reversed(self.pushes) if verdict(each) is Verdict.BAD]

    @property
    def usual(self) -> float | None:
        """The median of the seconds of what went well, None where none is known."""
        known = [took for each in self.pushes if verdict(each) is Verdict.GOOD and (took := seconds(each)) is not None]
        return median(known) if known else None


def verdict(push: LogEntry) -> Verdict:
    """How ``push`` ended."""
    if push.outcome in BACK or (push.why == "rollback" and push.outcome in WELL):
        return Verdict.BACK
    if push.outcome in WELL:
        return Verdict.GOOD
    return Verdict.BAD if push.outcome.startswith(BADLY) else Verdict.OTHER


def seconds(push: LogEntry) -> float | None:
    """How long a push took, None where its target did not keep that."""
    return max((end(each) for each in push.phases), default=None)


def began(push: LogEntry) -> datetime:
    """About when a push began."""
    return push.ended - timedelta(seconds=seconds(push) or 0.0)


def end(phase: Phase) -> float:
    """The second at which a phase was over."""
    return phase.began + phase.seconds


def ticks(length: float, most: int = 5) -> Sequence[float]:
    """Seconds at which to mark an axis of ``length``, at most so many: 1, 2 or 5 of a power of ten apart."""
    apart = 0.001
    while True:
        for factor in (1, 2, 5):
            if length / (apart * factor) < most:
                return [number * apart * factor for number in range(int(length / (apart * factor)) + 1)]
        apart *= 10
