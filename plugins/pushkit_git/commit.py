"""A commit, as git keeps it (``git cat-file commit``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from pushkit import LogEntry, PushRefused, Release, Revision
from pushkit_git.message import DIGEST, NUMBER, PERSON, REVISION, ROLLBACK, trailers

WHO = re.compile(r"(?P<name>.*) <.*> (?P<time>\d+) [+-]\d{4}")
#: The last second that a `datetime` can be.
LATEST = 253_402_300_799


class Commit(Struct, frozen=True):
    """A commit: its id, its tree's, its first parent's (empty when it has none), who made it when, its message."""

    id: str
    tree: str
    parent: str
    who: str
    time: datetime
    message: str

    @property
    def trailers(self) -> Mapping[str, str]:
        """What a push wrote into the message."""
        return trailers(self.message)

    @property
    def pushed(self) -> bool:
        """Whether a push made it, and not somebody with git."""
        return bool(self.trailers.get(DIGEST))

    @property
    def number(self) -> int:
        """How many pushes made the branch what it is with this one, 0 for a commit that no push made."""
        number = self.trailers.get(NUMBER, "")
        return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0

    @property
    def release(self) -> Release:
        """It, as a release."""
        found = self.trailers
        commit = found.get(REVISION, self.id if not self.pushed else "")
        revision = Revision(commit.removesuffix("-dirty"), commit.endswith("-dirty"), found.get(DIGEST, ""))
        return Release(self.id, revision, self.time, found.get(PERSON) or self.who)

    @property
    def log_entry(self) -> LogEntry:
        """It, as a line of a log."""
        why = "rollback" if self.trailers.get(ROLLBACK) else "push" if self.pushed else "commit"
        return LogEntry(self.number, self.time, self.release.creator, why, self.id, self.parent, "done")


class Header(Struct, frozen=True):
    """What a commit that is to be made says: who made it, as ``Name <address>``, when, its message, after which one."""

    who: str
    time: datetime
    message: str
    parent: str


def parse(id: str, text: str) -> Commit:  # noqa: A002  (git's word)
    """The commit ``id`` from what git keeps of it."""
    head, _, message = text.partition("\n\n")
    fields: dict[str, str] = {}
    for line in head.splitlines():
        name, _, value = line.partition(" ")
        fields.setdefault(name, value)
    found = WHO.fullmatch(fields.get("committer", ""))
    # What somebody's clock wrote there may be no date at all, and of any length.
    time = datetime.fromtimestamp(min(int(found["time"][:18]), LATEST) if found else 0, UTC)
    return Commit(id, fields.get("tree", ""), fields.get("parent", ""), found["name"] if found else "", time, message)


def chosen(history: Sequence[Commit], release: str) -> Commit:
    """The commit to go back to: ``release``, or the last push before the live one that was something else.

    ``history`` begins with the live one. Raises `PushRefused` when there is none.
    """
    if not history:
        raise PushRefused("nothing was pushed there yet", hint="push first: there is nothing to go back to")
    live, *before = history
    if release:
        found = [each for each in history if len(release) >= 7 and each.id.startswith(release)]
        if not found:
            raise PushRefused(f"{release} is none of the last {len(history)} commits", hint="see them: push log")
        if found[0].tree == live.tree:
            raise PushRefused(f"{release} is what is live", hint="see what there is: push log")
        return found[0]
    # What a rollback left is as good as what it went back to.
    ids = [each.id for each in before]
    back = live.trailers.get(ROLLBACK)
    start = ids.index(back) + 1 if back in ids else 0
    for each in before[start:]:
        if each.pushed and each.tree != live.tree:
            return each
    raise PushRefused("there is no push before the live one to go back to", hint="see what there is: push log")
