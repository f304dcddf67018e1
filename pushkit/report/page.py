"""The page: what is live, a timeline, where the time went, what failed, every push; one file that needs no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from xml.etree.ElementTree import Element

from pushkit import __version__
from pushkit.amount import amount, counted
from pushkit.model import LogEntry
from pushkit.report.history import History, Verdict, seconds, verdict
from pushkit.report.mark import mark
from pushkit.report.markup import Child, document, element, moment
from pushkit.report.timeline import timeline
from pushkit.report.waterfall import brief, waterfall

#: So many pushes are listed, and so many failures are told with their output.
LISTED, FAILURES = 500, 30
#: So many pushes are told phase by phase, of at most so many phases together.
TOLD, PHASES = 12, 1500
#: So many hosts with one release are named.
NAMED = 12
#: What stands where nothing is known.
NONE = "—"
#: Nothing is loaded and nothing runs, whatever a target says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(history: History) -> str:
    """The page of a target's history."""
    name = f"{history.target} · {history.project}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{name}: pushes"),
        style(),
    )
    body = element(
        "body",
        element("a", "To what is live", href="#live", class_="skip"),
        header(history),
        element("main", *sections(history)),
        element("footer", element("p", "Made by pushkit ", __version__, " on ", moment(history.made), ".")),
    )
    return document(element("html", head, body, lang="en"))


def style() -> Element:
    """The style sheet; the text of this element is not escaped, and comes from nobody else."""
    made = Element("style")
    made.text = (files("pushkit.report") / "page.css").read_text(encoding="utf-8")
    return made


def header(history: History) -> Element:
    """The target's name, what is live, and the figures."""
    status = history.status
    most, share = history.most
    live: list[Child] = [element("strong", most or "nothing"), " is live"]
    if status.hosts:
        live.append(f" on {share} of {counted(len(status.hosts), 'host')}")
    if status.since:
        live += [" since ", moment(status.since)]
    if status.who:
        live += [", by ", status.who]
    counts = {each: sum(verdict(push) is each for push in history.pushes) for each in Verdict}
    figures = [
        (f"{len(history.pushes):,}", "in its log"),
        (str(counts[Verdict.GOOD]), "went well"),
        (str(counts[Verdict.BAD]), "failed"),
        (str(counts[Verdict.BACK]), "turned back"),
    ]
    if history.usual is not None:
        figures.append((brief(history.usual), "usually"))
    tiles = [element("div", element("dt", what), element("dd", figure)) for figure, what in figures]
    return element(
        "header",
        element("p", history.project, class_="project"),
        element("h1", history.target),
        element("p", *live, class_="verdict"),
        *held(history),
        element("dl", *tiles, class_="figures"),
    )


def held(history: History) -> Iterator[Element]:
    """Who keeps others from pushing."""
    hold = history.status.hold
    if hold:
        yield element("p", f"Pushes are held by {hold.who} since {hold.when}: {hold.why}", class_="note")
    for index, place in enumerate(history.status.queue):
        has = "waits" if index else "has it"
        since: list[Child] = [" since ", moment(place.since)] if place.since else []
        yield element("p", f"{place.why} {place.number} by {place.who} {has}", *since, class_="note")


def sections(history: History) -> Iterator[Element]:
    """The parts of the page."""
    yield section("live", "What is live", live(history))
    if not history.pushes:
        yield section("pushes", "Pushes", element("p", "There was no push yet."))
        return
    yield section("timeline", "Timeline", *timeline(history.pushes))
    if told := phased(history.pushes):
        yield section("time", "Where the time went", *(details(push, first=not at) for at, push in enumerate(told)))
    if history.failures:
        yield section("failures", "What failed", *map(failure, history.failures[:FAILURES]))
    yield section("pushes", "Every push", *listed(history, {each.number for each in told}))


