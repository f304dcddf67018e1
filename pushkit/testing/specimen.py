"""`Specimen`: a target to test a strategy on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct


class Specimen(Struct, frozen=True):
    """A target to test a strategy on, where nothing was pushed yet.

    ``options`` is its table without ``strategy``. ``live`` reads back what is live, past the strategy: the content of
    each file by its path in the project, and no more than that. ``state`` is anything that differs as soon as anything
    on the target does; by default it is what is live. ``unusable`` are changes of the options, each of which is to end
    in a `TargetError`: wrong credentials, an address where nobody listens.
    """

    options: Mapping[str, Any]
    live: Callable[[], Mapping[str, bytes]]
    unusable: Sequence[Mapping[str, Any]]
    state: Callable[[], object] | None = None

    def look(self) -> object:
        """Its state."""
        return self.state() if self.state else self.live()
