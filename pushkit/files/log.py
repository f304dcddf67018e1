"""The log of a target: how each push ended, a line each, written by whoever ended it."""

from __future__ import annotations

from collections.abc import Sequence

from pushkit.files.errors import RemoteMissing
from pushkit.files.remote import LOG, Remote
from pushkit.files.survey import State
from pushkit.files.ticket import decoded, time_of
from pushkit.model import LogEntry


def read_log(remote: Remote, state: State) -> tuple[Sequence[LogEntry], int]:
    """What the log says, the newest last, and how many of its lines are damaged."""
    try:
        lines = remote.read(state / "log", LOG).splitlines()
    except RemoteMissing:
        return (), 0
    found = [entry_of(line) for line in lines]
    # Who ends a push, and who vouches for it, may say the same.
    entries = {(entry.number, entry.outcome): entry for entry in found if entry}
    return list(entries.values()), found.count(None)


def entry_of(line: bytes) -> LogEntry | None:
    """What a line says, None when it is damaged."""
    record = decoded(line)
    number, ended = record.get("number"), time_of(record.get("ended"))
    words = [record.get(key, "") for key in ("who", "why", "release", "previous", "outcome")]
    if type(number) is not int or number < 1 or ended is None or not all(isinstance(word, str) for word in words):
        return None
    who, why, release, previous, outcome = words
    return LogEntry(number, ended, who, why, release, previous, outcome)
