"""The entries that a push has to send, each verified as it is read and reported as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from functools import partial
from hashlib import sha256
from io import RawIOBase
from types import TracebackType
from typing import BinaryIO, TypeVar

from pushkit.blocks import LARGE, block_of, digests
from pushkit.files.readahead import read_ahead
from pushkit.files.supply import Supply
from pushkit.model import Entry, Kind, Step
from pushkit.snapshot import Snapshot, changed
from pushkit.strategy import Run

T = TypeVar("T")
#: Bytes of a file that is read at once, and of a piece of one that is larger.
WHOLE, PIECE = 256 * 1024, 1024 * 1024
#: Small files are reported together: about so many bytes, and so many of them.
TOGETHER, MANY = 128 * 1024, 64


class Transfer:
    """What is to be sent: ``entries`` in walk order, and the plan's step of each that has one.

    A directory that only has to be there for what is in it has no step. ``times`` gives the time of a file, where files
    keep the project's. ``bases`` are the files on the target whose place some take, by path: much of
    their content may be the same. ``supply`` is where many hosts that lack the same get it from. ``begun`` tells where
    on the target the beginning, or with `Capabilities.patches` any part, of some large ones lies, by path; it is moved
    to its place.
    """

    _times: Callable[[Entry], float] | None = None
    bases: Mapping[str, str] = {}
    supply: Supply | None = None
    #: Whether the target fetches it.
    fetches = False
    begun: Mapping[str, str] = {}

    def __init__(
        self,
        snapshot: Snapshot,
        entries: Sequence[Entry],
        steps: Mapping[str, Step],
        run: Run,
        times: Callable[[Entry], float] | None = None,
        *,
        bases: Mapping[str, str] | None = None,
        supply: Supply | None = None,
        begun: Mapping[str, str] | None = None,
    ) -> None:
        self.entries = entries
        self.bases = bases or {}
        self.begun = begun or {}
        #: The paths of those of which a remote has sent only what differs.
        self.patched: set[str] = set()
        self._times = times
        self.supply = supply
        self.fetches = bool(supply and supply.fetched)
        self._snapshot = snapshot
        self._steps = steps
        self._run = run

    @property
    def keeps_times(self) -> bool:
        """Whether files keep the times that they have in the project."""
        return self._times is not None

    def time(self, entry: Entry) -> float:
        """When a file was last modified, in seconds since 1970; of all that has no time to keep, now."""
        return self._times(entry) if self._times and entry.kind is Kind.FILE else time.time()

    def step(self, entry: Entry) -> AbstractContextManager[None]:
        """Report the step of ``entry``, if it has one, around what is done in it."""
        step = self._steps.get(entry.path)
        return nullcontext() if step is None else self._run.step(step)

    def passage(self) -> Passage:
        """Who reports the steps of entries that go by one after the other."""
        return Passage(self._run, self._steps)

    def each(self, entries: Iterable[Entry], work: Callable[[Entry], None], *, workers: int = 1) -> None:
        """Do ``work`` for every entry, within its step, ``workers`` at a time: see `Run.each`."""

        def one(entry: Entry) -> None:
            with self.step(entry):
                work(entry)

        self._run.each(entries, one, workers=workers)

    def look(self, entry: Entry) -> BinaryIO:
        """The content of a file entry, which counts as no progress. Who reads all of it has it verified."""
        return self._snapshot.open(entry)

    def content(self, entry: Entry) -> Iterable[bytes]:
        """The content of a file entry in pieces, as `open`."""
        if entry.size > WHOLE:
            return self._pieces(entry)
        data = self._snapshot.read(entry)
        if data and (step := self._steps.get(entry.path)):
            self._run.progress(step, len(data))
        return (data,)

    def passing(self, entry: Entry) -> Iterable[bytes]:
        """The same, within a `passage`, which reports what is small."""
        return self._pieces(entry) if entry.size > WHOLE else (self._snapshot.read(entry),)

    def uncounted(self, entry: Entry) -> Iterable[bytes]:
        """As `content`, which counts as no progress: it is kept for whoever it is sent to."""
        self._run.check()
        if entry.size > WHOLE:
            with self.look(entry) as stream:
                while piece := stream.read(WHOLE):
                    self._run.check()
                    yield piece
        else:
            yield self._snapshot.read(entry)

    def counted(self, pieces: Iterable[bytes], total: int) -> Iterator[bytes]:
        """``pieces`` of what was made of all entries, ``total`` bytes, which count for what they hold."""
        left = size = sum(entry.size for entry in self.entries)
        for piece in pieces:
            self._run.check()
            yield piece
            part = size * len(piece) // total
            left -= part
            self._travelled(part)
        self._travelled(left)

    def fetched(self) -> Iterator[bytes]:
        """Nothing: it travels another way."""
        self._travelled(sum(entry.size for entry in self.entries))
        yield from ()

    def directly(self, why: str) -> Transfer:
        """The same for a host that cannot fetch it."""
        self._run.warn(f"it cannot fetch from the store ({why}), and is sent what it lacks")
        new = copy(self)
        new.fetches = False
        return new

    def _travelled(self, size: int) -> None:
        step = next(iter(self._steps.values()), None)
        if step and size:
            self._run.progress(step, size)

    def rest(self, entry: Entry, start: int) -> Iterator[bytes]:
        """The content from ``start`` on, all of it verified, also what is before that and does not travel."""
        step = self._steps.get(entry.path)
        with self.look(entry) as stream:
            while piece := stream.read(WHOLE):
                self._run.check()
                skipped = min(start, len(piece))
                start -= skipped
                if skipped < len(piece):
                    if step:
                        self._run.progress(step, len(piece) - skipped)
                    yield piece[skipped:]

    def only(self, entries: Sequence[Entry]) -> Transfer:
        """The same with other ``entries``, which are among these."""
        new = copy(self)
        some = tuple(entries)
        # To hosts that get the same it is the same object, by which is known what was made of it.
        new.entries = self.supply.once(("entries", some), lambda: some) if self.supply else some
        return new

    def part(self, entry: Entry, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a file entry from ``start`` to before ``end``, in pieces, as `content`.

        That they are the right ones who reads them has to find out: see `digests`.
        """
        step = self._steps.get(entry.path)
        for piece in self._snapshot.part(entry, start, end):
            self._run.check()
            if step:
                self._run.progress(step, len(piece))
            yield piece

    def digests(self, entry: Entry, block: int) -> Sequence[bytes]:
        """The sha256 of each block of a file entry, ``block`` bytes long. Raises `SnapshotChanged`, as `look` does."""
        return self.known(entry, block) or digests(self._read(entry), block)

    def known(self, entry: Entry, block: int) -> Sequence[bytes]:
        """As `digests`, where that is known without a look at the file, else none."""
        return self._snapshot.blocks(entry) if block == block_of(entry.size) else ()

    def finer(self, entry: Entry, start: int, end: int, digest: bytes, block: int) -> Sequence[bytes]:
        """As `digests`, of the bytes from ``start`` to before ``end`` alone, whose own sha256 is ``digest``."""
        whole = sha256()

        def read() -> Iterator[bytes]:
            for piece in self._snapshot.part(entry, start, end):
                self._run.check()
                whole.update(piece)
                yield piece

        found = digests(read(), block)
        if whole.digest() != digest:
            raise changed(entry)
        return found

    def check(self, entry: Entry) -> None:
        """Raise `SnapshotChanged` unless a file entry still is what was frozen."""
        for _ in self._read(entry):
            pass

    def _read(self, entry: Entry) -> Iterator[bytes]:
        with self.look(entry) as stream:
            while piece := stream.read(WHOLE):
                self._run.check()
                yield piece

    def at_once(self, items: Iterable[T], work: Callable[[T], None], *, workers: int) -> None:
        """Do ``work`` for every item, ``workers`` at a time: see `Run.each`."""
        self._run.each(items, work, workers=workers)

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        step = self._steps.get(entry.path)
        with self.look(entry) as stream:
            several = iter(partial(stream.read, PIECE), b"")
            for piece in read_ahead(several) if entry.size >= LARGE else several:
                self._run.check()
                if step:
                    self._run.progress(step, len(piece))
                yield piece

    @contextmanager
    def open(self, entry: Entry) -> Iterator[BinaryIO]:
        """The content of a file entry: verified, counted, and stopped when the user asks to stop."""
        step = self._steps.get(entry.path)
        with self.look(entry) as stream:
            yield stream if step is None else Counted(stream, self._run, step)  # type: ignore[misc]


