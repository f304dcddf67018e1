"""Parts of large files: those that go through several channels at once, and those that alone have to travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Where ranges begin is a multiple of this, in bytes.
UNIT = 1 << 20
#: Files of fewer bytes travel with all others.
LARGE = 8 * UNIT
#: In so many blocks, at most, a file is compared with the one that it takes the place of.
BLOCKS = 256
#: What is sent of a file, at most, as a part of it. For less, no other file need be copied.
MOST = 0.9


class Range(NamedTuple):
    """The bytes of a file from ``start``, a multiple of `UNIT`, to before ``end``."""

    start: int
    end: int


def split(size: int, parts: int) -> list[Range]:
    """A file of ``size`` bytes as ``parts`` ranges of about the same length, fewer where it is small."""
    length = -(-size // (parts * UNIT)) * UNIT
    return [Range(start, min(start + length, size)) for start in range(0, size, length)]


def block_of(size: int) -> int:
    """How long the blocks are, in bytes, in which a file of ``size`` bytes is compared."""
    return -(-size // (BLOCKS * UNIT)) * UNIT


def changed(there: Sequence[bytes], here: Sequence[bytes], size: int) -> list[Range] | None:
    """The ranges of a file of ``size`` bytes that have to travel, by the digests of its blocks there and here.

    None where so much has changed that all of it may travel.
    """
    block = block_of(size)
    found: list[Range] = []
    for number, digest in enumerate(here):
        if number < len(there) and there[number] == digest:
            continue
        start, end = number * block, min((number + 1) * block, size)
        if found and found[-1].end == start:
            found[-1] = Range(found[-1].start, end)
        else:
            found.append(Range(start, end))
    return found if sum(end - start for start, end in found) <= MOST * size else None
