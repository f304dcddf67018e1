"""A ticket: a push's place in the queue of a target, what it says of itself, and how it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pushkit.model import Release, Revision

NUMBER = "[0-9]{6,18}"
RELEASE_ID = re.compile(rf"({NUMBER})-[0-9]{{8}}T[0-9]{{6}}Z-[0-9a-z-]{{1,40}}")
#: The names of a ticket's parts, in the directory that is the ticket.
RECORD, HEARTBEAT, SWITCHING, END, OUTCOME = "ticket.json", "hb", "switching", "end", "end/outcome.json"
#: Outcomes. ``good``: its release was live. ``prepared``: its release waits to be switched to.
GOOD, PREPARED = "good", "prepared"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is known of a ticket.

    ``release`` is what it was taken for (None: it never said), ``previous`` the release that was live when it was
    taken. ``why`` is what it is for: ``push``, ``rollback``, ``switch``. ``machine`` and ``process`` say where its
    push runs, empty and 0 where that cannot be told. ``heartbeat`` is when its push last said that it lives, in
    seconds by the target's clock. ``switching``: it had begun to change what is live. ``outcome`` is how it ended,
    empty while it has not; it may have ended without a word.
    """

    number: int
    release: Release | None = None
    previous: str = ""
    why: str = "push"
    machine: str = ""
    process: int = 0
    heartbeat: float = 0.0
    switching: bool = False
    ended: bool = False
    outcome: str = ""

    @property
    def holder(self) -> str:
        """Who took it, in words."""
        return self.release.creator if self.release else "somebody"

    def record(self) -> bytes:
        """What a new ticket says of itself."""
        assert self.release
        release = self.release
        return encoded(
            {
                "release": release.id,
                "commit": release.revision.commit,
                "dirty": release.revision.dirty,
                "digest": release.revision.digest,
                "created": release.created.isoformat(),
                "creator": release.creator,
                "previous": self.previous,
                "why": self.why,
                "machine": self.machine,
                "process": self.process,
            }
        )


def number_of(release: str) -> int:
    """The ticket number at the head of a release id. Raises ValueError."""
    found = RELEASE_ID.fullmatch(release)
    if not found:
        raise ValueError(f"{release!r} is not a release id")
    return int(found[1])


def read_ticket(number: int, parts: Mapping[str, bytes], heartbeat: float) -> Ticket:
    """The ticket of that number from its ``parts`` by name. What is damaged is as good as not there."""
    end = decoded(parts.get(OUTCOME, b""))
    state: dict[str, Any] = {
        "heartbeat": heartbeat,
        "switching": SWITCHING in parts,
        "ended": END in parts,
        "outcome": str(end.get("outcome", "")),
    }
    record = decoded(parts.get(RECORD, b""))
    try:
        release = release_of(record)
        previous = str(record["previous"])
        if number_of(release.id) != number or (previous and not number_of(previous)):
            return Ticket(number, **state)
        machine, process = str(record.get("machine", "")), int(record.get("process", 0))
        why = str(record.get("why", "push"))
    except (KeyError, TypeError, ValueError):
        return Ticket(number, **state)
    return Ticket(number, release, previous, why, machine, process, **state)


def release_of(record: Mapping[str, Any]) -> Release:
    """The release that a record tells of. Raises KeyError, TypeError or ValueError when it is damaged."""
    created = datetime.fromisoformat(record["created"])
    if created.tzinfo is None:
        raise ValueError("a time without its zone")
    revision = Revision(str(record["commit"]), bool(record["dirty"]), str(record["digest"]))
    return Release(str(record["release"]), revision, created, str(record["creator"]))


def encoded(record: Mapping[str, Any]) -> bytes:
    """A record as it lies on a target."""
    return json.dumps(record).encode() + b"\n"


def decoded(content: bytes) -> dict[str, Any]:
    """A record; empty when it is damaged."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
