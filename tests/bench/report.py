"""`Report`: what was found, a line each at once, and all of it as a table for the documentation in the end."""

from __future__ import annotations

from pairs import Ratios, met
from side import Side
from workload import Target

MEGABYTES = 120
COLUMNS = ("workload", "transport", "against", "defaults", "same crypto", "target", f"memory, target {MEGABYTES} MB")


#: What is measured in the place of a push where the login is much of it.
FLOOR = "`ssh HOST true`"


class Report:
    """The rows of a table."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, ...]] = []

    def add(
        self, title: str, transport: str, ours: tuple[Side, Side | None], theirs: tuple[Side, Side | None],
        target: Target | None,
    ) -> None:  # fmt: skip
        """Tell of one peer; ours and theirs are with defaults, and with the same crypto."""
        usual, matched = ratios(ours, theirs)
        peer = theirs[0].name
        wanted = None if target is None else target[transport == "paramiko"]
        if usual:
            print(f"  {usual.line(f'push ({transport})', peer, wanted)}", flush=True)
        if matched:
            print(f"  {matched.line(f'push ({transport})', f'{peer}, same crypto,', None)}", flush=True)
        reached = f"{wanted}: {met(usual.median, wanted)}" if wanted and usual else str(wanted or "")
        peak = max((cost.megabytes for side in ours if side for cost in side.costs), default=0)
        memory = f"{peak:.0f} MB: {met(peak, MEGABYTES)}" if peak else ""
        told = (str(usual or "failed"), str(matched or ""))
        self._rows.append((title, transport, peer, *told, reached, memory))

    def add_floor(self, title: str, floor: tuple[Side, Side | None], theirs: tuple[Side, Side | None]) -> None:
        """Tell what a login alone is beside one peer."""
        usual, matched = ratios(floor, theirs)
        if usual:
            print(f"  {usual.line(FLOOR, theirs[0].name, None)}", flush=True)
        self._rows.append((title, FLOOR, theirs[0].name, str(usual or "failed"), str(matched or ""), "", ""))

    def table(self) -> str:
        """All rows, in Markdown."""
        rule = ("---",) * len(COLUMNS)
        return "\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, rule, *self._rows))


def ratios(ours: tuple[Side, Side | None], theirs: tuple[Side, Side | None]) -> tuple[Ratios | None, Ratios | None]:
    """Those with defaults, and with the same crypto; none of a side that is not there or failed."""
    usual, matched = (
        Ratios.of(mine.costs, other.costs) if mine and other and not mine.failed and not other.failed else None
        for mine, other in zip(ours, theirs, strict=True)
    )
    return usual, matched
