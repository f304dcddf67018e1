"""`Table`: figures on docs/benchmarks.md, of which a run replaces what it measured and keeps the rest.

A table follows a comment with its name, and a list of what was used on which day::

    <!-- measured: SSH -->

    - 2026-11-30: rsync 3.5.0, OpenSSH 9.2

    | workload | transport | against | ratio | pairs | target | memory | measured |
    | --- | --- | --- | --- | --- | --- | --- | --- |
    | 10,000 files, first push, 0 ms | openssh | rsync -a | 1.10 (1.06 to 1.14) | 3 | 0.65: not met | | 2026-11-30 |

What stands before the figure is the key of a row. The table after ``<!-- targets -->`` is made of all rows that have a
target. What else is on the page stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/benchmarks.md"
#: What follows the figure in each table; the last is the day.
COLUMNS = ("pairs", "target", "memory", "measured")
FIGURE, TARGET, DAY = -5, -3, -1
TRANSPORT, AGAINST = "transport", "against"
#: The transports that have a column of their own among the targets.
KEPT, PARAMIKO = "kept", "paramiko"
TARGETS = (
    "benchmark",
    "workload",
    AGAINST,
    "target",
    "push",
    "over a kept connection",
    "target of paramiko",
    "by paramiko",
)
MEASURED = re.compile(r"(<!-- measured: (.+?) -->\n\n)((?:- .+\n)*)\n?((?:\|.*\n)+)")
OVERVIEW = re.compile(r"(<!-- targets[^>]*-->\n\n)((?:\|.*\n)*)")
#: The cells of a row.
Row = tuple[str, ...]


@dataclass
class Table:
    """Rows by their key, and by their day what they were measured with."""

    head: Row
    rows: dict[Row, Row] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, used: str, lines: str) -> Table:
        """The one that stands on the page."""
        head, _, *rows = map(cells, lines.splitlines())
        days = (line.removeprefix("- ").partition(": ") for line in used.splitlines())
        return cls(head, {row[:FIGURE]: row for row in rows}, {day: what for day, _, what in days})

    def add(self, row: Row) -> None:
        """Add a row, or replace the one with its key."""
        self.rows[row[:FIGURE]] = row

    def renewed(self, measured: Table) -> Table:
        """What was measured in the place of what was; what is new comes after what was measured before it."""
        if measured.head != self.head:
            raise LookupError(f"the table has the columns {', '.join(self.head)}, not {', '.join(measured.head)}")
        order = list(self.rows)
        before: Row | None = None
        for key in measured.rows:
            if key not in self.rows:
                order.insert(len(order) if before is None else order.index(before) + 1, key)
            before = key
        rows = self.rows | measured.rows
        days = {row[DAY] for row in rows.values()}
        used = {day: what for day, what in (self.used | measured.used).items() if day in days}
        return Table(self.head, {key: rows[key] for key in order}, dict(sorted(used.items(), reverse=True)))

    def __str__(self) -> str:
        used = "".join(f"- {day}: {what}\n" for day, what in self.used.items())
        return f"{used}\n{markdown(self.head, self.rows.values())}".lstrip("\n")


def cells(line: str) -> Row:
    """Those of a line of a table."""
    return tuple(each.strip() for each in line.strip()[1:-1].split("|"))


def markdown(head: Row, rows: Iterable[Row]) -> str:
    """A table, with the end of its last line."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))


def tables(page: str) -> Mapping[str, Table]:
    """All that were measured, by name."""
    return {found[2]: Table.of(found[3], found[4]) for found in MEASURED.finditer(page)}


def renewed(page: str, name: str, measured: Table) -> str:
    """The page with what was measured, and the targets with it. Raises `LookupError` where it has no such table."""
    if name not in tables(page):
        raise LookupError(f"the page has no table after a line <!-- measured: {name} -->")

    def table(found: re.Match[str]) -> str:
        if found[2] != name:
            return found[0]
        return f"{found[1]}{Table.of(found[3], found[4]).renewed(measured)}"

    return with_targets(MEASURED.sub(table, page))


def with_targets(page: str) -> str:
    """The page with the targets that its tables have. Raises `LookupError` where there is no place for them."""
    if not OVERVIEW.search(page):
        raise LookupError("the page has no line <!-- targets -->")
    return OVERVIEW.sub(lambda found: f"{found[1]}{markdown(TARGETS, overview(tables(page)))}", page)


def overview(measured: Mapping[str, Table]) -> Sequence[Row]:
    """A row for each target: of the benchmark, what is compared, and what came of it."""
    rows: dict[Row, Row] = {}
    for name, table in measured.items():
        for row in table.rows.values():
            if not row[TARGET]:
                continue
            said = dict(zip(table.head, row[:FIGURE], strict=False))
            transport, against = said.pop(TRANSPORT, ""), said.pop(AGAINST, "")
            key = (name, ", ".join(filter(None, said.values())), against)
            target, _, met = row[TARGET].partition(": ")
            reached = f"{row[FIGURE].partition(' (')[0]}: {met}"
            found = rows.get(key, ("",) * 5)
            if transport == PARAMIKO:
                rows[key] = (*found[:3], target, reached)
            elif transport == KEPT:
                rows[key] = (target, found[1], reached, *found[3:])
            else:
                rows[key] = (target, reached, *found[2:])
    return [(*key, *row) for key, row in rows.items()]
