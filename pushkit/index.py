"""The stat cache: what each file's digest was when it last looked as it looks now.

One flat file for each project directory, in ``$XDG_CACHE_HOME/pushkit/index``, readable by its owner only: a
head line, the sha256 of the rest, then a block for each directory. A block holds the files' names, for each file
four signed 64-bit numbers as the machine has them (size, mtime and ctime in nanoseconds, inode), and for each its
sha256. A directory whose files all look the same is recognized by one comparison of bytes. A cache file that is
missing, damaged or another directory's is as good as an empty one.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from pushkit.reader import FIELDS, KEY

MAGIC = b"pushkit-index 1\n"
LENGTHS = struct.Struct("<III")
DIGEST = 32
#: A key that no file has: its size is negative.
UNTRUSTED = array("q", (-1, 0, 0, 0)).tobytes()
#: What is known of a file that is not.
NOTHING = (b"", b"")
#: The coarsest timestamps in use are FAT's, two seconds.
GRANULARITY = 2_000_000_000


class Block(NamedTuple):
    """The files of one directory: names with a NUL between them, keys, digests.

    Those of the last walk are views of what was read: it may be many megabytes, which are there once.
    """

    names: bytes | memoryview
    keys: bytes | memoryview
    digests: bytes | memoryview


class Index:
    """The stat cache of the project directory ``root``, for one walk."""

    def __init__(self, root: str) -> None:
        self._root = os.fsencode(os.path.realpath(root))
        self._file = cache_file("index", self._root)
        self._known = unpack(self._root, read(self._file, MAGIC))
        self._blocks: dict[bytes, Block] = {}
        self._changed = False
        # As git does with its index: a file that was written no earlier than this may be written again without
        # looking any different, so its digest is not worth keeping. The walk reads files only after this moment.
        self._limit = time.time_ns() - GRANULARITY

    def directories(self) -> Iterator[tuple[str, int]]:
        """The directories that are known, those of the last walk at the end, in its order; and their files' number."""
        for directory, block in self._known.items():
            yield os.fsdecode(directory), len(block.keys) // KEY

    def knows(self, directory: str) -> bool:
        """Whether the last walk saw files in ``directory``."""
        return os.fsencode(directory) in self._known

    def look(self, directory: str, names: bytes, keys: bytes) -> list[bytes]:
        """The sha256 of each of the files in ``directory``, empty where it is not known: see `learn`.

        ``names`` have a NUL between them; ``keys`` are as in `reader.Columns`, empty when nobody looked.
        """
        if not names:
            return []
        place = os.fsencode(directory)
        known = self._known.get(place)
        # The place in the order of the walk, whatever is learnt.
        self._blocks[place] = known or Block(b"", b"", b"")
        if known is None or not known.names:
            return [b""] * (names.count(b"\0") + 1)
        old_names, old_keys, digests = map(bytes, known)
        if old_keys == keys and old_names == names:
            return pieces(digests, DIGEST)
        self._changed = True
        parts = zip(pieces(old_keys, KEY), pieces(digests, DIGEST), strict=True)
        old = dict(zip(old_names.split(b"\0"), parts, strict=True))
        pairs = zip(names.split(b"\0"), pieces(keys, KEY), strict=True)
        return [
            digest if old_key == key else b"" for name, key in pairs for old_key, digest in [old.get(name, NOTHING)]
        ]

    def learn(self, directory: str, names: bytes, keys: bytes, digests: Sequence[bytes]) -> None:
        """Remember the files of a directory of which not all were known.

        The keys have to be taken before the content was read, so that a file that is written meanwhile is seen to have
        changed next time.
        """
        numbers = array("q", keys)
        mtimes, ctimes = numbers[1::FIELDS], numbers[2::FIELDS]
        if max(mtimes) >= self._limit or max(ctimes) >= self._limit:
            moments = map(max, mtimes, ctimes)
            trusted = [
                key if at < self._limit else UNTRUSTED for key, at in zip(pieces(keys, KEY), moments, strict=True)
            ]
            keys = b"".join(trusted)
        self._blocks[os.fsencode(directory)] = Block(names, keys, b"".join(digests))
        self._changed = True

    @property
    def changed(self) -> bool:
        """Whether this walk found anything that the last one did not."""
        return self._changed

    def save(self) -> None:
        """Write what this walk found, whole or not at all. A cache that cannot be written is no error."""
        # Another target may include more: what this walk did not pass is kept while it exists.
        others = {
            directory: block
            for directory, block in self._known.items()
            if directory not in self._blocks and os.path.isdir(os.path.join(self._root, directory))
        }
        write(self._file, MAGIC, *pack(self._root, others | self._blocks))


def pieces(data: bytes, size: int) -> list[bytes]:
    """``data`` cut into pieces of ``size``."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def pack(root: bytes, blocks: dict[bytes, Block]) -> list[bytes | memoryview]:
    """The body of the file, in pieces: they are there, and all of them may be many megabytes."""
    parts: list[bytes | memoryview] = [LENGTHS.pack(len(root), 0, 0), root]
    for directory, block in blocks.items():
        parts += LENGTHS.pack(len(directory), len(block.names), len(block.digests) // DIGEST), directory, *block
    return parts


def unpack(root: bytes, body: bytes) -> dict[bytes, Block]:
    """The blocks by directory; none when the body speaks of another directory, or is no such body."""
    blocks: dict[bytes, Block] = {}
    at = LENGTHS.size + len(root)
    if body[:at] != LENGTHS.pack(len(root), 0, 0) + root:
        return blocks
    view = memoryview(body)
    while at < len(body):
        if at + LENGTHS.size > len(body):
            return {}
        path, names, count = LENGTHS.unpack_from(body, at)
        at += LENGTHS.size
        ends = list(accumulate((path, names, count * KEY, count * DIGEST), initial=at))
        directory, *block = (view[start:end] for start, end in pairwise(ends))
        found = Block(*block)
        at = ends[-1]
        if at > len(body) or bytes(found.names).count(b"\0") + bool(found.names) != count:
            return {}
        blocks[bytes(directory)] = found
    return blocks


def cache_file(kind: str, subject: bytes) -> Path:
    """The file or directory for what is known of ``subject``. In a place that cannot be, for who has no home."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:
            cache = Path(os.devnull)
    return cache / "pushkit" / kind / hashlib.sha256(subject).hexdigest()[:32]


def read(file: Path, magic: bytes) -> bytes:
    """The body of a cache file; empty when it is missing or damaged."""
    try:
        with file.open("rb", buffering=0) as stream:
            start = stream.read(len(magic) + DIGEST)
            # It may be many megabytes, which are there once.
            body = stream.read()
    except OSError:
        return b""
    return body if start == magic + hashlib.sha256(body).digest() else b""


def write(file: Path, magic: bytes, *body: bytes | memoryview) -> None:
    """Write a cache file, whole or not at all, for its owner only."""
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(temporary, "xb", opener=private) as out:
                out.writelines((magic, digest.digest(), *body))
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)


def private(path: str, flags: int) -> int:
    """Open a file that only its owner may read."""
    return os.open(path, flags, 0o600)
