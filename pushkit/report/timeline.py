"""The timeline of a page: a bar a push."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from xml.etree.ElementTree import Element

from pushkit.model import LogEntry
from pushkit.report.history import Verdict, began, seconds, verdict
from pushkit.report.mark import css, mark
from pushkit.report.markup import element
from pushkit.report.waterfall import brief

#: So many pushes are bars, and so many bars lie between two days that are named.
BARS, APART = 90, 4


def timeline(pushes: Sequence[LogEntry]) -> Iterator[Element]:
    """A bar a push, as high as it took long, the newest first for who hears it and last for who sees it."""
    pushes = pushes[-BARS:]
    longest = max((took for push in pushes if (took := seconds(push)) is not None), default=0.0)
    bars: list[Element] = []
    days: list[str] = []
    since = APART
    for push in pushes:
        day = f"{began(push).astimezone(UTC):%b %d}".replace(" 0", " ")
        since += 1
        named = day not in days and since > APART
        if named:
            days.append(day)
            since = 0
        bars.insert(0, bar(push, longest, day if named else ""))
    yield element(
        "div",
        element("ol", *bars, class_="bars", reversed="reversed"),
        class_="scroll",
        role="region",
        aria_label="Timeline of pushes",
        tabindex=0,
    )
    kinds = [each for each in Verdict if any(verdict(push) is each for push in pushes)]
    items = [element("li", mark(each), each.value) for each in kinds]
    top = f"The longest of these took {brief(longest)}. " if longest else ""
    yield element("ul", *items, class_="legend")
    yield element("p", f"{top}A bar is a push, as high as it took long; the newest is on the right.", class_="small")


def bar(push: LogEntry, longest: float, day: str) -> Element:
    """One push of the timeline, which leads to more of it."""
    took, ended = seconds(push), verdict(push)
    height = f"{max(6.0, 100 * took / longest):.0f}%" if took is not None and longest else "6%"
    words = f"{push.why} {push.number}, {ended.value}" + (f", {brief(took)}" if took is not None else "")
    time = f"{push.ended.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    inner = [
        element(
            "span", class_=f"column {css(ended)}" + ("" if took is not None else " unknown"), style=f"height:{height}"
        ),
        mark(ended),
    ]
    link = element("a", *inner, href=f"#{anchor(push)}", aria_label=f"{words}, {time}", title=f"{words}, {time}")
    return element("li", link, *([element("span", day, class_="day", aria_hidden="true")] if day else []))


def anchor(push: LogEntry) -> str:
    """Where more is told of a push."""
    return f"failed-{push.number}" if verdict(push) is Verdict.BAD else f"push-{push.number}"
