"""Two manifests -> steps with reasons, what to send, what stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkit import Action, Entry, Kind
from pushkit.files.diff import DIFFERS, NOT_COMPARED, difference


def file(path: str, content: int = 1, mode: int = 0o644) -> Entry:
    return Entry(path, Kind.FILE, mode, content, bytes([content]) * 32)


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode)


def symlink(path: str, link: str) -> Entry:
    return Entry(path, Kind.SYMLINK, 0o777, link=link)


def test_the_same_tree_needs_no_step_and_keeps_every_file() -> None:
    tree = [directory("a"), file("a/b"), symlink("c", "a/b")]
    found = difference(tree, tree)
    assert (len(found.steps), len(found.send), len(found.modes)) == (0, 0, 0)
    assert [entry.path for entry in found.keep] == ["a/b", "c"]


def test_each_change_has_its_reason() -> None:
    before = [file("changed", 1), file("gone"), file("mode"), directory("turns"), file("turns/x"), symlink("link", "a")]
    after = [
        file("changed", 2),
        file("mode", mode=0o755),
        file("new"),
        file("turns"),
        symlink("link", "b"),
    ]
    found = difference(before, after)
    assert [(step.action, step.subject, step.reason) for step in found.steps] == [
        (Action.REPLACE, "changed", "content differs"),
        (Action.REPLACE, "mode", "mode 644 becomes 755"),
        (Action.ADD, "new", "new"),
        (Action.REPLACE, "turns", "was a directory, is a file"),
        (Action.REPLACE, "link", "linked to a"),
        (Action.REMOVE, "turns/x", "no longer in the project"),
        (Action.REMOVE, "gone", "no longer in the project"),
    ]
    assert [entry.path for entry in found.send] == ["changed", "new", "turns", "link"]
    assert [entry.path for entry in found.keep] == [entry.path for entry in found.modes] == ["mode"]


def test_what_both_have_is_kept_but_for_directories() -> None:
    found = difference([file("gone")], [file("new")], [directory("a"), file("a/b"), symlink("c", "a")])
    assert [entry.path for entry in found.keep] == ["a/b", "c"]


def test_of_what_was_replaced_only_files_by_files_are_of_use() -> None:
    before = [file("a", 1), symlink("b", "x"), directory("c"), file("d"), file("e")]
    after = [file("a", 2), file("b"), file("c"), symlink("d", "x"), file("e", mode=0o755)]
    assert difference(before, after).replaced == (file("a", 1),)


def test_a_symlink_has_no_mode_that_could_differ() -> None:
    (before, after) = (Entry("a", Kind.SYMLINK, mode, link="b") for mode in (0o777, 0o755))
    found = difference([before], [after])
    assert (found.steps, found.send, found.modes, found.keep) == ((), (), (), (after,))


def test_removals_come_deepest_first_and_each_directory_at_once() -> None:
    before = [directory("a"), directory("a/b"), file("a/b/c"), directory("a-b"), file("a-b/c")]
    assert [step.subject for step in difference(before, []).steps] == ["a-b/c", "a-b/", "a/b/c", "a/b/", "a/"]


@pytest.mark.parametrize(
    ("size", "why"), [(7, NOT_COMPARED), pytest.param(0, DIFFERS, id="what is empty holds what is known")]
)
def test_a_content_that_nobody_knows_cannot_be_compared(size: int, why: str) -> None:
    was = Entry("a", Kind.FILE, 0o644, size, bytes(32))
    (step,) = difference([was], [file("a")]).steps
    assert (step.action, step.reason) == (Action.REPLACE, why)


entries = st.one_of(
    st.builds(file, st.sampled_from("abcd"), st.integers(1, 3), st.sampled_from([0o644, 0o755])),
    st.builds(directory, st.sampled_from("abcd"), st.sampled_from([0o755, 0o700])),
    st.builds(symlink, st.sampled_from("abcd"), st.sampled_from("xy")),
)
trees = st.lists(entries, unique_by=lambda entry: entry.path)


@given(trees, trees)
def test_what_is_sent_and_kept_and_set_makes_the_new_tree(before: list[Entry], after: list[Entry]) -> None:
    found = difference(before, after)
    old = {entry.path: entry for entry in before}
    modes = {entry.path: entry.mode for entry in found.modes}
    built = {entry.path: entry for entry in found.send}
    for entry in found.keep:
        was = old[entry.path]
        built[entry.path] = was._replace(mode=modes.get(entry.path, was.mode))
    for entry in after:
        if entry.kind is Kind.DIRECTORY and entry.path not in built:
            was = old[entry.path]
            assert was.kind is Kind.DIRECTORY
            built[entry.path] = was._replace(mode=modes.get(entry.path, was.mode))
    assert built == {entry.path: entry for entry in after}
    assert {s.subject.rstrip("/") for s in found.steps if s.action is Action.REMOVE} == old.keys() - {
        e.path for e in after
    }
