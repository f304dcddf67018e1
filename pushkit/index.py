"""The stat cache: what each file's digest was when it last looked as it looks now.

One flat file for each project directory, in ``$XDG_CACHE_HOME/pushkit/index``, readable by its owner only: a
head line, the sha256 of the rest, then a block for each directory. A block holds the files' names, for each file
four signed 64-bit numbers (size, mtime and ctime in nanoseconds, inode), and for each its sha256. A directory
whose files all look the same is recognized by one comparison of bytes. A cache file that is missing, damaged or
another directory's is as good as an empty one.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

MAGIC = b"pushkit-index 1\n"
LENGTHS = struct.Struct("<III")
KEY = 32
DIGEST = 32
FIELDS = 4
#: A key that no file has: its size is negative.
UNTRUSTED = struct.pack("<4q", -1, 0, 0, 0)
#: The coarsest timestamps in use are FAT's, two seconds.
GRANULARITY = 2_000_000_000
INODE = (1 << 63) - 1


class Block(NamedTuple):
    """The files of one directory: names with a NUL between them, keys, digests."""

    names: bytes
    keys: bytes
    digests: bytes


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

    def digests(self, directory: str, files: dict[str, os.stat_result], digest: Callable[[str], bytes]) -> list[bytes]:
        """The sha256 of each of ``files`` in ``directory``, by ``digest`` where it is not known.

        The stats were taken before any of this, so that a file that is written meanwhile is seen to have
        changed next time.
        """
        if not files:
            return []
        numbers: list[int] = []
        for stat in files.values():
            numbers += stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino & INODE
        keys = struct.pack(f"<{len(numbers)}q", *numbers)
        joined = os.fsencode("\0".join(files))
        place = os.fsencode(directory)
        known = self._known.get(place)
        if known and known.keys == keys and known.names == joined:
            self._blocks[place] = known
            return pieces(known.digests, DIGEST)
        self._changed = True
        old = {}
        if known:
            old = dict(
                zip(
                    known.names.split(b"\0"),
                    zip(pieces(known.keys, KEY), pieces(known.digests, DIGEST), strict=True),
                    strict=True,
                )
            )
        new_keys = []
        found = []
        for (name, stat), key in zip(files.items(), pieces(keys, KEY), strict=True):
            old_key, old_digest = old.get(os.fsencode(name), (b"", b""))
            if old_key == key:
                found.append(old_digest)
            else:
                found.append(digest(name))
                if max(stat.st_mtime_ns, stat.st_ctime_ns) >= self._limit:
                    key = UNTRUSTED  # noqa: PLW2901
            new_keys.append(key)
        self._blocks[place] = Block(joined, b"".join(new_keys), b"".join(found))
        return found

    def save(self) -> None:
        """Write what this walk found, whole or not at all. A cache that cannot be written is no error."""
        if not self._changed:
            return
        # Another target may include more: what this walk did not pass is kept while it exists.
        for directory, block in self._known.items():
            if directory not in self._blocks and os.path.isdir(os.path.join(self._root, directory)):
                self._blocks[directory] = block
        write(self._file, MAGIC, pack(self._root, self._blocks))


def pieces(data: bytes, size: int) -> list[bytes]:
    """``data`` cut into pieces of ``size``."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def pack(root: bytes, blocks: dict[bytes, Block]) -> bytes:
    """The body of the file."""
    parts = [LENGTHS.pack(len(root), 0, 0), root]
    for directory, block in blocks.items():
        parts += LENGTHS.pack(len(directory), len(block.names), len(block.digests) // DIGEST), directory, *block
    return b"".join(parts)


def unpack(root: bytes, body: bytes) -> dict[bytes, Block]:
    """The blocks by directory; none when the body speaks of another directory."""
    blocks: dict[bytes, Block] = {}
    at = LENGTHS.size + len(root)
    if body[:at] != LENGTHS.pack(len(root), 0, 0) + root:
        return blocks
    while at < len(body):
        path, names, count = LENGTHS.unpack_from(body, at)
        at += LENGTHS.size
        ends = list(accumulate((path, names, count * KEY, count * DIGEST), initial=at))
        directory, *block = (body[start:end] for start, end in pairwise(ends))
        blocks[directory] = Block(*block)
        at = ends[-1]
    return blocks


def cache_file(kind: str, subject: bytes) -> Path:
    """The file that holds what is known of ``subject``, a path."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "pushkit" / kind / hashlib.sha256(subject).hexdigest()[:32]


def read(file: Path, magic: bytes) -> bytes:
    """The body of a cache file; empty when it is missing or damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return b""
    start = len(magic) + DIGEST
    body = data[start:]
    return body if data[:start] == magic + hashlib.sha256(body).digest() else b""


def write(file: Path, magic: bytes, body: bytes) -> None:
    """Write a cache file, whole or not at all, for its owner only."""
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with open(descriptor, "wb") as out:
                out.writelines((magic, hashlib.sha256(body).digest(), body))
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
