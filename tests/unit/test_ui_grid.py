"""The hosts of a rollout on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from pushkit.events import HostChanged
from pushkit.fleet.state import State
from pushkit.ui.grid import LINES, MARKS, Grid
from pushkit.ui.rich import Rich


def shown(grid: Grid, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    with console.capture() as capture:
        console.print(grid)
    return [line.rstrip() for line in capture.get().splitlines()]


def changed(number: int, state: str, reason: str = "") -> HostChanged:
    return HostChanged("web", f"web{number}", state, reason, "")


def test_each_host_has_a_mark_and_who_is_in_trouble_a_line() -> None:
    grid = Grid()
    for number in range(25):
        grid.take(changed(number, "prepared"))
    grid.take(changed(0, "done"))
    grid.take(changed(3, "failed", "no \x1broom"))
    grid.take(changed(4, "Pending by a service"))
    assert shown(grid) == [
        "  #ppx~ppppp pppppppppp ppppp",
        "  p 22 prepared   # 1 done   x 1 failed   ~ 1 Pending by a service",
        "  web3 failed: no \\x1broom",
    ]
    # As wide as the terminal, and no more lines of trouble than are read.
    for number in range(25):
        grid.take(changed(number, "unreachable", "it is " + "very " * 40 + "far"))
    lines = shown(grid, 30)
    assert max(map(len, lines)) <= 30
    assert lines[:2] == ["  !!!!!!!!!! !!!!!!!!!!", "  !!!!!"]
    assert lines[-1] == f"  and {25 - LINES} more"
    assert len(lines) == 2 + 1 + LINES + 1


def test_every_state_of_a_host_has_a_mark_of_its_own() -> None:
    assert set(MARKS) == {str(state) for state in State}
    assert len({mark.mark for mark in MARKS.values()}) == len(MARKS)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_trouble_is_a_line_above_the_grid() -> None:
    stream = Terminal()
    reporter = Rich(stream)
    for state in ("connected", "prepared", "switched", "done"):
        reporter(changed(1, state))
    reporter(changed(2, "failed", "it is full"))
    with reporter.aside():
        before = stream.tell()
        reporter(changed(3, "failed", "it is away"))
        assert stream.tell() == before
    reporter.close()
    said = stream.getvalue()
    assert "web: web2 failed: it is full" in said
    assert "web: web3 failed: it is away" in said
    assert "web: web1" not in said
    assert "1 done" in said
