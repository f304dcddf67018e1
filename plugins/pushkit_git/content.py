"""What of a snapshot a commit holds: its files and symlinks. git knows no empty directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pushkit import Entry, Kind, PushRefused, Snapshot


@dataclass(frozen=True, slots=True)
class Content:
    """Files and symlinks of ``snapshot`` by their paths in the commit."""

    snapshot: Snapshot
    entries: Sequence[tuple[str, Entry]]


def content(snapshot: Snapshot, directory: str) -> Content:
    """What lies in ``directory`` of a snapshot (empty: all). Raises `PushRefused` when a commit cannot hold it."""
    prefix = directory + "/" if directory else ""
    entries = [
        (entry.path[len(prefix) :], entry)
        for entry in snapshot.entries
        if entry.kind is not Kind.DIRECTORY and entry.path.startswith(prefix)
    ]
    if not entries:
        raise PushRefused(f"there is no file in {directory or 'the project'}", hint="see what travels: push files")
    for path, _entry in entries:
        if ".git" in path.lower().split("/"):
            raise PushRefused(
                f"{path} cannot be in a commit: git keeps that name to itself", hint="leave it out: .pushignore"
            )
    return Content(snapshot, entries)
