"""`Message`: what others are told of a push, as data and as one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from string import Formatter
from typing import Any

from msgspec import Struct, field

from pushkit import Commit


class What(StrEnum):
    """What others can be told of."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    NOTHING = "nothing"
    PREPARED = "prepared"
    ROLLED_BACK = "rolled-back"
    SWITCHED = "switched"
    RESUMED = "resumed"
    JOINED = "joined"
    HELD = "held"
    RELEASED = "released"


USUAL = tuple(each for each in What if each is not What.NOTHING)
"""What is told unless the Pushfile says otherwise."""

TEXTS: Mapping[What, str] = {
    What.STARTED: "{who} pushes {project} {revision} to {target}{commits}",
    What.FINISHED: "{who} pushed {project} {release} to {target} in {duration}{hosts}",
    What.FAILED: "the push of {project} {revision} to {target} by {who} failed: {error}{hosts}",
    What.NOTHING: "{who} pushed {project} to {target}: nothing to do",
    What.PREPARED: "{who} prepared {project} {release} on {target}; it is not live yet",
    What.ROLLED_BACK: "{who} rolled {target} of {project} back to {release}",
    What.SWITCHED: "{who} switched {target} of {project} to {release}",
    What.RESUMED: "{who} completed a push of {project} to {target}: {release} is live",
    What.JOINED: "{host} of {target} has joined with {project} {release}",
    What.HELD: "{who} holds {target} of {project}: {why}",
    What.RELEASED: "{who} ended the hold of {target} of {project}",
}
NOT_DONE = "the {command} of {target} of {project} by {who} failed: {error}"
"""What is said of a command other than ``push`` that failed."""
FIELDS = (
    "project",
    "target",
    "who",
    "what",
    "revision",
    "release",
    "live",
    "duration",
    "error",
    "why",
    "host",
    "command",
)
"""What a text may have in braces, beside ``commits`` and ``hosts``."""


class Message(Struct, frozen=True):
    """One thing to tell. What does not belong to it is empty.

    ``command`` is the one that failed, when it was not ``push``.
    ``seconds`` is how long a push took. ``hosts`` is how many hosts were heard of, and ``trouble`` are those that are
    not well, each with what is wrong. ``more`` is how many commits there are beside those that are named.
    """

    what: What
    project: str
    target: str
    who: str
    revision: str = ""
    release: str = ""
    live: str = ""
    error: str = ""
    why: str = ""
    host: str = ""
    command: str = ""
    seconds: float = 0.0
    commits: Sequence[Commit] = ()
    more: int = 0
    hosts: int = 0
    trouble: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """It as JSON, of version 1: a field may be added, none is renamed or removed."""
        return {
            "version": 1,
            "what": str(self.what),
            **{name: getattr(self, name) for name in ("project", "target", "who", "revision", "release", "live")},
            **{name: getattr(self, name) for name in ("error", "why", "host", "command")},
            "seconds": round(self.seconds, 3),
            "commits": [{"id": each.id, "subject": each.subject} for each in self.commits],
            "more": self.more,
            "hosts": {"count": self.hosts, "trouble": dict(self.trouble)},
            "text": self.text(),
        }

    def text(self, template: str = "", *, inline: bool = False) -> str:
        """It in words, by ``template`` or the usual one. ``inline`` is for a place where a line is a message."""
        values = {name: str(getattr(self, name, "")) for name in FIELDS}
        values["duration"] = duration(self.seconds)
        values["commits"] = "".join(f"\n{line}" for line in self._commits())
        values["hosts"] = "".join(f"\n{line}" for line in self._hosts())
        usual = NOT_DONE if self.command else TEXTS[self.what]
        text = (template or usual).format_map(values)
        # Who reads a log on a terminal is not to be told anything by what is not to be seen in it.
        lines = ("".join(filter(str.isprintable, line)) for line in text.splitlines())
        return "; ".join(lines) if inline else text

    def _commits(self) -> list[str]:
        lines = [f"{each.id} {each.subject}" for each in self.commits]
        return lines + ([f"and {self.more} more"] if self.more else [])

    def _hosts(self) -> list[str]:
        if not self.hosts:
            return []
        return [f"{self.hosts} hosts, {len(self.trouble)} in trouble", *(f"{h}: {w}" for h, w in self.trouble.items())]


def duration(seconds: float) -> str:
    """``seconds`` as ``12 s`` or ``3 min 20 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def problem(template: str) -> str:
    """What is wrong with a text; empty when nothing is."""
    known = (*FIELDS, "commits", "hosts")
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return f"{error}; a brace that is no field is written twice"
    for _, name, form, conversion in parts:
        if name is not None and (name not in known or form or conversion):
            return f"{{{name}}} is no field; known: {', '.join(known)}"
    return ""
