"""`Large`: files that do not travel in the one stream with all others, since they are sent faster in parts.

Over a long line one channel is held up by how much a server lets it have under way: several are not. And of a file that
takes the place of another one, or of which a push that died has sent a part, only those blocks travel that are not
in that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pushkit.files import scripts
from pushkit.files.compression import Compression
from pushkit.files.errors import RemoteError, RemoteLost
from pushkit.files.ranges import LARGE, Range, block_of, changed, split
from pushkit.files.scripts import Shell
from pushkit.files.transfer import Transfer
from pushkit.model import Entry, Kind

if TYPE_CHECKING:
    from pushkit.files.shell import ShellRemote

#: So many channels at once. OpenSSH lets ten share a connection, and a heartbeat and a session need theirs.
CHANNELS = 6
#: Seconds that a round trip takes, at least, where one channel is held up: 2 MiB may be under way to OpenSSH.
FAR = 0.01


class Large:
    """Sends large files of ``transfer`` to ``directory`` of ``host``, whose parents are there."""

    def __init__(self, host: ShellRemote, directory: str, transfer: Transfer) -> None:
        self._host = host
        self._directory = directory
        self._transfer = transfer

    def send(self, entries: Sequence[Entry]) -> None:
        """Make each of ``entries``, with no right but the owner's to read and write it."""
        for entry in entries:
            with self._transfer.step(entry):
                self._send(entry)

    def _send(self, entry: Entry) -> None:
        begun = self._transfer.begun.get(entry.path)
        base = begun or self._transfer.bases.get(entry.path)
        ranges = self._differing(entry, base) if base else None
        if base is None or ranges is None:
            # Nothing of it was read yet: that it is what it was is found out beside.
            self._parts(entry, split(entry.size, CHANNELS), beside=lambda: self._transfer.digests(entry, entry.size))
            return
        self._transfer.patched.add(entry.path)
        new, shell = self._place(entry), self._host.shell
        self._host.script(base, scripts.base(self._host.root, base, new, entry.size, shell, own=begun is not None))
        self._parts(entry, [part for each in ranges for part in shared_out(each, len(ranges))])

    def _differing(self, entry: Entry, base: str) -> list[Range] | None:
        """The ranges in which it differs from the file ``base``."""
        block = block_of(entry.size)
        count = -(-entry.size // block)
        digests = scripts.digest_blocks(self._host.root, base, block, count, self._host.shell)
        with ThreadPoolExecutor(1, thread_name_prefix="blocks") as pool:
            asked = pool.submit(self._host.script, base, digests, (), entry.size)
            here = self._transfer.digests(entry, block)
            there = [line.partition(b" ")[0] for line in asked.result().stdout.splitlines()]
        return changed(there, [digest.hex().encode() for digest in here], entry.size)

    def _parts(self, entry: Entry, ranges: Sequence[Range], beside: Callable[[], object] = lambda: None) -> None:
        """Send ``ranges`` of a file, several at once, and do something ``beside``."""
        refused: list[Range] = []
        compression = self._host.compression([entry], self._transfer.look)

        def work(part: Range | None) -> None:
            if part is None:
                beside()
                return
            try:
                self._part(entry, part, compression)
            except RemoteLost:
                # The server may let fewer channels share a connection.
                refused.append(part)

        try:
            self._transfer.at_once([None, *ranges], work, workers=CHANNELS)
            for part in refused:
                self._part(entry, part, compression)
        except ExceptionGroup as group:
            known, others = group.split(RemoteError)
            if others or not known:
                raise
            raise known.exceptions[0] from None

    def _part(self, entry: Entry, part: Range, compression: Compression | None) -> None:
        stream: Iterable[bytes] = self._transfer.part(entry, part.start, part.end)
        script = scripts.write_part(
            self._host.root, self._place(entry), part.start, compression.undo if compression else ""
        )
        self._host.script(entry.path, script, compression.compressed(stream) if compression else stream)

    def _place(self, entry: Entry) -> str:
        return f"{self._directory}/{entry.path}"


def apart(transfer: Transfer, shell: Shell, round_trip: float) -> list[Entry]:
    """The files of ``transfer`` that are sent in parts."""
    if not shell.patches:
        return []
    known = {*transfer.bases, *transfer.begun}
    return [
        entry
        for entry in transfer.entries
        if entry.kind is Kind.FILE and entry.size >= LARGE and (round_trip >= FAR or entry.path in known)
    ]


def shared_out(part: Range, others: int) -> list[Range]:
    """``part`` in as many pieces as there are channels for it, beside ``others`` in all."""
    pieces = split(part.end - part.start, max(1, CHANNELS // others))
    return [Range(part.start + each.start, part.start + each.end) for each in pieces]
