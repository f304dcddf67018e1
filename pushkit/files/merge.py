"""Two manifests in one pass, as sorted files are merged: what both say costs next to nothing, however long they are."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from pushkit import manifest
from pushkit.manifest import HEAD
from pushkit.model import Entry, Kind

#: The bytes that are compared at once, at first and at most.
LEAST, MOST = 256, 1 << 20


class Merge(NamedTuple):
    """The entries that both have, those that only the one before has, and those that only the one after has."""

    same: list[Entry]
    gone: list[Entry]
    new: list[Entry]


def merge(before: bytes, after: bytes, entries: Sequence[Entry]) -> Merge:
    """What differs between the manifests ``before`` and ``after``, which is that of ``entries``.

    Raises ValueError, with the reason, when ``before`` is damaged, or holds what `pushkit.manifest.decode` refuses;
    also when it is in no order.
    """
    manifest.check_digest(before)
    found = Merge([], [], [])
    mine, theirs = HEAD, HEAD
    index = 0
    last: Entry | None = None
    while theirs < len(before):
        if length := common(before, theirs, after, mine):
            count = before.count(b"\0", theirs, theirs + length) // 4
            check_order(last, entries[index])
            found.same.extend(entries[index : index + count])
            index += count
            last = entries[index - 1]
            theirs += length
            mine += length
            continue
        end = record_end(before, theirs)
        other = manifest.entry(before[theirs:end].decode("utf-8", "surrogateescape"))
        key = order(other)
        while index < len(entries) and order(entries[index]) < key:
            found.new.append(entries[index])
            index += 1
            mine = record_end(after, mine)
        if before[theirs:end] == after[mine : mine + end - theirs]:
            continue  # they are at one again
        check_order(last, other)
        found.gone.append(other)
        last = other
        theirs = end
        if index < len(entries) and order(entries[index]) == key:
            found.new.append(entries[index])
            index += 1
            mine = record_end(after, mine)
    found.new.extend(entries[index:])
    return found


def at(entries: Sequence[Entry], path: str) -> slice:
    """Where in ``entries``, which are in the order of a snapshot, ``path`` and what lies below it are."""
    key = order_of(path)
    start = bisect_left(entries, key, key=order)
    # What lies below it has a NUL there, and everything that follows a byte that is more.
    return slice(start, bisect_left(entries, key + b"\1", start, key=order))


def find(entries: Sequence[Entry], path: str) -> Sequence[Entry]:
    """The entry at ``path``, if it is among ``entries``, which are in the order of a snapshot."""
    start = bisect_left(entries, order_of(path), key=order)
    return [entry for entry in entries[start : start + 1] if entry.path == path]


def common(before: bytes, theirs: int, after: bytes, mine: int) -> int:
    """How many bytes are the same from there on, in whole records."""
    length, step = 0, LEAST
    while one := before[theirs + length : theirs + length + step]:
        if one != after[mine + length : mine + length + step]:
            break
        length += len(one)
        step = min(step * 2, MOST)
    # The difference is less than `step` away.
    length += narrowed(before, theirs + length, after, mine + length, step)
    end = theirs + length
    for _ in range(before.count(b"\0", theirs, end) % 4 + 1):
        end = before.rfind(b"\0", theirs, end)
        if end < 0:
            return 0
    return end + 1 - theirs


def narrowed(before: bytes, theirs: int, after: bytes, mine: int, limit: int) -> int:
    """How many bytes are the same from there on, fewer than ``limit``."""
    low, high = 0, limit
    while high - low > 1:
        middle = (low + high) // 2
        one = before[theirs : theirs + middle]
        if len(one) == middle and one == after[mine : mine + middle]:
            low = middle
        else:
            high = middle
    return low


def record_end(data: bytes, start: int) -> int:
    """Where the record ends that begins there. Raises ValueError when it is cut off."""
    for _ in range(4):
        start = data.find(b"\0", start) + 1
        if not start:
            raise ValueError("incomplete: the last entry is cut off")
    return start


def order(entry: Entry) -> bytes:
    """The key by which the entries of a snapshot are sorted."""
    return order_of(entry.path)


def order_of(path: str) -> bytes:
    """The key by which the entry at ``path`` is sorted: by its components, of which none holds a NUL."""
    return os.fsencode(path).replace(b"/", b"\0")


def check_order(last: Entry | None, entry: Entry) -> None:
    """Raise ValueError when ``entry`` may not come right after ``last``.

    In this order whatever lies below a path comes right after it, and a path that is there twice comes twice.
    """
    if last is None:
        return
    if order(last) >= order(entry):
        raise ValueError(f"{entry.path!r}: twice the same path, or not in order")
    if last.kind is not Kind.DIRECTORY and entry.path.startswith(f"{last.path}/"):
        raise ValueError(f"{last.path!r}: holds other paths and is no directory")
