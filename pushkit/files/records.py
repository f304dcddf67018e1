"""What a target remembers of its pushes: a ticket for each, and how each ended."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pushkit.files.remote import Remote, RemoteExists, RemoteMissing
from pushkit.model import Kind, Release, Revision

STATE = ".push"
PUSHES = f"{STATE}/pushes"
NUMBER = "[0-9]{6,18}"
RELEASE_ID = re.compile(rf"({NUMBER})-[0-9]{{8}}T[0-9]{{6}}Z-[0-9a-z-]{{1,40}}")
RECORD_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ticket:
    """A push's place in the order of pushes on a target. ``previous`` is the release that was live before it."""

    number: int
    release: Release
    previous: str


def number_of(release: str) -> int:
    """The ticket number at the head of a release id."""
    found = RELEASE_ID.fullmatch(release)
    if not found:
        raise ValueError(f"{release!r} is not a release id")
    return int(found[1])


class Records:
    """The directory ``.push/pushes`` of a target."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def numbers(self) -> list[int]:
        """The numbers of all tickets, ascending."""
        try:
            found = self._remote.list(PUSHES)
        except RemoteMissing:
            return []
        return sorted(int(s.name) for s in found if s.kind is Kind.DIRECTORY and re.fullmatch(NUMBER, s.name))

    def take_number(self) -> int:
        """Take the next number: making a directory is atomic, so no two pushes have the same."""
        number = max(self.numbers(), default=0) + 1
        while True:
            try:
                self._remote.make_directory(directory(number), 0o700)
            except RemoteExists:
                number += 1
            else:
                return number

    def open(self, ticket: Ticket) -> None:
        """Say whose ticket it is, and for what."""
        release = ticket.release
        self._write(
            ticket.number,
            "ticket.json",
            {
                "release": release.id,
                "commit": release.revision.commit,
                "dirty": release.revision.dirty,
                "digest": release.revision.digest,
                "created": release.created.isoformat(),
                "creator": release.creator,
                "previous": ticket.previous,
            },
        )

    def end(self, number: int, outcome: str) -> None:
        """Say how a push ended: ``good``, or why it is not."""
        self._write(number, "end", {"outcome": outcome})

    def ticket(self, number: int) -> Ticket | None:
        """The ticket of that number; None when its push died before it said anything, or it is damaged."""
        record = self._read(number, "ticket.json")
        try:
            revision = Revision(str(record["commit"]), bool(record["dirty"]), str(record["digest"]))
            created = datetime.fromisoformat(record["created"])
            release = Release(str(record["release"]), revision, created, str(record["creator"]))
            previous = str(record["previous"])
            if number_of(release.id) != number or created.tzinfo is None or (previous and not number_of(previous)):
                return None
        except (KeyError, TypeError, ValueError):
            return None
        return Ticket(number, release, previous)

    def outcome(self, number: int) -> str:
        """How a push ended; empty when it has not."""
        return str(self._read(number, "end").get("outcome", ""))

    def _write(self, number: int, name: str, record: dict[str, Any]) -> None:
        path = f"{directory(number)}/{name}"
        # Written beside and renamed, so that no reader sees half of it.
        self._remote.write(f"{path}.new", [json.dumps(record).encode() + b"\n"], 0o600)
        self._remote.rename(f"{path}.new", path)

    def _read(self, number: int, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self._remote.read(f"{directory(number)}/{name}", RECORD_LIMIT))
        except (RemoteMissing, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def directory(number: int) -> str:
    """Where the records of a push lie."""
    return f"{PUSHES}/{number:06d}"
