"""What of a snapshot a commit holds: its files and symlinks. git knows no empty directory."""

from __future__ import annotations

from collections.abc import Sequence

from pushkit import Entry, Kind, PushRefused, Snapshot


def content(snapshot: Snapshot) -> Sequence[Entry]:
    """The files and symlinks of a snapshot. Raises `PushRefused` when a commit cannot hold one."""
    entries = [entry for entry in snapshot.entries if entry.kind is not Kind.DIRECTORY]
    for entry in entries:
        if ".git" in entry.path.lower().split("/"):
            raise PushRefused(
                f"{entry.path} cannot be in a commit: git keeps that name to itself", hint="leave it out: .pushignore"
            )
    return entries
