"""A directory as a tree that can be walked: one scan a directory, one stat a name, one hash a file that changed."""

from __future__ import annotations

import errno
import os
import stat
from array import array
from collections.abc import Callable, Collection
from contextlib import closing
from functools import cached_property, partial
from itertools import chain, compress, repeat
from typing import BinaryIO, NamedTuple

from pushkit.crew import Crew
from pushkit.errors import SnapshotChanged, SnapshotError
from pushkit.index import KEY, Index, pieces
from pushkit.model import Entry, Kind
from pushkit.reader import FIELDS, NONE, READ, SIZE, Columns, Hasher

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


class Directory:
    """What is in a directory: `reader.Columns`, with names that can be asked for.

    ``names`` are all of them, sorted by their bytes; ``others`` are the places among them, and the modes, of what is
    no file; ``permissions`` are those of the files.
    """

    def __init__(self, columns: Columns) -> None:
        self._joined, self.keys, permissions, places, modes = columns
        self.names = os.fsdecode(self._joined).split("\0") if self._joined else []
        self.permissions = array("H", permissions)
        self.others = dict(zip(array("I", places), array("H", modes), strict=True))

    def is_directory(self, name: str) -> bool:
        """Whether ``name`` is a directory, and not a link to one."""
        return stat.S_ISDIR(self._modes.get(name, 0))

    def files(self) -> tuple[list[str], bytes]:
        """The names of the files, as a list and with a NUL between them."""
        if not self.others:
            return self.names, self._joined
        kinds = bytearray(b"\1") * len(self.names)
        for at in self.others:
            kinds[at] = 0
        names = list(compress(self.names, kinds))
        return names, os.fsencode("\0".join(names))

    def without(self, dropped: Collection[str]) -> Directory:
        """The same directory without the names that are ``dropped``."""
        names = [name for name in self.names if name not in dropped]
        kept = [name not in dropped for name in self.files()[0]]
        others = {at: self._modes[name] for at, name in enumerate(names) if name in self._modes}
        return Directory(
            (
                os.fsencode("\0".join(names)),
                b"".join(compress(pieces(self.keys, KEY), kept)),
                array("H", compress(self.permissions, kept)).tobytes(),
                array("I", others).tobytes(),
                array("H", others.values()).tobytes(),
            )
        )

    @cached_property
    def _modes(self) -> dict[str, int]:
        """The modes of what is no file."""
        return {self.names[at]: mode for at, mode in self.others.items()}


class Content(NamedTuple):
    """What travels of one directory: a list for each field of its files, everything else with its place."""

    paths: list[str]
    permissions: list[int]
    sizes: list[int]
    digests: list[bytes]
    others: dict[int, Entry]
    entries: list[Entry]

    def files(self) -> list[Entry]:
        """The entries of the fields."""
        fields = zip(self.paths, repeat(Kind.FILE), self.permissions, self.sizes, self.digests, repeat(""))
        return list(map(new_entry, fields))

    def place(self, files: list[Entry]) -> None:
        """Put ``files`` into ``entries``, among everything else."""
        entries = self.entries
        entries.clear()
        done = 0
        for before, (at, other) in enumerate(self.others.items()):
            entries += files[done : at - before]
            entries.append(other)
            done = at - before
        entries += files[done:]


class Worktree:
    """The directory ``root``, with what the stat cache knows of it."""

    def __init__(self, root: str, index: Index) -> None:
        self._root = root
        self._index = index
        self._crew = Crew(root)
        self._crew.expect(index.directories())
        self._incomplete: list[Content] = []

    def listing(self, directory: str) -> Directory:
        """What is in ``directory``. What vanishes while it is listed was never there."""
        try:
            return Directory(self._crew.scan(directory))
        except OSError as error:
            raise unreadable(directory or self._root, error) from error

    def ignore_file(self, path: str, listing: Directory) -> bytes:
        """The content of an ignore file. A link is not followed, as in git."""
        return read_ignore_file(os.path.join(self._root, path))

    def entries(self, directory: str, listing: Directory, dropped: Collection[str]) -> tuple[list[Entry], list[int]]:
        """The entries, complete after `finish`: files that the index does not know come only then."""
        if dropped:
            listing = listing.without(dropped)
        place = directory + "/" if directory else ""
        others = {at: self._other(place + listing.names[at], mode) for at, mode in listing.others.items()}
        names, joined = listing.files()
        # One pass a field, none of them in Python's own pace: there may be a hundred thousand files.
        content = Content(
            [place + name for name in names],
            listing.permissions.tolist(),
            array("q", listing.keys)[::FIELDS].tolist(),
            self._index.look(directory, joined, listing.keys),
            others,
            [],
        )
        if b"" in content.digests:
            known = list(map(bool, content.digests))
            if any(known):
                unknown = [not each for each in known]
                self._crew.add([*compress(content.paths, unknown)], [*compress(content.sizes, unknown)])
            else:
                self._crew.add(content.paths, content.sizes)
            self._incomplete.append(content)
            content.place([UNREAD] * len(names))
        else:
            content.place(content.files())
        return content.entries, [at + 1 for at, other in others.items() if other.kind is Kind.DIRECTORY]

    def finish(self, check: Callable[[], None]) -> None:
        """Complete all entries, in the lists that were given out. ``check`` is called now and then, and may raise."""
        if not self._index.changed:
            return
        with closing(self._crew.finish(check)) as answers:
            found = chain.from_iterable(pieces(answer, SIZE) for answer in answers)
            for content in self._incomplete:
                digests = content.digests
                digests[:] = [digest or next(found) for digest in digests]
                if NONE in digests:
                    digests[:] = map(self._read_again, content.paths, content.sizes, digests)
                content.place(content.files())
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
        return Entry(path, Kind.SYMLINK, 0o777, link=link)

    def _read_again(self, path: str, size: int, digest: bytes) -> bytes:
        """Try once more where there is no digest, to know the reason."""
        if digest != NONE:
            return digest
        try:
            return Hasher().digest(os.path.join(self._root, path), size)
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
