"""What is read ahead: all of it, in its order, with what went wrong at its place, and not for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pushkit.files.readahead import DEPTH, read_ahead


def reading() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "ahead"]


def test_all_pieces_come_in_their_order() -> None:
    pieces = [bytes([n]) * n for n in range(100)]
    assert list(read_ahead(pieces)) == pieces
    assert list(read_ahead(())) == []
    assert not reading()


def test_what_goes_wrong_is_raised_after_all_that_came_before() -> None:
    def some() -> Iterator[bytes]:
        yield b"1"
        yield b"2"
        raise ValueError("the disk")

    ahead = read_ahead(some())
    assert [next(ahead), next(ahead)] == [b"1", b"2"]
    with pytest.raises(ValueError, match="the disk"):
        next(ahead)
    assert not reading()


def test_no_more_is_read_than_may_wait_and_nothing_once_nobody_wants_it() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x"

    ahead = read_ahead(endless())
    assert next(ahead) == b"x"
    end = time.monotonic() + 5
    while read < DEPTH + 2 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.3)
    assert read == DEPTH + 2
    ahead.close()  # type: ignore[attr-defined]
    assert not reading()
