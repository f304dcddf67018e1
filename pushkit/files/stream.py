"""What a script of operations reads on its standard input: a tar of papers, then of the entries that it puts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import BinaryIO

from pushkit.archive import Part, epoch, tar
from pushkit.files.batch import Batch, Paper
from pushkit.files.compression import Compression
from pushkit.files.remote import pieces
from pushkit.files.supply import Parcel, Same, Supply
from pushkit.files.transfer import Passage, Transfer
from pushkit.model import Entry, Kind

#: Chooses what a tar of entries is compressed with, by a look at some of them.
Choose = Callable[[Sequence[Entry], Callable[[Entry], BinaryIO]], Compression | None]


def stream(batch: Batch, stack: ExitStack, choose: Choose) -> tuple[str, Iterable[bytes]]:
    """The script of a batch, and what it reads. ``stack`` is to be left with how that ended."""
    if not batch.reads:
        return batch.script(), ()
    if batch.supply:
        return supplied(batch, batch.supply, choose)
    papers = {paper.entry: paper for paper in batch.papers}
    parts = [own(batch)]
    if batch.put:
        passage = stack.enter_context(batch.put.transfer.passage())
        parts.append(sending(batch.put.transfer, passage, batch))
    parts.append(last(batch))

    def looked(entry: Entry) -> BinaryIO:
        if entry in papers:
            return papers[entry].open()
        assert batch.put
        return batch.put.transfer.look(entry)

    every = [*papers, *(batch.put.transfer.entries if batch.put else ())]
    compression = choose(every, looked)
    if compression is None:
        return batch.script(), tar(*parts)
    return batch.script(compression.undo), compression.compressed(tar(*parts))


def supplied(batch: Batch, supply: Supply, choose: Choose) -> tuple[str, Iterable[bytes]]:
    """As `stream`, where most of it is made once for many hosts; they fetch that where the batch says so."""
    assert batch.put
    transfer = batch.put.transfer
    if batch.fetch:
        parcel = parcel_of(batch, supply, batch.fetch.compression, whole=True)
        batch.give(supply.url(parcel), parcel.sha256)
        batch.sent = True
        return batch.script(), chain(tar(own(batch), last(batch)), transfer.fetched())
    compression = choose(transfer.entries, transfer.look)
    parcel = parcel_of(batch, supply, compression, whole=False)

    def sent() -> Iterator[bytes]:
        compressed = compression.compressed if compression else iter
        before = list(tar(own(batch), end=False))
        yield from compressed(before)
        yield from transfer.counted(parcel.pieces(), parcel.size)
        batch.sent = True
        yield from compressed(tar(last(batch), before=sum(map(len, before)) + parcel.length))

    return batch.script(compression.undo if compression else ""), sent()


def own(batch: Batch) -> Part:
    """The papers of a script that no other host gets, in their directory."""
    return filed(batch.papers, Entry(batch.desk, Kind.DIRECTORY, 0o700))


def last(batch: Batch) -> Part:
    """What shows that nothing was cut off."""
    return Part([batch.last.entry], lambda _: ())


def filed(papers: Sequence[Paper], *first: Entry) -> Part:
    """Papers as a part of a tar, after other entries."""
    by_entry = {paper.entry: paper for paper in papers}
    return Part([*first, *by_entry], lambda entry: pieces(by_entry[entry].open()))


def parcel_of(batch: Batch, supply: Supply, compression: Compression | None, *, whole: bool) -> Parcel:
    """What all hosts get that lack the same, as a ``whole`` tar or without its end."""
    assert batch.put
    transfer, papers = batch.put.transfer, batch.common
    names = tuple(paper.path for paper in papers)

    def parts() -> Iterator[bytes]:
        time = transfer.time if transfer.keeps_times else epoch
        return tar(filed(papers), Part(transfer.entries, transfer.uncounted, time, batch.place), end=whole)

    undo = compression.undo if compression else ""
    key = (Same(transfer.entries), names, batch.place, undo, whole)
    return supply.parcel(key, parts, compression.compressed if compression else iter)


def sending(transfer: Transfer, passage: Passage, batch: Batch | None = None) -> Part:
    """What is sent as part of a tar, whose steps ``passage`` reports; it is to be left when the stream has ended.

    In a ``batch``, whose other operations come after it, the last one is over as well.
    """

    def entries() -> Iterator[Entry]:
        for entry in transfer.entries:
            passage.go_by(entry)
            yield entry
        if batch:
            passage.over()
            batch.sent = True

    time = transfer.time if transfer.keeps_times else epoch
    return Part(entries(), transfer.passing, time, batch.place if batch else "")
