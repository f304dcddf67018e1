"""Two manifests, merged: what both have, and what only one has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkit import Entry, Kind, manifest
from pushkit.files.merge import LEAST, at, find, merge, order

NAMES = st.sampled_from(["a", "b", "a-b", "é", "x\ny", "\udcff", "long" * 40])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def tree(contents: dict[str, int]) -> list[Entry]:
    """A tree with a file at each path, but where another lies below, and every directory that it needs."""
    ways = {path.rsplit("/", depth)[0] for path in contents for depth in range(1, path.count("/") + 1)}
    files = [Entry(path, Kind.FILE, 0o644, n, bytes([n]) * 32) for path, n in contents.items() if path not in ways]
    return sorted([*files, *(Entry(path, Kind.DIRECTORY, 0o755) for path in ways)], key=order)


TREES = st.dictionaries(PATHS, st.integers(0, 2), max_size=30).map(tree)


@given(TREES, TREES)
def test_a_merge_is_the_difference_of_sets_in_walk_order(before: list[Entry], after: list[Entry]) -> None:
    found = merge(manifest.encode(before), manifest.encode(after), after)
    assert found.same == [entry for entry in after if entry in before]
    assert found.gone == [entry for entry in before if entry not in after]
    assert found.new == [entry for entry in after if entry not in before]


@given(TREES, PATHS)
def test_what_lies_at_a_path_and_below_it_is_one_slice(entries: list[Entry], path: str) -> None:
    assert entries[at(entries, path)] == [e for e in entries if e.path == path or e.path.startswith(f"{path}/")]
    assert find(entries, path) == [entry for entry in entries if entry.path == path]


@pytest.mark.parametrize("number", [0, 1, 499, 998, 999])
def test_one_change_among_many_is_found_wherever_it_is(number: int) -> None:
    before = tree({f"{n:04d}": 1 for n in range(1000)})
    assert len(manifest.encode(before)) > 50 * LEAST
    after = [*before]
    after[number] = before[number]._replace(size=2)
    found = merge(manifest.encode(before), manifest.encode(after), after)
    assert (found.gone, found.new) == ([before[number]], [after[number]])
    assert found.same == before[:number] + before[number + 1 :]
    assert found.same[0] is after[found.same[0].path == "0001"]


FILE, DIRECTORY = Entry("a", Kind.FILE, 0o644, 0, bytes(32)), Entry("b", Kind.DIRECTORY, 0o755)
BELOW = Entry("a/x", Kind.FILE, 0o644, 0, bytes(32))


@pytest.mark.parametrize(
    "after",
    [
        [],
        [FILE],
        [DIRECTORY],
        [FILE, DIRECTORY],
        [FILE._replace(size=7), DIRECTORY],
        [DIRECTORY._replace(path="a"), BELOW],
    ],
)
@pytest.mark.parametrize(
    ("before", "why"),
    [
        ([FILE, FILE], "twice"),
        ([DIRECTORY, FILE], "not in order"),
        ([FILE, FILE._replace(size=1)], "twice"),
        ([FILE, BELOW], "is no directory"),
        ([FILE._replace(path="../a")], "inside the tree"),
        ([FILE._replace(path="/a")], "inside the tree"),
        ([FILE._replace(sha256=b"")], "without a size and a digest"),
    ],
)
def test_what_is_no_tree_is_refused_whatever_it_is_compared_with(
    before: list[Entry], why: str, after: list[Entry]
) -> None:
    with pytest.raises(ValueError, match=why):
        merge(manifest.encode(before), manifest.encode(after), after)


@given(TREES, st.data())
def test_what_was_damaged_is_noticed(entries: list[Entry], data: st.DataObject) -> None:
    good = manifest.encode(entries)
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = bytearray(good)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"damaged|not a manifest"):
        merge(bytes(damaged), good, entries)


@given(TREES, st.data())
def test_what_was_cut_off_and_sealed_again_is_noticed_or_is_a_tree(entries: list[Entry], data: st.DataObject) -> None:
    body = manifest.body(entries)
    cut = body[: data.draw(st.integers(0, len(body)))]
    sealed = manifest.sealed(cut)
    after = data.draw(TREES)
    try:
        found = merge(sealed, manifest.encode(after), after)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011  (each has its own reason)
            manifest.decode(sealed)
    else:
        assert sorted([*found.same, *found.gone], key=order) == manifest.decode(sealed)


def test_a_last_entry_that_was_cut_off_is_told() -> None:
    cut = manifest.sealed(manifest.body([FILE])[:-1])
    with pytest.raises(ValueError, match=r"^incomplete: the last entry is cut off$"):
        merge(cut, manifest.encode([]), [])
