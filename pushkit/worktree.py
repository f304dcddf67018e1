"""A directory as a tree that can be walked: one scan a directory, one stat a name, one hash a file that changed."""

from __future__ import annotations

import errno
import os
import stat
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from itertools import compress, repeat
from typing import BinaryIO

from msgspec import Struct

from pushkit.crew import Crew
from pushkit.errors import SnapshotChanged, SnapshotError
from pushkit.index import Index, pieces
from pushkit.model import Entry, Kind
from pushkit.reader import FIELDS, KEY, NONE, PERMISSIONS, READ, SIZE, Columns, Hasher

REFUSED = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
PUSH_AGAIN = "something is writing to the project: push again when it is done"

#: Makes an entry without the price of a named tuple's own constructor: there may be a hundred thousand.
new_entry = partial(tuple.__new__, Entry)
#: All permissions: each number is there once, however many files have it.
MODES = tuple(range(0o1000))
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


class Content(Struct):
    """What travels of one directory: files by fields, ``keys`` as in `reader.Columns`; everything else by its place."""

    directory: str
    names: bytes
    paths: list[str]
    keys: bytes
    permissions: list[int]
    digests: list[bytes]
    others: dict[int, Entry]
    entries: list[Entry]

    def files(self) -> list[Entry]:
        """The entries of the fields."""
        sizes = array("q", self.keys)[::FIELDS].tolist()
        modes = map(MODES.__getitem__, self.permissions)
        fields = zip(self.paths, repeat(Kind.FILE), modes, sizes, self.digests, repeat(""))
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


class Facts:
    """What a crew found out of files, in the order in which they were added."""

    def __init__(self, answers: Iterator[bytes]) -> None:
        self._answers = answers
        self._keys = bytearray()
        self._permissions = array("H")
        self._digests = bytearray()

    def take(self, count: int) -> tuple[bytes, list[int], list[bytes]]:
        """The keys, permissions and digests of the next ``count`` files."""
        while len(self._permissions) < count:
            answer = next(self._answers)
            files = len(answer) // (KEY + PERMISSIONS + SIZE)
            ends = KEY * files, (KEY + PERMISSIONS) * files
            self._keys += answer[: ends[0]]
            self._permissions.frombytes(answer[ends[0] : ends[1]])
            self._digests += answer[ends[1] :]
        keys, permissions = bytes(self._keys[: KEY * count]), self._permissions[:count].tolist()
        digests = pieces(bytes(self._digests[: SIZE * count]), SIZE)
        del self._keys[: KEY * count], self._permissions[:count], self._digests[: SIZE * count]
        return keys, permissions, digests


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
            return Directory(self._crew.scan(directory, look=self._index.knows(directory)))
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
            directory,
            joined,
            [place + name for name in names],
            listing.keys,
            listing.permissions.tolist(),
            self._index.look(directory, joined, listing.keys),
            others,
            [],
        )
        if b"" in content.digests:
            unknown = content.paths
            if listing.keys:
                unknown = [path for path, digest in zip(content.paths, content.digests, strict=True) if not digest]
            self._crew.add(unknown)
            self._incomplete.append(content)
            content.place([UNREAD] * len(names))
        else:
            content.place(content.files())
        return content.entries, [at + 1 for at, other in others.items() if other.kind is Kind.DIRECTORY]

    def finish(self, check: Callable[[], None]) -> None:
        """Complete all entries, in the lists that were given out. ``check`` is called now and then, and may raise."""
        with closing(self._crew.finish(check)) as answers:
            facts = Facts(answers)
            for content in self._incomplete:
                self._complete(content, facts)
        if self._index.changed:
            self._index.save()

    def _complete(self, content: Content, facts: Facts) -> None:
        """Put what was found out of a directory's files where it was unknown."""
        unknown = [at for at, digest in enumerate(content.digests) if not digest]
        keys, permissions, digests = facts.take(len(unknown))
        if NONE in digests:
            # The reason is worth a second look.
            self._read_again(content.paths[unknown[digests.index(NONE)]])
        if len(unknown) == len(content.digests):
            content.keys, content.permissions, content.digests = keys, permissions, digests
        else:
            all_keys = pieces(content.keys, KEY)
            for at, key, mode, digest in zip(unknown, pieces(keys, KEY), permissions, digests, strict=True):
                all_keys[at], content.permissions[at], content.digests[at] = key, mode, digest
            content.keys = b"".join(all_keys)
        self._index.learn(content.directory, content.names, content.keys, content.digests)
        content.place(content.files())

    @property
    def blocks(self) -> Mapping[bytes, Sequence[bytes]]:
        """The digests of the blocks of large files that were read here, by the digest of the whole; after `finish`."""
        return self._crew.blocks

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

    def _read_again(self, path: str) -> None:
        """Raise the error that says why a file could not be read."""
        try:
            Hasher().facts(os.path.join(self._root, path))
        except OSError as error:
            raise unreadable(path, error) from error
        raise SnapshotChanged(f"{path} changed while the project was read", hint=PUSH_AGAIN)


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


def read_file(root: str, entry: Entry) -> bytes:
    """The content of a small file of the directory ``root``, and a byte of what follows it. Raises OSError.

    Three calls of the system: a stream takes several times as long, and there may be a hundred thousand files.
    """
    file = os.open(f"{root}/{entry.path}", READ)
    try:
        return os.read(file, entry.size + 1)
    finally:
        os.close(file)


def open_file(root: str, entry: Entry) -> BinaryIO:
    """The content of a file of the directory ``root``. A link in its place is not followed."""
    try:
        return open(os.path.join(root, entry.path), "rb", buffering=0, opener=lambda path, _: os.open(path, READ))
    except OSError as error:
        raise unreadable(entry.path, error) from error
