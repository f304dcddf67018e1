"""`Report`: what a benchmark found, a line each at once, and in the end on the page of benchmarks."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from meter import Cost
from page import COLUMNS, Row, Table, renewed
from pairs import Ratios, met
from room import file_system
from tools import used


class Report:
    """The rows of the table ``name``, of which ``key`` are the first columns. It is written where the block ends.

    ``tools`` are what the figures depend on, beside push and Python.
    """

    def __init__(
        self, name: str, key: Sequence[str], chosen: argparse.Namespace, tools: Sequence[str | Path] = (),
        figure: str = "ratio",
    ) -> None:  # fmt: skip
        self._name = name
        self._page: Path | None = chosen.write
        self._day = f"{datetime.now(UTC):%Y-%m-%d}"
        versions = used(("pushkit", *tools))
        where = file_system(chosen.directory) or "a disk"
        what = f"{versions}, Python {platform.python_version()}; {os.cpu_count()} processors, data on {where}"
        self._table = Table((*key, figure, *COLUMNS), used={self._day: what})
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"{name}, {self._day}: {what}; load {load}", flush=True)

    def __enter__(self) -> Report:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # What was found before something failed was found.
        if self._page and self._table.rows:
            self._page.write_text(renewed(self._page.read_text(), self._name, self._table))

    def compare(
        self, key: Row, ours: Sequence[Cost], theirs: Sequence[Cost], target: float | None = None,
        megabytes: float | None = None,
    ) -> None:  # fmt: skip
        """Tell of pairs, as many as both have, and of our memory."""
        pairs = list(zip(ours, theirs, strict=False))
        self.ratio(key, Ratios.of([mine for mine, _ in pairs], [other for _, other in pairs]), target,
                   max(cost.megabytes for cost in ours), megabytes)  # fmt: skip

    def ratio(
        self, key: Row, ratios: Ratios, target: float | None = None, memory: float | None = None,
        megabytes: float | None = None,
    ) -> None:  # fmt: skip
        """Tell of a ratio, and of memory; ``megabytes`` is how much that may be."""
        ours, theirs = (statistics.median(side) for side in (ratios.ours, ratios.theirs))
        needed = "" if memory is None else f"{memory:.0f} MB"
        if memory is not None and megabytes is not None:
            needed += f", {megabytes:g}: {met(memory, megabytes)}"
        judged = "" if target is None else f"{target:g}: {met(ratios.median, target)}"
        self._add(key, str(ratios), len(ratios.ours), judged, needed, f" ({ours:.2f} s to {theirs:.2f} s)")

    def figure(self, key: Row, value: float, unit: str, target: float | None = None, pairs: int = 1) -> None:
        """Tell of a figure that is beside nothing, in a unit."""
        judged = "" if target is None else f"{target:g} {unit}: {met(value, target)}"
        self._add(key, f"{value:.3g} {unit}", pairs, judged, "")

    def failure(self, key: Row, who: str, target: float | None = None) -> None:
        """Tell who failed: push, which meets no target then, or the other, with which there is no comparison."""
        judged = "" if target is None else f"{target:g}: {'not met' if who == 'push' else 'not measured'}"
        self._add(key, f"{who} failed", 0, judged, "")

    def absent(self, peer: str) -> None:
        """Tell that there are no rows beside a peer, since it is not installed; those of the page stay."""
        print(f"  not measured: {peer}, which is not installed", flush=True)

    def _add(self, key: Row, figure: str, pairs: int, target: str, memory: str, more: str = "") -> None:  # noqa: PLR0917
        self._table.add((*key, figure, str(pairs or ""), target, memory, self._day))
        said = [f"{figure}{more}, {pairs} pair{'s' * (pairs != 1)}", target and f"target {target}", memory]
        print(f"  {', '.join(key)}: {'; '.join(filter(None, said))}", flush=True)