class Passage(AbstractContextManager["Passage"]):
    """Reports the steps of entries that go by one after the other: those of small files many at once.

    To be left with what went wrong with the last one, if anything did.
    """

    def __init__(self, run: Run, steps: Mapping[str, Step]) -> None:
        self._run = run
        self._steps = steps
        self._passed: list[Step] = []
        self._size = 0
        self._since = 0.0
        self._alone: AbstractContextManager[None] | None = None

    def go_by(self, entry: Entry) -> None:
        """The entry before is over, and ``entry`` begins."""
        if self._alone or self._size >= TOGETHER or len(self._passed) >= MANY:
            self.over()
        step = self._steps.get(entry.path)
        if step is None:
            return
        if entry.kind is Kind.FILE and entry.size > WHOLE:
            self.over()
            self._alone = self._run.step(step)
            self._alone.__enter__()
            return
        if not self._passed:
            self._run.check()
            self._since = time.monotonic()
        self._passed.append(step)
        self._size += step.size

    def over(self) -> None:
        """All that went by is over."""
        alone, self._alone = self._alone, None
        if alone:
            alone.__exit__(None, None, None)
        elif self._passed:
            passed, self._passed, self._size = self._passed, [], 0
            self._run.passed(passed, time.monotonic() - self._since)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.over()
            return
        alone, self._alone = self._alone, None
        if self._passed:
            *passed, last = self._passed
            self._passed = []
            if passed:
                self._run.passed(passed, time.monotonic() - self._since)
            alone = self._run.step(last)
            alone.__enter__()
        if alone:
            alone.__exit__(kind, error, trace)


class Counted(RawIOBase):
    """A stream that reports what is read of it as the progress of a step."""

    def __init__(self, stream: BinaryIO, run: Run, step: Step) -> None:
        self._stream = stream
        self._run = run
        self._step = step

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes. Raises `Interrupted` between two pieces when the user asked to stop."""
        self._run.check()
        piece = self._stream.read(size)
        if piece:
            self._run.progress(self._step, len(piece))
        return piece
