"""The log of a target: how each push ended, a line of JSON each, written by whoever ended it.

Beside what became of it, a line has what took how long, and of a push that failed the last that was printed::

    {"number": 42, "outcome": "good", ..., "size": 8071,
     "phases": [["connect", 0.0, 0.31], ["snapshot", 0.0, 0.04], ["switch", 2.5, 0.2, "web1.example.com"]],
     "at": 0.52, "laps": "start 9120.31 send 9121.07 verify 9121.30 switch 9121.31 ",
     "output": ["after_switch: no such unit"]}

A phase is its name, when it began and how long it took, in seconds, and its host where there are many. A script on the
host, told ``at`` so many seconds, adds its own as laps: what was over when, by the clock of the host. All of that may
be missing, and what a later pushkit adds is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from pushkit.course import Course
from pushkit.files.errors import RemoteMissing
from pushkit.files.operation import LAPS
from pushkit.files.procedure import LOG
from pushkit.files.remote import Remote
from pushkit.files.survey import State
from pushkit.files.ticket import decoded, time_of
from pushkit.model import LogEntry, Phase

#: The most that one line keeps, which bounds it to about 32 KiB: hosts, those first on which most time went; phases,
#: characters of output.
HOSTS, PHASES, OUTPUT = 100, 600, 4096
#: The longest name of a phase or a host that is read, in characters.
NAME = 255


def course_of(course: Course, *, failed: bool) -> dict[str, object]:
    """What a line says of the ``course`` of its push; of one that ``failed`` the last lines, too."""
    phases = chosen(course.phases)
    record: dict[str, object] = {
        "size": course.size,
        "phases": [
            [each.name, round(each.began, 3), round(each.seconds, 3), *([each.host] if each.host else [])]
            for each in phases
        ],
        "at": round(course.now, 3),
    }
    return record | ({"output": last(course.output)} if failed else {})


def chosen(phases: Sequence[Phase]) -> Sequence[Phase]:
    """Those of ``phases`` that a line has room for."""
    hosts: dict[str, float] = {}
    for each in phases:
        if each.host:
            hosts[each.host] = hosts.get(each.host, 0.0) + each.seconds
    kept = {"", *sorted(hosts, key=lambda host: -hosts[host])[:HOSTS]}
    return [each for each in phases if each.host in kept][:PHASES]


def last(lines: Sequence[str], most: int = OUTPUT) -> list[str]:
    """The last of ``lines``: as many as have ``most`` characters, their ends among them."""
    kept: list[str] = []
    for line in reversed(lines):
        most -= len(line) + 1
        if most < 0:
            break
        kept.append(line)
    return kept[::-1]


def read_log(remote: Remote, state: State) -> tuple[Sequence[LogEntry], int]:
    """What the log says, the newest last, and how many of its lines are damaged."""
    try:
        lines = remote.read(state / "log", LOG).splitlines()
    except RemoteMissing:
        return (), 0
    found = [entry_of(line) for line in lines]
    # Who ends a push, and who vouches for it, may say the same.
    entries: dict[tuple[int, str], LogEntry] = {}
    for entry in filter(None, found):
        known = entries.get((entry.number, entry.outcome))
        if known is None or entry.phases or not known.phases:
            entries[entry.number, entry.outcome] = entry
    return list(entries.values()), found.count(None)


def entry_of(line: bytes) -> LogEntry | None:
    """What a line says, None when it is damaged. What its push took, and printed, counts for nothing where it is."""
    record = decoded(line)
    number, ended = record.get("number"), time_of(record.get("ended"))
    words = [record.get(key, "") for key in ("who", "why", "release", "previous", "outcome")]
    if type(number) is not int or number < 1 or ended is None or not all(isinstance(word, str) for word in words):
        return None
    who, why, release, previous, outcome = words
    size, output = record.get("size"), sound(list, record.get("output"))
    return LogEntry(
        number,
        ended,
        who,
        why,
        release,
        previous,
        outcome,
        phases=tuple([*phases_in(record.get("phases")), *laps_in(record.get(LAPS), record.get("at"))][:PHASES]),
        size=size if type(size) is int and 0 <= size < 1 << 63 else 0,
        output=tuple(last([each for each in output if isinstance(each, str)])),
    )


def phases_in(found: object) -> list[Phase]:
    """The phases that a line lists."""
    phases = []
    for each in sound(list, found)[:PHASES]:
        name, began, seconds, host = [*sound(list, each), "", "", "", ""][:4]
        if named(name) and isinstance(host, str) and len(host) <= NAME and amount(began) and amount(seconds):
            phases.append(Phase(name, float(began), float(seconds), host))
    return phases


def laps_in(found: object, at: object) -> list[Phase]:
    """The phases whose ends a script told, which began ``at`` so many seconds."""
    words = sound(str, found).split()[: 2 * PHASES]
    try:
        ends = [(name, float(when)) for name, when in zip(words[::2], words[1::2], strict=True)]
    except ValueError:
        return []
    begin = float(at) if isinstance(at, (int, float)) and amount(at) else 0.0
    first = ends[0][1] if ends else 0.0
    spans = [(name, begin + start - first, end - start) for (_, start), (name, end) in pairwise(ends)]
    return [Phase(*span) for span in spans if named(span[0]) and amount(span[1]) and amount(span[2])]


def sound(kind: Callable[[], Any], value: object) -> Any:
    """``value`` if it is of that ``kind``, else an empty one."""
    empty = kind()
    return value if isinstance(value, type(empty)) else empty


def named(value: object) -> bool:
    """Whether it can be the name of a phase."""
    return isinstance(value, str) and 0 < len(value) <= NAME


def amount(value: object) -> bool:
    """Whether it can be an amount of seconds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
