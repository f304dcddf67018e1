"""A clean copy of a snapshot: what is pushed, and nothing beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pushkit import Entry, Kind, Snapshot, TargetError

CHUNK = 1 << 20  # bytes


@contextmanager
def clean_copy(snapshot: Snapshot, directory: Path, check: Callable[[], None]) -> Iterator[None]:
    """Write ``snapshot`` to the new directory ``directory``, with modes, symlinks and empty directories.

    ``check`` is called before each entry and stops the copy by raising. In the end the directory is removed, as
    far as it can be: what a container made as another user stays.
    Raises `TargetError` when the copy cannot be written, `SnapshotChanged` when a file is no longer what it was.
    """
    try:
        try:
            _write(snapshot, directory, check)
        except OSError as error:
            raise TargetError(
                f"the copy of the snapshot cannot be written to {directory}: {error.strerror}",
                hint='set TMPDIR to a directory with room, or run in place: where = "project"',
            ) from error
        yield
    finally:
        _remove(directory)


def _write(snapshot: Snapshot, directory: Path, check: Callable[[], None]) -> None:
    directory.mkdir(0o700)
    directories = []
    for entry in snapshot.entries:
        check()
        path = directory / entry.path
        match entry.kind:
            case Kind.DIRECTORY:
                path.mkdir(0o700)
                directories.append((path, entry.mode))
            case Kind.SYMLINK:
                path.symlink_to(entry.link)
            case Kind.FILE:
                _write_file(snapshot, entry, path)
    # The deepest first and when all is there: one may be read-only.
    for path, mode in reversed(directories):
        path.chmod(mode)


def _write_file(snapshot: Snapshot, entry: Entry, path: Path) -> None:
    with snapshot.open(entry) as content, path.open("xb") as file:
        shutil.copyfileobj(content, file, CHUNK)
    path.chmod(entry.mode)


def _remove(directory: Path) -> None:
    """Remove a tree, the read-only directories in it too."""
    with suppress(OSError):
        directory.chmod(0o700)
    for parent, names, _ in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            # A walk's names hold the symlinks to directories, and chmod would follow them out of the tree.
            if not path.is_symlink():
                with suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)
