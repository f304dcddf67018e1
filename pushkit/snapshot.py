"""A project directory frozen at one moment: its entries, and a way to read their bytes."""

from __future__ import annotations

import gc
import hashlib
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache, cached_property
from typing import Any, BinaryIO, cast

from pushkit import links, manifest
from pushkit.errors import Interrupted, SnapshotChanged
from pushkit.model import Entry, Kind, Project, Revision, Target
from pushkit.source import open_source
from pushkit.walk import gather, walk
from pushkit.worktree import PUSH_AGAIN, unreadable

#: Bytes that are read at once.
PIECE = 1 << 18


class Snapshot:
    """The entries of a project, frozen, in walk order: each directory before what is in it, names by bytes.

    ``reader`` opens the content of a file entry as an unbuffered stream; `open` checks what it gives.
    ``origin`` gives the git commit (empty outside git) and whether the snapshot may differ from it.
    ``warnings`` are for a person. ``whole`` gives the content of a small file, and a byte of what follows it, faster
    than ``reader``; what is wrong with that is read once more, and told. ``blocks`` are the digests of blocks of some
    large files, see `pushkit.blocks`, by the digest of the whole.
    """

    def __init__(  # noqa: PLR0917
        self,
        entries: Sequence[Entry],
        reader: Callable[[Entry], BinaryIO],
        origin: Callable[[], tuple[str, bool]],
        warnings: Sequence[str] = (),
        whole: Callable[[Entry], bytes] | None = None,
        blocks: Mapping[bytes, Sequence[bytes]] | None = None,
    ) -> None:
        self.entries = entries
        self.warnings = tuple(warnings)
        self._reader = reader
        # Also what lies in a directory of it asks: git looks once.
        self._origin = cache(origin)
        self._whole = whole or self._read_whole
        self._blocks = blocks or {}

    @cached_property
    def manifest(self) -> bytes:
        """The entries as data: see `pushkit.manifest`."""
        return manifest.encode(self.entries)

    @property
    def digest(self) -> str:
        """The manifest's sha256, in hex: the same for the same entries, whatever machine they come from."""
        return manifest.digest(self.manifest)

    @cached_property
    def revision(self) -> Revision:
        """Where the snapshot came from."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (who only takes a snapshot does without)

        # git looks once all was read, and not during the walk: what it has looked at could then change before it is
        # read, and the change would travel as a clean commit. What changes after the walk only adds to what git finds,
        # and a file that changes before it is sent ends the push. There is the digest to compute while git looks.
        with ThreadPoolExecutor(1, thread_name_prefix="git") as pool:
            origin = pool.submit(self._origin)
            digest = self.digest
            commit, dirty = origin.result()
        return Revision(commit, dirty, digest)

    @cached_property
    def files(self) -> int:
        """How many entries are files."""
        return [entry.kind for entry in self.entries].count(Kind.FILE)

    @cached_property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def within(self, directory: str) -> Snapshot:
        """What lies in ``directory``, as if it were all of it; empty is all. The revision's commit is the same."""
        if not directory:
            return self
        above = directory + "/"
        start = len(above)
        entries = [each._replace(path=each.path[start:]) for each in self.entries if each.path.startswith(above)]

        def reader(entry: Entry) -> BinaryIO:
            return self._reader(entry._replace(path=above + entry.path))

        return Snapshot(entries, reader, self._origin, self.warnings, blocks=self._blocks)

    def open(self, entry: Entry) -> BinaryIO:
        """The content of a file entry, verified as it is read.

        Reading to the end raises `SnapshotChanged` when the content is no longer what was frozen. A reader that
        needs the size first may trust ``entry.size``: a file that grew or shrank raises before the end is reported.
        """
        return cast("BinaryIO", Content(entry, self._reader(entry)))

    def blocks(self, entry: Entry) -> Sequence[bytes]:
        """The sha256 of each block of a file entry, where it is known; else none."""
        return self._blocks.get(entry.sha256, ())

    def read(self, entry: Entry) -> bytes:
        """All of the content of a file entry, verified. For files that memory has room for."""
        with suppress(OSError):
            data = self._whole(entry)
            if len(data) == entry.size and hashlib.sha256(data).digest() == entry.sha256:
                return data
        # Something is wrong with it, or it came in pieces.
        with self.open(entry) as content:
            return content.read()

    def _read_whole(self, entry: Entry) -> bytes:
        with closing(self._reader(entry)) as stream:
            # One byte more than there should be shows that a file grew without a second call.
            return stream.read(entry.size + 1)

    def part(self, entry: Entry, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a file entry from ``start`` to before ``end``, in pieces, not verified.

        Raises `SnapshotChanged` when the file ends before, or goes on after the last byte that it is to have.
        """
        with closing(self._reader(entry)) as stream:
            try:
                skip = 0 if start and stream.seekable() and stream.seek(start) else start
                left = skip + end - start
                while left:
                    piece = stream.read(min(left, PIECE))
                    if not piece:
                        raise changed(entry)
                    left -= len(piece)
                    passed = min(skip, len(piece))
                    skip -= passed
                    if passed < len(piece):
                        yield piece[passed:]
                if end == entry.size and stream.read(1):
                    raise changed(entry)
            except OSError as error:
                raise unreadable(entry.path, error) from error


class Content(io.RawIOBase):
    """The bytes of one file, checked against its entry while they are read.

    The last byte is only given out when all of them are what was frozen and nothing follows.
    """

    def __init__(self, entry: Entry, stream: BinaryIO) -> None:
        self._entry = entry
        self._stream = stream
        self._left = entry.size
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, all that is left when it is negative. Raises `SnapshotChanged`."""
        if size == 0:
            return b""
        if size < 0:
            # One byte more than there should be shows that a file grew without a second call.
            size = self._left + 1
        data = self._fetch(size)
        while len(data) < min(size, self._left):
            more = self._fetch(size - len(data))
            if not more:
                raise changed(self._entry)
            data += more
        self._digest.update(data)
        self._left -= len(data)
        if self._left < 0 or (self._left == 0 and not self._complete(asked=size, got=len(data))):
            raise changed(self._entry)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``, as `read`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        super().close()

    def _fetch(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise unreadable(self._entry.path, error) from error

    def _complete(self, asked: int, got: int) -> bool:
        """Whether the end is where it should be, after the right bytes."""
        return (got < asked or not self._fetch(1)) and self._digest.digest() == self._entry.sha256


def changed(entry: Entry) -> SnapshotChanged:
    """The error that names a file entry."""
    return SnapshotChanged(f"{entry.path} changed after the project was read", hint=PUSH_AGAIN)


def take(project: Project, target: Target | None = None, cancelled: threading.Event | None = None) -> Snapshot:
    """Freeze the project's source, as its ignore rules and those of ``target`` say.

    Raises `SnapshotError` for what cannot be read or cannot travel, `SnapshotChanged` when something writes to
    the project meanwhile, and `Interrupted` once ``cancelled`` is set.
    """

    def check() -> None:
        if cancelled and cancelled.is_set():
            raise Interrupted("stopped while reading the project")

    with no_collection(), closing(open_source(project, target, cancelled)) as source:
        runs = walk(source.tree, source.rules, check, source.warnings)
        source.settle(check)
        entries = gather(runs)
    warnings = (*source.warnings, *links.warnings(entries))
    return Snapshot(entries, source.reader, source.origin, warnings, source.whole, source.blocks())


@contextmanager
def no_collection() -> Iterator[None]:
    """Without garbage collection, which would look at a hundred thousand new entries again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # They live as long as the command does: neither the next collection nor the one at exit need look at them.
        gc.freeze()
        if enabled:
            gc.enable()
