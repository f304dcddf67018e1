"""A directory as a tree that can be walked: one scan a directory, one stat a name, one hash a file that changed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import chain, compress, repeat
from typing import BinaryIO, NamedTuple

from pushkit.crew import Crew
from pushkit.errors import SnapshotChanged, SnapshotError
from pushkit.hasher import NONE, READ, SIZE, Hasher
from pushkit.index import Index, pieces
from pushkit.model import Entry, Kind

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: The bits of a mode that say what it is the mode of.
FORMAT = 0o170000
REFUSED = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
PUSH_AGAIN = "something is writing to the project: push again when it is done"

#: Makes an entry without the price of a named tuple's own constructor: there may be a hundred thousand.
new_entry = partial(tuple.__new__, Entry)


#: Stands for a file whose digest is not known yet.
UNREAD = Entry("", Kind.FILE, 0)


class Listing(NamedTuple):
    """What travels of one directory: a list for each field of its files, everything else with its place."""

    paths: list[str]
    modes: list[int]
    sizes: list[int]
    digests: list[bytes]
    others: list[tuple[int, Entry]]
    entries: list[Entry]

    def files(self) -> list[Entry]:
        """The entries of the fields."""
        fields = zip(self.paths, repeat(Kind.FILE), self.modes, self.sizes, self.digests, repeat(""))
        return list(map(new_entry, fields))

    def place(self, files: list[Entry]) -> None:
        """Put ``files`` into ``entries``, among everything else."""
        entries = self.entries
        entries.clear()
        done = 0
        for before, (at, other) in enumerate(self.others):
            entries += files[done : at - before]
            entries.append(other)
            done = at - before
        entries += files[done:]


class Worktree:
    """The directory ``root``, with what the stat cache knows of it. Adds to ``warnings`` what a person should know."""

    def __init__(self, root: str, index: Index, warnings: list[str]) -> None:
        self._root = root
        self._index = index
        self._crew = Crew(root)
        self._incomplete: list[Listing] = []
        self._warnings = warnings

    def names(self, directory: str) -> dict[str, os.stat_result]:
        """What is in ``directory``. What vanishes while it is listed was never there."""
        found = {}
        try:
            # By descriptor, which spares the system the way down to the directory for each name.
            descriptor = os.open(os.path.join(self._root, directory), DIRECTORY)
            try:
                with os.scandir(descriptor) as listing:
                    for item in listing:
                        try:
                            found[item.name] = item.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unreadable(directory or self._root, error) from error
        return found

    def is_directory(self, item: os.stat_result) -> bool:
        """Whether the item is a directory, and not a link to one."""
        return stat.S_ISDIR(item.st_mode)

    def ignore_file(self, path: str, item: os.stat_result) -> bytes:
        """The content of an ignore file. A link is not followed, as in git."""
        return read_ignore_file(os.path.join(self._root, path)) if stat.S_ISREG(item.st_mode) else b""

    def entries(self, directory: str, items: dict[str, os.stat_result]) -> list[Entry]:
        """The entries of ``items``, complete after `finish`: files that the index does not know come only then."""
        place = directory + "/" if directory else ""
        files = items
        others: list[tuple[int, Entry]] = []
        if any(found.st_mode & FORMAT != stat.S_IFREG for found in items.values()):
            files = {name: found for name, found in items.items() if found.st_mode & FORMAT == stat.S_IFREG}
            others = [
                (at, self._other(place + name, found.st_mode))
                for at, (name, found) in enumerate(items.items())
                if found.st_mode & FORMAT != stat.S_IFREG
            ]
        # One pass a field, none of them in Python's own pace: there may be a hundred thousand files.
        listing = Listing(
            [place + name for name in files],
            [found.st_mode & 0o777 for found in files.values()],
            [found.st_size for found in files.values()],
            self._index.look(directory, files),
            others,
            [],
        )
        if b"" in listing.digests:
            unknown = [not digest for digest in listing.digests]
            self._crew.add([*compress(listing.paths, unknown)], [*compress(listing.sizes, unknown)])
            self._incomplete.append(listing)
            listing.place([UNREAD] * len(files))
        else:
            listing.place(listing.files())
        return listing.entries

    def finish(self, check: Callable[[], None]) -> None:
        """Complete all entries, in the lists that were given out. ``check`` is called now and then, and may raise."""
        if not self._index.changed:
            return
        with closing(self._crew.finish(check)) as answers:
            found = chain.from_iterable(pieces(answer, SIZE) for answer in answers)
            for listing in self._incomplete:
                digests = listing.digests
                digests[:] = [digest or next(found) for digest in digests]
                if NONE in digests:
                    digests[:] = map(self._read_again, listing.paths, digests)
                listing.place(listing.files())
        self._index.save()

    def close(self) -> None:
        """End what the walk started."""
        self._crew.end()

    def _other(self, path: str, mode: int) -> Entry:
        """The entry of anything but a file."""
        if stat.S_ISDIR(mode):
            return Entry(path, Kind.DIRECTORY, mode & 0o777)
        if not stat.S_ISLNK(mode):
            what = REFUSED.get(stat.S_IFMT(mode), "no file")
            raise SnapshotError(f"{path} is {what}, which cannot be pushed", hint="remove it, or add it to .pushignore")
        try:
            link = os.readlink(os.path.join(self._root, path))
        except OSError as error:
            raise unreadable(path, error) from error
        if leads_out(path, link):
            self._warnings.append(f"{path} is a link that leads out of the project: {link}")
        return Entry(path, Kind.SYMLINK, 0o777, link=link)

    def _read_again(self, path: str, digest: bytes) -> bytes:
        """Try once more where there is no digest, to know the reason."""
        if digest != NONE:
            return digest
        try:
            return Hasher().digest(os.path.join(self._root, path))
        except OSError as error:
            raise unreadable(path, error) from error


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
