"""The hosts of a rollout on a terminal: a mark for each, by its state, and a line for each that is in trouble."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from pushkit.events import HostChanged
from pushkit.ui.text import visible


class Mark(NamedTuple):
    """How a state looks. One in trouble has a line of its own."""

    mark: str
    style: str
    trouble: bool = False


#: In the order in which a host goes through them. ASCII, which every terminal has.
MARKS: Mapping[str, Mark] = {
    "pending": Mark(".", "dim"),
    "connected": Mark("o", "cyan"),
    "prepared": Mark("p", "blue"),
    "switched": Mark("s", "magenta"),
    "verified": Mark("v", "green"),
    "done": Mark("#", "bold green"),
    "gone": Mark("-", "dim"),
    "rolled back": Mark("<", "yellow"),
    "unreachable": Mark("!", "yellow", trouble=True),
    "unknown": Mark("?", "bold yellow", trouble=True),
    "failed": Mark("x", "bold red", trouble=True),
}
OTHER = Mark("~", "")
#: So many hosts in trouble have a line.
LINES = 8
#: Marks in a row, in groups of ten.
ROW = 100


class Grid:
    """What rich shows while hosts are on their way."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostChanged] = {}

    def take(self, event: HostChanged) -> None:
        """A host is in another state."""
        self.hosts[event.host] = event

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The marks, what they mean and how many there are, and what is wrong."""
        width = max(10, min(ROW, (options.max_width - 2) // 11 * 10))
        hosts = list(self.hosts.values())
        for start in range(0, len(hosts), width):
            line = Text("  ")
            for number, event in enumerate(hosts[start : start + width]):
                mark = MARKS.get(event.state, OTHER)
                line.append(" " if number and number % 10 == 0 else "")
                line.append(mark.mark, mark.style)
            yield line
        legend = self.legend(hosts)
        legend.truncate(options.max_width, overflow="ellipsis")
        yield legend
        yield from self.trouble(hosts, options.max_width)

    def legend(self, hosts: Sequence[HostChanged]) -> Text:
        """How many hosts are in which state."""
        states = [event.state for event in hosts]
        line = Text("  ")
        for state in [*MARKS, *dict.fromkeys(each for each in states if each not in MARKS)]:
            if count := states.count(state):
                mark = MARKS.get(state, OTHER)
                line.append(mark.mark, mark.style).append(f" {count} {visible(state)}   ")
        return line

    def trouble(self, hosts: Sequence[HostChanged], width: int) -> Iterator[Text]:
        """A line for each host in trouble, the first of them."""
        bad = [event for event in hosts if MARKS.get(event.state, OTHER).trouble]
        for event in bad[:LINES]:
            line = Text(f"  {visible(event.host)} {event.state}: {visible(event.reason)}", MARKS[event.state].style)
            line.truncate(width, overflow="ellipsis")
            yield line
        if len(bad) > LINES:
            yield Text(f"  and {len(bad) - LINES} more")
