"""The blocks of large files, by which what lies on a target is compared with what lies here."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

#: Where blocks begin is a multiple of this, in bytes.
UNIT = 1 << 20
#: Files of fewer bytes are compared as a whole.
LARGE = 8 * UNIT
#: In how many blocks a file is compared, and how long they are at most: each takes a target two processes.
BLOCKS, LONGEST = 32, 32 * UNIT


def block_of(size: int) -> int:
    """How long the blocks of a file of ``size`` bytes are, in bytes."""
    return min(-(-size // (BLOCKS * UNIT)) * UNIT, LONGEST)


class Blocks:
    """The sha256 of each block of a file, ``block`` bytes long; the last may be shorter."""

    def __init__(self, block: int) -> None:
        self._block = self._left = block
        self._digest = sha256()
        self._found: list[bytes] = []

    def update(self, piece: bytes | memoryview) -> None:
        """Take what comes next of the file."""
        view = memoryview(piece)
        while view:
            some = view[: self._left]
            self._digest.update(some)
            self._left -= len(some)
            view = view[len(some) :]
            if not self._left:
                self._found.append(self._digest.digest())
                self._digest, self._left = sha256(), self._block

    def digests(self) -> list[bytes]:
        """Those of what was taken."""
        return [*self._found, self._digest.digest()] if self._left < self._block else self._found


def of_large(size: int) -> Blocks | None:
    """Who finds the digests of a file of ``size`` bytes; nobody where it is compared as a whole."""
    return Blocks(block_of(size)) if size >= LARGE else None


def digests(pieces: Iterable[bytes], block: int) -> list[bytes]:
    """The sha256 of each block of what ``pieces`` make together."""
    found = Blocks(block)
    for piece in pieces:
        found.update(piece)
    return found.digests()
