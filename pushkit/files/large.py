"""`Large`: files that do not travel in the one stream with all others, since they are sent and compared in parts.

Over a long line one channel is held up by how much a server lets it have under way: several are not. While a part is
on its way the target compares what has arrived. And of a file that takes the place of another one, or of which a push
that died has sent a part, only those blocks travel that are not in that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from pushkit.blocks import LARGE, UNIT, block_of
from pushkit.files import scripts
from pushkit.files.compression import Compression
from pushkit.files.errors import RemoteError, RemoteLost
from pushkit.files.ranges import Range, cut, dealt
from pushkit.files.scripts import Shell
from pushkit.files.transfer import Transfer
from pushkit.model import Entry, Kind

if TYPE_CHECKING:
    from pushkit.files.shell import ShellRemote

#: So many channels at once. OpenSSH lets ten share a connection, and a heartbeat and a session need theirs.
CHANNELS = 6
#: So many files at once share them; and of fewer bytes a part is not worth one.
FILES, LEAST = 3, 2 * UNIT
#: Seconds that a round trip takes, at least, where one channel is held up: 2 MiB may be under way to OpenSSH.
FAR = 0.01
#: Of so many bytes, and more, it takes long to compare a file after it has arrived.
HUGE = 64 * UNIT
#: A block of a file is sent in so many pieces, where it differs and they are worth a look.
FINER = 8


class Large:
    """Sends large files of ``transfer`` to ``directory`` of ``host``, whose parents are there."""

    def __init__(self, host: ShellRemote, directory: str, transfer: Transfer) -> None:
        self._host = host
        self._directory = directory
        self._transfer = transfer
        self._channels = BoundedSemaphore(CHANNELS)

    def send(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Make each of ``entries``, with no right but the owner's to read and write it; those that are whole there.

        They are, since every block was compared as it lies there. Of others it has to be found out what is wrong.
        """
        whole: list[Entry] = []

        def make(entry: Entry) -> None:
            if self._send(entry):
                whole.append(entry)
            else:
                self._transfer.check(entry)

        with told_alone():
            self._transfer.each(entries, make, workers=min(FILES, len(entries)) if self._far else 1)
        return whole

    @property
    def _far(self) -> bool:
        return self._host.round_trip >= FAR

    def _send(self, entry: Entry) -> bool:
        """Make one; whether it is whole."""
        begun = self._transfer.begun.get(entry.path)
        base = begun or self._transfer.bases.get(entry.path)
        block = block_of(entry.size)
        pieces = cut(Range(0, entry.size), block)
        if base:
            digests = self._transfer.digests(entry, block)
            if there := self._copied(entry, base, digests, own=begun is not None):
                self._transfer.patched.add(entry.path)
                blocks = zip(pieces, digests, there, strict=True)
                wanted = dict(piece for each in blocks for piece in self._differing(entry, *each))
                return self._parts(entry, list(wanted)) == wanted
        found: list[bytes] = []
        # Where nothing of it was read yet, that it is what it was is found out beside.
        sent = self._parts(entry, pieces, beside=lambda: found.extend(self._transfer.digests(entry, block)))
        return sent == dict(zip(pieces, found, strict=True))

    def _copied(self, entry: Entry, base: str, wanted: Sequence[bytes], *, own: bool) -> Sequence[Sequence[bytes]]:
        """What lies there once the file ``base`` was copied: of each block its digest, and maybe those of its pieces.

        Nothing where there is no such file.
        """
        host, new, block = self._host, self._place(entry), block_of(entry.size)
        script = scripts.copied(host.root, base, new, entry.size, block, finer(block), host.shell, own=own)
        said = b" ".join(digest.hex().encode() for digest in wanted) + b"\n"
        found = told(host.root, host.script(base, script, (said,), entry.size).stdout)
        if found and list(found) != list(range(len(wanted))):
            raise unreadable(host.root)
        return list(found.values())

    def _differing(
        self, entry: Entry, block: Range, wanted: bytes, there: Sequence[bytes]
    ) -> Sequence[tuple[Range, bytes]]:
        """What has to travel of a block, of which so much is known of what lies there: pieces, and their digests."""
        lies, *parts = there
        if lies == wanted:
            return ()
        if not parts:
            return ((block, wanted),)
        length = finer(block_of(entry.size))
        here = self._transfer.finer(entry, block.start, block.end, wanted, length)
        pieces = zip(cut(block, length), here, parts, strict=False)
        return [(piece, digest) for piece, digest, other in pieces if digest != other]

    def _parts(
        self, entry: Entry, pieces: Sequence[Range], beside: Callable[[], object] = lambda: None
    ) -> Mapping[Range, bytes]:
        """Send ``pieces`` of a file, several at once; the digests of what lies there then. Do something ``beside``."""
        found: dict[Range, bytes] = {}
        refused: list[Sequence[Range]] = []
        compression = self._host.compression([entry], self._transfer.look)
        channels = max(1, min(CHANNELS, -(-entry.size // LEAST))) if self._far else 1

        def work(part: Sequence[Range] | None) -> None:
            if part is None:
                beside()
                return
            with self._channels:
                try:
                    found.update(self._part(entry, part, compression))
                except RemoteLost:
                    # The server may let fewer channels share a connection.
                    refused.append(part)

        with told_alone():
            self._transfer.at_once([None, *dealt(pieces, channels)], work, workers=channels + 1)
        for part in refused:
            found.update(self._part(entry, part, compression))
        return found

    def _part(self, entry: Entry, part: Sequence[Range], compression: Compression | None) -> Mapping[Range, bytes]:
        stream: Iterable[bytes] = self._transfer.part(entry, part[0].start, part[-1].end)
        host, undo = self._host, compression.undo if compression else ""
        script = scripts.write_parts(host.root, self._place(entry), part, host.shell, undo)
        done = host.script(entry.path, script, compression.compressed(stream) if compression else stream)
        there = told(host.root, done.stdout)
        return {each: b"".join(there.get(each.start // UNIT, ())) for each in part}

    def _place(self, entry: Entry) -> str:
        return f"{self._directory}/{entry.path}"


@contextmanager
def told_alone() -> Iterator[None]:
    """Of several failures, raise the first where one says enough: where all are the remote's, or there is but one."""
    try:
        yield
    except ExceptionGroup as group:
        if len(group.exceptions) > 1 and group.split(RemoteError)[1]:
            raise
        raise group.exceptions[0] from None


def told(root: str, output: bytes) -> dict[int, Sequence[bytes]]:
    """The digests in the lines that a script printed, by the number at the beginning of each. Raises `RemoteError`."""
    try:
        lines = [line.split() for line in output.decode("ascii").splitlines()]
        return {int(number): [bytes.fromhex(word) for word in words] for number, *words in lines}
    except ValueError as error:
        raise unreadable(root) from error


def unreadable(root: str) -> RemoteError:
    """The error that says that a script printed what it cannot have printed."""
    return RemoteError(f"{root}: what the target sent cannot be read", hint="push again")


def finer(block: int) -> int:
    """How long the pieces are in which a block is sent of which not all differs."""
    return max(block // FINER // UNIT, 1) * UNIT


def apart(transfer: Transfer, shell: Shell, round_trip: float) -> list[Entry]:
    """The files of ``transfer`` that are sent in parts."""
    if not shell.patches:
        return []
    known = {*transfer.bases, *transfer.begun}
    # What many hosts lack is made once for all of them.
    least = LARGE if round_trip >= FAR else HUGE if not transfer.supply else sys.maxsize
    return [
        entry
        for entry in transfer.entries
        if entry.kind is Kind.FILE and (entry.size >= least or (entry.size >= LARGE and entry.path in known))
    ]
