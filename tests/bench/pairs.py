"""Ratios of pairs: each is of two runs of one round, and the median of them counts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
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
        every = f" ({min(self.all):.2f} to {max(self.all):.2f})" if len(self.all) > 1 else ""
        return f"{self.median:.2f}{every}"


def met(value: float, target: float) -> str:
    """Whether a target is met, in words."""
    return "met" if value <= target else "not met"


def in_turns(
    ways: Mapping[str, Callable[[], Cost]], pairs: int, *, warm_ups: int = 1, before: Callable[[], None] = lambda: None
) -> Mapping[str, Sequence[Cost]]:
    """What each way takes, in rounds, after some that do not count; the order is another one in each round."""
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(pairs + warm_ups):
        before()
        for name in ways if number % 2 else reversed(list(ways)):
            cost = ways[name]()
            if number >= warm_ups:
                found[name].append(cost)
    return found
