"""A journal turns what is live into what is to be, from wherever it was stopped: done here on trees that are data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkit import Action, Entry, Kind, Step, manifest
from pushkit.files.diff import difference
from pushkit.files.journal import MAGIC, OPEN, Journal, Renaming, concluding, decode, journal
from pushkit.files.merge import Merge, merge, order
from pushkit.files.operation import Operation, Remove, RemoveDirectory, Rename, SetMode, Write
from pushkit.files.place import MIRROR
from pushkit.files.stat import above

NEW, OLD = "000002-20261122T193012Z-abc", "000001-20261122T193012Z-abc"
RELEASES = (NEW, OLD)
#: Where the new content lies.
STAGE = "stage/tree"


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode)


def file(path: str, content: int = 1, mode: int = 0o644) -> Entry:
    return Entry(path, Kind.FILE, mode, content, bytes([content]) * 32)


def link(path: str, text: str = "x") -> Entry:
    return Entry(path, Kind.SYMLINK, 0o777, link=text)


def renaming(path: str, *clears: str, emptied: Sequence[str] = ()) -> Renaming:
    return Renaming(path, [*clears], [*emptied])


def made(before: Sequence[Entry], after: Sequence[Entry], there: Iterable[str] | None = None) -> Journal:
    """The journal that turns one tree into the other. ``there`` is what lies on the target, by default the one."""
    merged = merge(manifest.encode(before), manifest.encode(after), after)
    found = difference(merged.gone, merged.new, merged.same)
    return journal(RELEASES, merged, found, {entry.path for entry in before} if there is None else {*there})


class Target:
    """What is live, and what was sent, as entries by path."""

    def __init__(self, before: Iterable[Entry], after: Iterable[Entry]) -> None:
        self.live = {entry.path: entry for entry in before}
        # Where content is to go into, its owner may write: the modes come last.
        self.sent = {
            entry.path: entry._replace(mode=entry.mode | OPEN) if entry.kind is Kind.DIRECTORY else entry
            for entry in after
        }

    def do(self, operation: Operation) -> None:
        """Do it as a file system does, where nobody is root."""
        match operation:
            case SetMode(path=path, mode=mode):
                assert self.live[path].kind is not Kind.SYMLINK
                self.live[path] = self.live[path]._replace(mode=mode)
            case Remove(path=path):
                if path in self.live:
                    self.change(path)
                    assert self.live.pop(path).kind is not Kind.DIRECTORY
            case RemoveDirectory(path=path):
                if path in self.live and not any(each.startswith(f"{path}/") for each in self.live):
                    self.change(path)
                    assert self.live.pop(path).kind is Kind.DIRECTORY
            case Rename(old=old, new=new):
                self.change(new)
                path = old.removeprefix(f"{STAGE}/")
                was = self.live.get(new)
                assert was is None or Kind.DIRECTORY not in {was.kind, self.sent[path].kind}
                moved = [each for each in self.sent if each == path or each.startswith(f"{path}/")]
                self.live |= {each: self.sent.pop(each) for each in moved}
            case _:
                raise AssertionError(operation)

    def change(self, path: str) -> None:
        """Something in a directory changes, whose owner has to be able to do that."""
        for way in above(path):
            if way in self.live:
                assert self.live[way].kind is Kind.DIRECTORY
                assert self.live[way].mode & OPEN == OPEN

    def kinds(self, found: Journal) -> dict[str, Kind | None]:
        """What lies at the paths of a journal, here and among what was sent."""
        paths = {each for path in found.paths for each in (*above(path), path)}
        here: dict[str, Kind | None] = {path: self.live[path].kind for path in paths if path in self.live}
        return here | {f"{STAGE}/{path}": entry.kind for path, entry in self.sent.items()}


@st.composite
def trees(draw: st.DrawFn) -> list[Entry]:
    """A tree of a few names, with files, links, and directories of which some are closed to their owner."""
    entries: dict[str, Entry] = {}

    def fill(prefix: str, depth: int) -> None:
        for name in draw(st.sets(st.sampled_from("abc"), max_size=3)):
            path = prefix + name
            kind = draw(st.sampled_from(["file", "link", "directory", "directory"][: 4 if depth else 2]))
            if kind == "file":
                entries[path] = file(path, draw(st.integers(1, 2)), draw(st.sampled_from([0o644, 0o600])))
            elif kind == "link":
                entries[path] = link(path, draw(st.sampled_from("xy")))
            else:
                entries[path] = directory(path, draw(st.sampled_from([0o755, 0o555])))
                fill(f"{path}/", depth - 1)

    fill("", 2)
    return sorted(entries.values(), key=order)


@settings(deadline=None)
@given(trees(), trees(), st.integers(0, 30))
def test_whatever_is_live_becomes_what_is_to_be_wherever_it_was_stopped_and_begun_again(
    before: list[Entry], after: list[Entry], stop: int
) -> None:
    found = decode(made(before, after).encode())
    target = Target(before, [entry for entry in after if entry not in before])
    for operation in found.operations(STAGE)[:stop]:
        target.do(operation)
    for operation in found.operations(STAGE, left=target.kinds(found)):
        target.do(operation)
    assert target.live == {entry.path: entry for entry in after}


def test_only_what_differs_is_touched_and_whole_directories_are_renamed_at_once() -> None:
    before = [directory("a"), file("a/x"), directory("b"), file("b/y"), file("c"), file("d")]
    after = [directory("a"), file("a/x"), file("b"), file("c", 2), directory("n"), directory("n/m"), file("n/m/z")]
    assert made(before, after) == Journal(
        *RELEASES,
        opened=[],
        renamings=[renaming("b", "b/y", emptied=["b"]), renaming("c"), renaming("n")],
        removals=["d"],
        directories=[],
        modes=[],
    )


def test_a_file_gives_way_to_a_directory_and_emptied_directories_go_the_deepest_first() -> None:
    before = [file("a"), directory("d"), directory("d/e"), file("d/e/f")]
    after = [directory("a"), file("a/b")]
    found = made(before, after)
    assert found.renamings == [renaming("a", "a")]
    assert (found.removals, found.directories) == (["d/e/f"], ["d/e", "d"])


def test_directories_that_are_closed_are_opened_for_what_changes_in_them_and_closed_again() -> None:
    before = [directory("a", 0o555), directory("a/b", 0o500), file("a/b/x"), directory("c", 0o555), file("c/y")]
    after = [directory("a", 0o555), directory("a/b", 0o550), file("a/b/x", 2), directory("c", 0o555), file("c/y")]
    found = made(before, after)
    assert found.opened == [("a", 0o755), ("a/b", 0o700)]
    assert found.modes == [("a/b", 0o550), ("a", 0o555)]


def test_a_new_directory_that_is_closed_is_closed_when_it_is_in_place() -> None:
    after = [directory("n", 0o555), file("n/x")]
    assert made([], after).modes == [("n", 0o555)]
    assert made([], [directory("n", 0o755), file("n/x")]).modes == []


def test_where_letters_case_is_not_told_the_old_name_goes_before_the_new_one_comes() -> None:
    before, after = [file("Readme")], [file("README", 2)]
    assert made(before, after, ["Readme", "README"]).renamings == [renaming("README", "Readme")]
    assert made(before, after, ["Readme", "README"]).removals == []
    assert made(before, after).renamings == [renaming("README")]
    assert made(before, after).removals == ["Readme"]
    # What lies there and is nobody's old name is replaced as any.
    assert made([], after, ["README"]).renamings == [renaming("README")]


def test_removals_and_modes_bear_the_steps_of_the_plan() -> None:
    found = Journal(
        *RELEASES, [("o", 0o755)], [Renaming("n", ["n"], ["m"])], ["a"], ["d"], [("o", 0o555), ("f", 0o600)]
    )
    steps = {path: Step(Action.REMOVE, path, "") for path in ("n", "m", "a", "d", "f")}
    assert found.operations(STAGE, steps) == [
        SetMode("o", 0o755),
        Remove("n", step=steps["n"]),
        RemoveDirectory("m", step=steps["m"]),
        Rename(f"{STAGE}/n", "n", f"{STAGE}-aside-0"),
        Remove("a", step=steps["a"]),
        RemoveDirectory("d", step=steps["d"]),
        SetMode("o", 0o555),
        SetMode("f", 0o600, step=steps["f"]),
    ]
    assert found.paths == ["o", "o", "f", "n", "m", "n", "a", "d"]


def test_modes_are_set_of_what_is_there_or_comes_and_is_no_link() -> None:
    found = Journal(
        *RELEASES,
        [("o", 0o755), ("gone", 0o755), ("x", 0o755)],
        [Renaming("n")],
        [],
        [],
        [(path, 0o555) for path in ("n/d", "n", "f", "o", "l", "gone")],
    )
    left = {f"{STAGE}/n": Kind.DIRECTORY, "o": Kind.DIRECTORY, "f": Kind.FILE, "l": Kind.SYMLINK, "x": Kind.FILE}
    assert found.operations(STAGE, left=left) == [
        SetMode("o", 0o755),
        Rename(f"{STAGE}/n", "n", f"{STAGE}-aside-0"),
        *(SetMode(path, 0o555) for path in ("n/d", "n", "f", "o")),
    ]


def test_what_a_journal_says_is_done_when_the_release_has_its_name_and_the_journal_is_gone() -> None:
    assert concluding(MIRROR, NEW) == [Write(".htpush/live", f"{NEW}\n".encode()), Remove(".htpush/journal")]


WHOLE: dict[str, Any] = {
    "release": NEW,
    "previous": OLD,
    "opened": [["o", 0o755]],
    "renamings": [{"path": "n", "clears": ["c"], "emptied": ["e"]}],
    "removals": ["r"],
    "directories": ["d"],
    "modes": [["m", 0o10644]],
}


def lying(record: object, indent: int | None = None) -> bytes:
    """A journal as it lies on a target."""
    body = json.dumps(record, indent=indent).encode()
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_a_journal_is_read_as_every_version_writes_it() -> None:
    found = Journal(*RELEASES, [("o", 0o755)], [Renaming("n", ["c"], ["e"])], ["r"], ["d"], [("m", 0o644)])
    assert decode(lying(WHOLE)) == found
    assert decode(found.encode()) == found
    head, body = found.encode().split(b"\n")
    assert head == b"pushkit-journal 1 " + hashlib.sha256(body).hexdigest().encode()
    assert decode(lying(WHOLE, indent=1)) == found
    assert decode(lying({**WHOLE, "previous": ""})).previous == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"release": "../x"},
        {"previous": "../x"},
        {"opened": [["../o", 0o755]]},
        {"opened": [["o"]]},
        {"opened": [["o", float("inf")]]},
        {"renamings": [{"path": "/n", "clears": [], "emptied": []}]},
        {"renamings": [{"path": "n", "clears": ["../c"], "emptied": []}]},
        {"renamings": [{"path": "n", "clears": [], "emptied": ["a//b"]}]},
        {"renamings": [{"path": "n", "clears": []}]},
        {"renamings": None},
        {"removals": [7]},
        {"removals": ["a\0b"]},
        {"directories": ["."]},
        {"modes": [["..", 0o644]]},
    ],
)
def test_a_journal_that_is_damaged_or_leads_out_of_the_tree_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no journal|is not a release id|not a path inside the tree|unpack"):
        decode(lying({**WHOLE, **changes}))


@pytest.mark.parametrize(
    "data", [lying(WHOLE)[:-1], lying(WHOLE)[1:], lying([WHOLE]), lying("x"), b"", MAGIC, b"[" * 9]
)
def test_what_is_no_journal_is_told_from_one(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"does not have the digest|no journal"):
        decode(data)


def test_nothing_differs_where_nothing_does() -> None:
    entries = [directory("a", 0o555), file("a/x")]
    assert made(entries, entries) == Journal(*RELEASES, [], [], [], [], [])
    assert journal(RELEASES, Merge([], [], []), difference([], []), ()) == Journal(*RELEASES, [], [], [], [], [])
