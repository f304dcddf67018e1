"""`send`: many entries by the primitives of a remote, several at a time."""

from __future__ import annotations

from contextlib import suppress

from pushkit import Entry, Kind
from pushkit.files import Remote, RemoteExists, Transfer, pieces
from pushkit_sftp.sessions import MOST


def send(remote: Remote, directory: str, transfer: Transfer) -> None:
    """Make the entries of ``transfer`` below ``directory``: directories first, then the rest in `MOST` threads.

    After a failure nothing new is begun. Raises the failure, or an `ExceptionGroup` of all when there are several.
    """
    directories = [entry for entry in transfer.entries if entry.kind is Kind.DIRECTORY]
    rest = [entry for entry in transfer.entries if entry.kind is not Kind.DIRECTORY]
    for entry in directories:
        with transfer.step(entry), suppress(RemoteExists):
            remote.make_directory(f"{directory}/{entry.path}", entry.mode)
    try:
        transfer.each(rest, lambda entry: send_one(remote, f"{directory}/{entry.path}", entry, transfer), workers=MOST)
    except ExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


def send_one(remote: Remote, path: str, entry: Entry, transfer: Transfer) -> None:
    """Make a file or a symlink."""
    if entry.kind is Kind.SYMLINK:
        remote.make_symlink(entry.link, path)
    else:
        with transfer.open(entry) as stream:
            remote.write(path, pieces(stream), entry.mode)
        if transfer.keeps_times:
            remote.set_time(path, transfer.time(entry))