def section(name: str, title: str, *children: Element) -> Element:
    """A part of the page, a landmark by its title."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


# What is live.


def live(history: History) -> Element:
    """What is live on which host. Hosts that are many and alike are one line that opens."""
    groups: dict[str, list[str]] = {}
    for host, release in history.hosts.items():
        groups.setdefault(release, []).append(host)
    known = {each.id: each for each in (*history.status.releases, *history.status.prepared)}
    rows = []
    for release, hosts in sorted(groups.items(), key=lambda group: -len(group[1])):
        found = known.get(release)
        rows.append(
            element(
                "tr",
                element("th", *names(hosts), scope="row"),
                cell("Release", element("code", release or "nothing")),
                cell("Revision", found.revision.short if found else NONE),
                cell("Made", moment(found.created) if found else NONE),
                cell("By", (found.creator if found else "") or NONE),
            )
        )
    return table("What is live on which host", ("Host", "Release", "Revision", "Made", "By"), rows)


def names(hosts: Sequence[str]) -> Sequence[Child]:
    """The hosts of one release."""
    if len(hosts) <= NAMED:
        return [", ".join(hosts)]
    return [element("details", element("summary", counted(len(hosts), "host")), element("p", ", ".join(hosts)))]


# Where the time went.


def phased(pushes: Sequence[LogEntry]) -> Sequence[LogEntry]:
    """The newest pushes of which the phases are known, the newest first."""
    found: list[LogEntry] = []
    left = PHASES
    for push in reversed(pushes):
        left -= len(push.phases)
        if push.phases and (left >= 0 or not found) and len(found) < TOLD:
            found.append(push)
    return found


def details(push: LogEntry, *, first: bool) -> Element:
    """The phases of a push, behind its line; the newest is open."""
    ended = verdict(push)
    summary = element(
        "summary",
        mark(ended),
        element("span", f"{push.why} {push.number}", class_="name"),
        element("span", brief(seconds(push) or 0.0), class_="took"),
        element("span", moment(push.ended), f", {ended.value}", class_="small"),
    )
    more = {"open": "open"} if first else {}
    return element("details", summary, element("div", waterfall(push), id=f"time-{push.number}"), class_="push", **more)


# What failed.


def failure(push: LogEntry) -> Element:
    """A push that failed, with the last that was printed."""
    name = f"failed-{push.number}"
    return element(
        "article",
        element("h3", f"{push.why} {push.number}".capitalize(), id=f"{name}-title"),
        element("p", moment(push.ended), f", by {push.who or 'somebody'}", class_="small"),
        element("p", push.outcome, class_="outcome"),
        *output(push),
        id=name,
        aria_labelledby=f"{name}-title",
        class_="failure",
    )


def output(push: LogEntry) -> Iterator[Element]:
    """The last lines that the commands of a push printed."""
    if push.output:
        lines = [element("span", each) for each in push.output]
        for each in lines:
            # Ends of lines are ours: in a text of the target's they would be shown as an escape.
            each.tail = "\n"
        yield element("pre", element("code", *lines))


# Every push.


def listed(history: History, told: set[int]) -> Iterator[Element]:
    """All pushes, the newest first."""
    newest = list(reversed(history.pushes))[:LISTED]
    headings = ("Push", "Ended", "By", "Release", "Sent", "Took", "Outcome")
    yield table(f"Pushes to {history.target}, the newest first", headings, [line(each, told) for each in newest])
    if left := len(history.pushes) - len(newest):
        yield element("p", f"{left:,} older ones are left out: push log lists them.", class_="small")


def line(push: LogEntry, told: set[int]) -> Element:
    """One push of the table."""
    took, ended = seconds(push), verdict(push)
    length: Child = brief(took) if took is not None else NONE
    if push.number in told:
        length = element("a", length, href=f"#time-{push.number}", aria_label=f"{length}: where the time went")
    outcome: list[Child] = [
        mark(ended),
        push.outcome,
    ]
    return element(
        "tr",
        element("th", element("span", f"{push.why} {push.number}", class_="short"), scope="row"),
        cell("Ended", moment(push.ended)),
        cell("By", push.who or NONE),
        cell("Release", element("code", push.release or NONE)),
        cell("Sent", element("span", amount(push.size) if push.phases else NONE, class_="short")),
        cell("Took", element("span", length, class_="short")),
        cell("Outcome", *outcome),
        id=f"push-{push.number}",
    )


def table(caption: str, headings: Sequence[str], rows: Sequence[Element]) -> Element:
    """A table, each row of which is a card where there is little room."""
    head = element("tr", *(element("th", each, scope="col") for each in headings))
    return element(
        "table",
        element("caption", caption, class_="hidden"),
        element("thead", head),
        element("tbody", *rows),
        class_="cards",
    )


def cell(name: str, *children: Child) -> Element:
    """A cell. ``name`` is what it is called where its column's heading is not seen."""
    return element("td", *children, data_label=name)
