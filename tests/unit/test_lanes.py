"""What goes side by side over a long line, and in which lane."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkit import Entry, Kind
from pushkit.files.lanes import LANES, parts

ENTRIES = st.lists(st.integers(0, 1 << 20), max_size=60).map(
    lambda sizes: [Entry(str(number), Kind.FILE, 0o644, size) for number, size in enumerate(sizes)]
)


@given(ENTRIES, st.integers(1, 2 * LANES))
def test_parts_are_all_of_it_in_its_order(entries: list[Entry], count: int) -> None:
    found = parts(entries, count)
    assert [entry for part in found for entry in part] == entries
    assert len(found) <= count
    assert all(found)


@pytest.mark.parametrize("size", [0, 100, 1 << 20])
def test_lanes_are_of_one_length(size: int) -> None:
    entries = [Entry(str(number), Kind.FILE, 0o644, size) for number in range(100 * LANES)]
    assert {len(part) for part in parts(entries, LANES)} == {100}
