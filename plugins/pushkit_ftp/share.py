"""`Share`: small files that are sent one after the other, over one connection at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from pushkit import Entry
from pushkit.files import RemoteLost, Transfer

#: The most files that are sent over one connection before it is given back.
SHARE = 32


class Share:
    """Small files that are sent one after the other; those ``left`` are still to be sent.

    ``lost`` is how a connection ended over which they were sent.
    """

    def __init__(self, files: Sequence[Entry], transfer: Transfer) -> None:
        self.left = deque(files)
        self.lost: RemoteLost | None = None
        self._passage = transfer.passage()
        self._passing: Entry | None = None

    def begin(self) -> Entry:
        """The next file, which is under way from now on."""
        entry = self.left[0]
        if entry is not self._passing:  # it may be sent over another connection once more
            self._passage.go_by(entry)
            self._passing = entry
        return entry

    def over(self, error: BaseException | None = None) -> None:
        """No more of them are sent; ``error`` is why the last one was not."""
        self._passage.__exit__(type(error) if error else None, error, None)


def shares(files: Sequence[Entry], workers: int) -> Iterator[Sequence[Entry]]:
    """Small ``files`` in parts that are sent one after the other.

    The parts become smaller, so that the workers are through at the same time; and no part is so large that who waits
    for a connection does not get one soon.
    """
    at = 0
    while at < len(files):
        count = max(1, min(SHARE, (len(files) - at) // (workers * 2)))
        yield files[at : at + count]
        at += count
