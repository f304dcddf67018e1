"""A directory as a tree that can be walked: one scan a directory, one stat a name, one hash a changed file."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from functools import partial
from typing import BinaryIO

from pushkit.errors import SnapshotChanged, SnapshotError
from pushkit.index import Index
from pushkit.model import Entry, Kind

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PIECE = 1 << 18
REFUSED = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
PUSH_AGAIN = "something is writing to the project: push again when it is done"

#: Makes an entry without the price of a named tuple's own constructor: there may be a hundred thousand.
new_entry = partial(tuple.__new__, Entry)


class Worktree:
    """The directory ``root``, with what the stat cache knows of it. Adds to ``warnings`` what a person should know."""

    def __init__(self, root: str, index: Index, warnings: list[str]) -> None:
        self._root = root
        self._index = index
        self._warnings = warnings

    def names(self, directory: str) -> dict[str, os.DirEntry[str]]:
        """What is in ``directory``."""
        try:
            with os.scandir(os.path.join(self._root, directory)) as found:
                return {item.name: item for item in found}
        except OSError as error:
            raise unreadable(directory or self._root, error) from error

    def is_directory(self, item: os.DirEntry[str]) -> bool:
        """Whether the item is a directory, and not a link to one."""
        return item.is_dir(follow_symlinks=False)

    def ignore_file(self, path: str, item: os.DirEntry[str]) -> bytes:
        """The content of an ignore file. A link is not followed, as in git."""
        return read_ignore_file(item.path) if item.is_file(follow_symlinks=False) else b""

    def entries(self, directory: str, items: dict[str, os.DirEntry[str]]) -> list[Entry]:
        """The entries of ``items``."""
        place = directory + "/" if directory else ""
        try:
            stats = [item.stat(follow_symlinks=False) for item in items.values()]
        except OSError as error:
            raise unreadable(place + os.path.basename(os.fsdecode(error.filename)), error) from error
        files = {
            name: found for name, found in zip(items, stats, strict=True) if found.st_mode & 0o170000 == stat.S_IFREG
        }
        digests = iter(self._index.digests(directory, files, partial(self._digest, place)))
        out = []
        for name, found in zip(items, stats, strict=True):
            mode = found.st_mode
            if mode & 0o170000 == stat.S_IFREG:
                out.append(new_entry((place + name, Kind.FILE, mode & 0o777, found.st_size, next(digests), "")))
            else:
                out.append(self._special(place + name, items[name], mode))
        return out

    def _special(self, path: str, item: os.DirEntry[str], mode: int) -> Entry:
        """The entry of anything but a file."""
        if stat.S_ISDIR(mode):
            return Entry(path, Kind.DIRECTORY, mode & 0o777)
        if not stat.S_ISLNK(mode):
            what = REFUSED.get(stat.S_IFMT(mode), "no file")
            raise SnapshotError(f"{path} is {what}, which cannot be pushed", hint="remove it, or add it to .pushignore")
        try:
            link = os.readlink(item.path)
        except OSError as error:
            raise unreadable(path, error) from error
        if leads_out(path, link):
            self._warnings.append(f"{path} is a link that leads out of the project: {link}")
        return Entry(path, Kind.SYMLINK, 0o777, link=link)

    def _digest(self, place: str, name: str) -> bytes:
        """The sha256 of a file, read once."""
        path = place + name
        try:
            descriptor = os.open(os.path.join(self._root, path), READ)
            try:
                data = os.read(descriptor, PIECE)
                found = hashlib.sha256(data)
                while len(data) == PIECE:
                    data = os.read(descriptor, PIECE)
                    found.update(data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unreadable(path, error) from error
        return found.digest()


def read_ignore_file(path: str) -> bytes:
    """The content of an ignore file; empty when there is none, or it is a link or a directory, as in git."""
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, READ)) as file:
            return file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EISDIR):
            return b""
        raise unreadable(path, error) from error


def leads_out(path: str, link: str) -> bool:
    """Whether a symlink at ``path`` is absolute, or leads out of the tree by its text alone."""
    return os.path.isabs(link) or os.path.normpath(os.path.join(os.path.dirname(path), link)).split("/")[0] == ".."


def unreadable(path: str, error: OSError) -> SnapshotError:
    """The error that names ``path``."""
    if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ESTALE):
        return SnapshotChanged(f"{path} changed while the project was read", hint=PUSH_AGAIN)
    reason = (error.strerror or str(error)).lower()
    return SnapshotError(
        f"{path} cannot be read: {reason}", hint="make it readable, or leave it out with a line in .pushignore"
    )


def open_file(root: str, entry: Entry) -> BinaryIO:
    """The content of a file of the directory ``root``. A link in its place is not followed."""
    try:
        return open(os.path.join(root, entry.path), "rb", buffering=0, opener=lambda path, _: os.open(path, READ))
    except OSError as error:
        raise unreadable(entry.path, error) from error
