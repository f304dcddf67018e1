"""What may be under way at once: in push's own place what is made there, and nothing that counts before all is well."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkit.files.operation import (
    Absent,
    Fence,
    Independent,
    Log,
    MakeDirectory,
    Operation,
    Point,
    Pointing,
    Present,
    Remove,
    RemoveDirectory,
    RemoveTree,
    Rename,
    SetMode,
    Switchable,
    Write,
)
from pushkit.files.stretch import stretches, waves

STAGE = ".push/incoming/1"
MAKING: list[Operation] = [
    MakeDirectory("", may_exist=True),
    MakeDirectory(".push", may_exist=True),
    MakeDirectory(".push/pushes/1"),
    Write(".push/pushes/1/ticket", b""),
    Write(".push/pushes/1/beat", b""),
    MakeDirectory("releases", may_exist=True),
    Switchable(".push/link"),
    MakeDirectory(STAGE),
    MakeDirectory(f"{STAGE}/tree"),
    Write(".push/manifests/1", b""),
]
LIVE: list[Operation] = [
    Present(".push/pushes/1/ticket"),
    Absent(".push/hold"),
    Fence(".push/fence", 1),
    MakeDirectory(".push/pushes/1/switching", may_exist=True),
    Rename(f"{STAGE}/tree", "releases/1"),
    Present("releases/1"),
    Pointing("current", ""),
    Point("current", "releases/1"),
    MakeDirectory(".push/pushes/1/end"),
    Log(".push/log", dict),
    Write(".push/pushes/1/end/outcome", b""),
    RemoveTree(STAGE),
]


def lengths(operations: list[Operation], stage: str = STAGE) -> list[int]:
    return [len(each) for each in stretches(operations, stage)]


def test_what_a_first_push_makes_takes_two_stretches_and_a_place_in_the_queue_comes_before_all_else() -> None:
    assert lengths(MAKING) == [3, 7]


def test_where_all_pushes_are_is_no_stage() -> None:
    ticket: list[Operation] = [MakeDirectory(".push/pushes/1"), Write(".push/pushes/1/ticket", b"")]
    assert lengths(ticket, ".push") == [1, 1]
    assert lengths([Write(".push/a", b""), MakeDirectory(".push/pushes/1/end")], ".push") == [1, 1]


def test_a_place_in_the_queue_is_taken_alone_once_anything_is_written() -> None:
    first = [MakeDirectory(".push/a", may_exist=True), Write(".push/b", b"")]
    assert lengths([*first, MakeDirectory(".push/pushes/1")]) == [2, 1]


def test_what_goes_live_waits_for_what_it_depends_on() -> None:
    assert lengths(LIVE) == [3, 1, 1, 3, 1, 2, 1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Write(".push/journal", b""), Rename(f"{STAGE}/a", "a")),
        (Write(".push/manifest", b""), Remove(".push/journal")),
        (Write(".push/manifest", b""), MakeDirectory(".push/pushes/1/end")),
        (MakeDirectory(".push/pushes/1"), Write(".push/pushes/1/ticket", b"")),
        (Write(".push/a", b"1"), Write(".push/a", b"2")),
        (Write(".push/a", b""), Write("live", b"")),
        (Write(".push/a", b""), Absent(".push/hold")),
        (Absent(".push/hold"), Write(".push/a", b"")),
        (Absent(".push/hold"), RemoveTree(STAGE)),
        (Write(".push/a/b", b""), Write(".push/a", b"")),
        (Write(".push/a", b""), Write(".push/a/b", b"")),
        (Fence(".push/fence", 1), Absent(".push/hold")),
        (Point("current", "a"), Present("a")),
        (Rename("a", "b"), Present("b")),
        (Remove("a/b"), RemoveDirectory("a")),
        (RemoveTree(STAGE), MakeDirectory(STAGE)),
        (SetMode("a", 0o600), Rename("a", "b")),
    ],
)
def test_the_second_is_begun_when_the_first_is_done(first: Operation, second: Operation) -> None:
    assert lengths([first, second]) == [1, 1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MakeDirectory(".push/a", may_exist=True), Write(".push/a/b", b"")),
        (Write(".push/a", b""), Write(".push/b", b"")),
        (Absent(".push/hold"), Fence(".push/fence", 1)),
        (Pointing("current", "a"), Point("current", "b")),
        (Rename("a", "b"), Rename("c", "d")),
        (Log(".push/log", dict), Write(".push/pushes/1/end/outcome", b"")),
    ],
)
def test_these_are_under_way_at_once(first: Operation, second: Operation) -> None:
    assert lengths([first, second]) == [2]


PLACES = st.sampled_from(["a", "a/b", "a/b/c", "a-b", "b", "b/c"])
CHANGES = st.one_of(
    st.builds(Rename, PLACES, PLACES),
    st.builds(Remove, PLACES),
    st.builds(RemoveDirectory, PLACES),
    st.builds(SetMode, PLACES, st.just(0o600)),
)


def related(one: Independent, other: Independent) -> bool:
    """Whether two are about one path, or one below another."""
    return any(
        f"{first}/".startswith(f"{second}/") or f"{second}/".startswith(f"{first}/")
        for first in one.paths
        for second in other.paths
    )


@given(st.lists(CHANGES, max_size=8))
def test_a_change_is_begun_when_the_last_before_it_is_done_that_is_about_its_path(changes: list[Independent]) -> None:
    # In which part each is, by all pairs of them.
    parts: list[int] = []
    for at, change in enumerate(changes):
        parts.append(max((parts[n] + 1 for n in range(at) if related(changes[n], change)), default=0))
    wanted = [[each for each, part in zip(changes, parts, strict=True) if part == n] for n in sorted(set(parts))]
    assert waves(changes) == wanted


@given(st.lists(st.sampled_from([*MAKING, *LIVE]), max_size=20))
def test_stretches_are_all_of_it_and_in_order_but_for_independent_ones(operations: list[Operation]) -> None:
    found = list(chain.from_iterable(stretches(operations, STAGE)))
    assert found == operations or sorted(map(repr, found)) == sorted(map(repr, operations))
