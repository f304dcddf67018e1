"""`Alias`: which version of a function has the traffic, and which ones had it before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

#: A description may be as long (API reference, UpdateAlias), in characters.
LONGEST = 256
#: As many versions of before are remembered.
DEPTH = 10
BEFORE = re.compile(r"; before: (\d+(?:, \d+)*)$", re.ASCII)


class Alias(Struct, frozen=True):
    """An alias as it is: ``shares`` are the versions that have a part of the traffic beside ``version``, in percent.

    ``revision`` changes with it: an update that names another is refused.
    """

    version: str
    shares: Mapping[str, float]
    description: str
    revision: str

    @property
    def before(self) -> tuple[str, ...]:
        """The versions that were live before, the last one first, as far as its description tells."""
        found = BEFORE.search(self.description)
        return tuple(found[1].split(", ")) if found else ()

    @property
    def words(self) -> str:
        """Its description without what was live before."""
        return BEFORE.sub("", self.description)


def of_answer(found: Mapping[str, Any]) -> Alias:
    """The alias that a service describes."""
    weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    shares = {str(version): float(weight) * 100 for version, weight in weights.items() if weight}
    version, description, revision = (
        str(found.get(name) or "") for name in ("FunctionVersion", "Description", "RevisionId")
    )
    return Alias(version, shares, description, revision)


def described(words: str, live: Alias, version: str) -> str:
    """The description of an alias that goes from ``live`` to ``version``: ``words``, and what was live before."""
    before = earlier(live.version, live.before, version)[:DEPTH]
    told = f"; before: {', '.join(before)}" * bool(before)
    return words[: LONGEST - len(told)] + told


def earlier(live: str, before: Sequence[str], version: str) -> tuple[str, ...]:
    """What was live before ``version``, which comes after ``live``, which came after ``before``, the last one first.

    Who goes back to a version is where it was then: going back once more does not go forth again.
    """
    line = (live, *before)
    return tuple(line[line.index(version) + 1 :]) if version in line else line


def told(shares: Mapping[str, float]) -> str:
    """Which versions have a share of the traffic, in words; empty when none has."""
    return ", ".join(f"version {version} has {share:g}% of the traffic" for version, share in shares.items())
