"""Where the time of a push went: a table with a bar for each phase, or for each host a row of them."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from pushkit.amount import counted
from pushkit.model import LogEntry, Phase
from pushkit.report.history import end, seconds, ticks
from pushkit.report.markup import element
from pushkit.ui.text import duration

#: The phases that have a colour of their own.
COLOURED = {
    "connect",
    "snapshot",
    "plan",
    "wait",
    "send",
    "prepare",
    "copy",
    "verify",
    "switch",
    "before switch",
    "after switch",
    "remove",
    "prune",
    "revert",
}
#: What happened where a host is not named.
HERE = "all hosts"


def waterfall(push: LogEntry) -> Element:
    """The table of a push whose phases are known."""
    length = seconds(push) or 0.001
    hosts = list(dict.fromkeys(each.host for each in push.phases))
    domain = ""
    if hosts == [""]:
        what, rows = "Phase", [row(each.name, [each], length) for each in push.phases]
    else:
        groups = [(host, [each for each in push.phases if each.host == host]) for host in hosts]
        groups.sort(key=lambda group: (group[0] != "", max(map(end, group[1]))))
        domain = common([host for host in hosts if host])
        what, rows = "Host", [row(host.removesuffix(domain) or HERE, phases, length) for host, phases in groups]
    head = element(
        "tr",
        element("th", what, *([element("span", f"*{domain}", class_="domain")] if domain else []), scope="col"),
        element("th", element("span", "When", class_="hidden"), axis(length), scope="col", class_="when"),
        element("th", "Took", scope="col", class_="number"),
    )
    table = element(
        "table",
        element("caption", caption(push, length, hosts), class_="hidden"),
        element("thead", head),
        element("tbody", *rows),
        class_="waterfall" if hosts == [""] else "waterfall hosts",
    )
    if hosts == [""]:
        return table
    return element("div", legend(push.phases), table)


def caption(push: LogEntry, length: float, hosts: Sequence[str]) -> str:
    """What the table is about, for who does not see it."""
    many = f" on {counted(len(hosts) - ('' in hosts), 'host')}" if hosts != [""] else ""
    return f"Where the {brief(length)} of {push.why} {push.number}{many} went"


def common(hosts: Sequence[str]) -> str:
    """How the names of all ``hosts`` end, from a dot on; empty where they do not, and of addresses."""
    if len(hosts) < 2 or any(host.replace(".", "").isdigit() or ":" in host for host in hosts):
        return ""
    ends = [{host[at:] for at, char in enumerate(host) if char == "." and at} for host in hosts]
    return max(set.intersection(*ends), key=len, default="")


def row(name: str, phases: Sequence[Phase], length: float) -> Element:
    """One line of the table: what it is about, its bars, and how long it took."""
    alone = len(phases) == 1 and phases[0].name == name
    swatch = [element("span", class_=f"swatch {colour(name)}", aria_hidden="true")] if alone else []
    told = "; ".join(f"{each.name} {brief(each.seconds)}" for each in phases)
    spans = [
        element(
            "span",
            class_=f"bar {colour(each.name)}",
            style=f"left:{share(each.began, length)};width:{share(each.seconds, length)}",
            title=f"{each.name}: {brief(each.seconds)}, from {brief(each.began)} on",
        )
        for each in phases
    ]
    words = f"from {brief(phases[0].began)} on" if alone else told
    return element(
        "tr",
        element("th", *swatch, name, scope="row"),
        element(
            "td",
            element("span", words, class_="hidden"),
            element("div", *spans, class_="track", aria_hidden="true"),
            class_="when",
        ),
        element("td", brief(sum(each.seconds for each in phases) if alone else lasted(phases)), class_="number"),
    )


def lasted(phases: Sequence[Phase]) -> float:
    """From the beginning of the first of ``phases`` to the end of the last."""
    return max(map(end, phases)) - min(each.began for each in phases)


def axis(length: float) -> Element:
    """The seconds over the bars."""
    marks = [
        element("span", marked(at, length), style=f"left:{share(at, length)}")
        for at in ticks(length)
        if at <= length * 0.94
    ]
    return element("div", *marks, class_="axis", aria_hidden="true")


def marked(at: float, length: float) -> str:
    """What stands at a mark of an axis, in the unit of the whole."""
    if at == 0:
        return "0"
    return f"{at * 1000:.0f} ms" if length < 1 else f"{at:g} s" if length < 120 else duration(at)


def legend(phases: Sequence[Phase]) -> Element:
    """What the colours mean."""
    names = dict.fromkeys(each.name for each in phases)
    items = [
        element("li", element("span", class_=f"swatch {colour(name)}", aria_hidden="true"), name) for name in names
    ]
    return element("ul", *items, class_="legend")


def colour(name: str) -> str:
    """The class of a phase."""
    return f"of-{name.replace(' ', '-')}" if name in COLOURED else "of-other"


def share(part: float, whole: float) -> str:
    """A part of the whole as CSS has it."""
    return f"{min(100.0, 100 * part / whole):.2f}%"


def brief(seconds: float) -> str:
    """Seconds, as milliseconds where they are few."""
    return f"{seconds * 1000:.0f} ms" if 0 < seconds < 0.9995 else duration(seconds)
