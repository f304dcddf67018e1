"""Ratios of pairs: each is of two runs that followed each other, and the median of them counts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meter import Cost


@dataclass(frozen=True, slots=True)
class Ratios:
    """Our seconds and theirs, pair by pair."""

    ours: Sequence[float]
    theirs: Sequence[float]

    @classmethod
    def of(cls, ours: Sequence[Cost], theirs: Sequence[Cost]) -> Ratios:
        """Those of what was measured."""
        return cls([cost.seconds for cost in ours], [cost.seconds for cost in theirs])

    @property
    def all(self) -> Sequence[float]:
        """The ratio of each pair."""
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.all)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.all):.2f} to {max(self.all):.2f})"

    def line(self, name: str, against: str, target: float | None) -> str:
        """What is printed of them."""
        said = "" if target is None else f"   target {target}: {met(self.median, target)}"
        return (
            f"{name}: {statistics.median(self.ours):.2f} s, {against} {statistics.median(self.theirs):.2f} s, "
            f"ratio {self} in {len(self.ours)} pairs{said}"
        )


def met(value: float, target: float) -> str:
    """Whether a target is met, in words."""
    return "met" if value <= target else "not met"


def compare(
    name: str, ours: Callable[[], float], theirs: Callable[[], float], against: str, *, pairs: int, target: float | None
) -> None:
    """Measure pairs after one to warm up, in turns first, and print one line."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs + 1):
        if number % 2:
            mine, other = ours(), theirs()
        else:
            other, mine = theirs(), ours()
        if number:
            found[0].append(mine)
            found[1].append(other)
    print(Ratios(*found).line(name, against, target), flush=True)
