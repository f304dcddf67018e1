"""Ranges of large files: those that go through several channels at once, and those that alone have to travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Range(NamedTuple):
    """The bytes of a file from ``start``, a multiple of `blocks.UNIT`, to before ``end``."""

    start: int
    end: int


def cut(whole: Range, length: int) -> list[Range]:
    """``whole`` in pieces of ``length`` bytes; the last may be shorter."""
    return [Range(start, min(start + length, whole.end)) for start in range(whole.start, whole.end, length)]


def dealt(pieces: Sequence[Range], parts: int) -> list[list[Range]]:
    """``pieces``, in order, as ``parts`` runs of about the same length: more where there are gaps between them."""
    most = -(-sum(end - start for start, end in pieces) // parts)
    found: list[list[Range]] = []
    length = 0
    for piece in pieces:
        if not found or length >= most or found[-1][-1].end != piece.start:
            found.append([])
            length = 0
        found[-1].append(piece)
        length += piece.end - piece.start
    return found
