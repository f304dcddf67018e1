"""A ticket: a push's place in the queue of a target, what it says of itself, and how it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any

from msgspec import Struct

from pushkit.model import Release, Revision

NUMBER = "[0-9]{6,18}"
RELEASE_ID = re.compile(rf"({NUMBER})-[0-9]{{8}}T[0-9]{{6}}Z-[0-9a-z-]{{1,40}}")
#: The names of a ticket's parts, in the directory that is the ticket.
RECORD, HEARTBEAT, SWITCHING, END, OUTCOME = "ticket.json", "hb", "switching", "end", "end/outcome.json"
#: How the outcome of a ticket begins that a person ended.
UNLOCKED = "unlocked by "
#: Outcomes. ``prepared``: its release waits to be switched to. The others: it made its release live.
GOOD, PREPARED, ROLLED_BACK, SWITCHED, RESUMED = "good", "prepared", "rolled back", "switched", "resumed"
JOINED = "joined"
#: What a ticket is taken for, and how it ends when it made its release live.
SUCCESS = {"push": GOOD, "rollback": ROLLED_BACK, "switch": SWITCHED, "resume": RESUMED, "join": JOINED}

#: How one ends that did what it was taken for.
GOOD_ENDS = frozenset({*SUCCESS.values(), PREPARED})


class Ticket(Struct, frozen=True):
    """What is known of a ticket.

    ``release`` is what it was taken for (None: it never said), ``previous`` the release that was live when it was
    taken. ``why`` is what it is for: ``push``, ``rollback``, ``switch``, ``resume``; in a fleet ``join``. ``who`` took
    it, ``since`` when.
    ``machine`` and ``process`` say where its push runs, empty and 0 where that cannot be told. ``heartbeat`` is when
    its push last said that it lives, in seconds by the target's clock. ``switching``: it had begun to change what is
    live. ``after``: once it has, commands have to run before it can end well. ``outcome`` is how it ended, empty while
    it has not; it may have ended without a word. ``closed`` is when.
    """

    number: int
    release: Release | None = None
    previous: str = ""
    why: str = "push"
    who: str = ""
    since: datetime | None = None
    machine: str = ""
    process: int = 0
    after: bool = False
    heartbeat: float = 0.0
    switching: bool = False
    ended: bool = False
    outcome: str = ""
    closed: datetime | None = None

    @property
    def holder(self) -> str:
        """Who took it, in words."""
        return self.who or (self.release.creator if self.release else "somebody")

    @property
    def success(self) -> str:
        """How it ends when it made its release live."""
        return SUCCESS.get(self.why, GOOD)

    def record(self) -> bytes:
        """What a new ticket says of itself."""
        assert self.release
        return encoded(
            {
                **recorded(self.release),
                "previous": self.previous,
                "why": self.why,
                "after_switch": self.after,
                "who": self.who,
                "since": self.since.isoformat() if self.since else "",
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
        "outcome": intern(str(end.get("outcome", ""))),
        "closed": time_of(end.get("ended")),
    }
    record = decoded(parts.get(RECORD, b""))
    try:
        release = release_of(record)
        previous = intern(str(record["previous"]))
        why = str(record.get("why", "push"))
        made = number_of(release.id)
        if (why == "push" and made != number) or (previous and not number_of(previous)):
            return Ticket(number, **state)
        machine, process = intern(str(record.get("machine", ""))), int(record.get("process", 0))
    except (KeyError, TypeError, ValueError, OverflowError):
        return Ticket(number, **state)
    who, since = intern(str(record.get("who", ""))) or release.creator, time_of(record.get("since")) or release.created
    after = bool(record.get("after_switch", False))
    return Ticket(number, release, previous, why, who, since, machine, process, after, **state)


def time_of(text: object) -> datetime | None:
    """The time that a record says, None when it says none, one without its zone, or one before there were any."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    # At the ends of the calendar there is no other zone to show it in.
    return time if time and time.tzinfo and 1970 <= time.year < 9999 else None


def recorded(release: Release) -> dict[str, Any]:
    """What a record tells of a release, as `release_of` reads it."""
    return {
        "release": release.id,
        "commit": release.revision.commit,
        "dirty": release.revision.dirty,
        "digest": release.revision.digest,
        "created": release.created.isoformat(),
        "creator": release.creator,
    }


def release_of(record: Mapping[str, Any]) -> Release:
    """The release that a record tells of. Raises KeyError, TypeError or ValueError when it is damaged."""
    created = time_of(record["created"])
    if created is None:
        raise ValueError("no time")
    words = (record[name] for name in ("release", "commit", "digest", "creator"))
    return told(*map(str, words), dirty=bool(record["dirty"]), created=created)


@lru_cache(maxsize=1024)
def told(name: str, commit: str, digest: str, creator: str, *, dirty: bool, created: datetime) -> Release:
    """A release. All hosts of a fleet tell of the same ones, of which each is kept once."""
    return Release(name, Revision(commit, dirty, digest), created, creator)


def encoded(record: Mapping[str, Any]) -> bytes:
    """A record as it lies on a target."""
    return json.dumps(record).encode() + b"\n"


def decoded(content: bytes) -> dict[str, Any]:
    """A record; empty when it is damaged."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
