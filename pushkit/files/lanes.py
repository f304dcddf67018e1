"""Lanes: many small files side by side, where one channel is held up by how much of it may be under way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from pushkit.archive import BLOCK
from pushkit.files.errors import RemoteError, RemoteLost
from pushkit.files.transfer import Transfer
from pushkit.model import Entry, Kind

if TYPE_CHECKING:
    from pushkit.files.shell import ShellRemote

#: So many channels at once: see `large`.
LANES = 5
#: Bytes that OpenSSH lets be under way in one channel.
WINDOW = 2 << 20
#: Bytes a second of small files that are packed here and unpacked there in one lane, on machines of 2026.
RATE = 80_000_000
#: Seconds that have to be saved. Lanes cost two round trips more. Over 100 ms the first push of 10,000 files of 31 MB
#: took 0.71 of the time without them, and would take 1.08 over 20 ms.
WORTHWHILE = 0.1


class Lanes:
    """Sends ``entries``, files of ``transfer``, to ``directory`` of ``host``, whose directories are there."""

    def __init__(self, host: ShellRemote, directory: str, transfer: Transfer) -> None:
        self._host = host
        self._directory = directory
        self._transfer = transfer

    def send(self, entries: Sequence[Entry]) -> None:
        """Send each in one of the lanes."""
        refused: list[Sequence[Entry]] = []

        def work(part: Sequence[Entry]) -> None:
            try:
                self._host.put(self._directory, self._transfer.only(part))
            except RemoteLost:
                # The server may let fewer channels share a connection.
                refused.append(part)

        try:
            self._transfer.at_once(parts(entries, LANES), work, workers=LANES)
        except ExceptionGroup as group:
            known, others = group.split(RemoteError)
            if others or not known:
                raise
            raise known.exceptions[0] from None
        for part in refused:
            self._host.put(self._directory, self._transfer.only(part))


def parts(entries: Sequence[Entry], count: int) -> list[Sequence[Entry]]:
    """``entries`` in so many parts, each of about as many bytes and as many files."""
    ends = list(accumulate(entry.size + 2 * BLOCK for entry in entries))
    found: list[Sequence[Entry]] = []
    start = 0
    for number in range(1, count + 1):
        stop = start
        while stop < len(ends) and ends[stop] * count <= ends[-1] * number:
            stop += 1
        found.append(entries[start:stop])
        start = stop
    return [part for part in found if part]


def side_by_side(transfer: Transfer, size: float, round_trip: float) -> list[Entry]:
    """The files of ``transfer`` that are sent in lanes; ``size`` is how many bytes all of it is as it travels."""
    saved = size * (round_trip / WINDOW - 1 / RATE) - 2 * round_trip
    if transfer.fetches or transfer.supply or saved < WORTHWHILE:
        return []
    return [entry for entry in transfer.entries if entry.kind is Kind.FILE]
