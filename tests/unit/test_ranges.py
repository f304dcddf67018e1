"""Large files in parts: which, and that what is made of them is the file, under each shell."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkit.blocks import BLOCKS, LARGE, LONGEST, UNIT, block_of, digests
from pushkit.crew import processes
from pushkit.errors import SnapshotChanged
from pushkit.files import RemoteError, ShellResult
from pushkit.files.batch import expected_lines
from pushkit.files.large import FAR, Large
from pushkit.files.layout import Layout
from pushkit.files.mirror import Mirror
from pushkit.files.operation import MakeDirectory, Put, Rename, Verify, Write
from pushkit.files.ranges import Range, cut, dealt
from pushkit.files.releases import Releases
from pushkit.files.scripts import MARKER, Shell
from pushkit.snapshot import Snapshot
from pushkit.testing.given import Given, lying
from pushkit.worktree import open_file
from unit import test_mirror as mirrored
from unit.test_shell import LocalShell, remote

__all__ = ["remote"]

CONTENT = random.Random(1).randbytes(LARGE + 12345)


@given(st.integers(1, 1 << 40), st.integers(1, 20), st.data())
def test_pieces_are_all_of_a_file_and_are_dealt_to_parts_in_order(size: int, parts: int, data: st.DataObject) -> None:
    pieces = cut(Range(0, size), block_of(size) * max(1, size >> 37))
    assert pieces[0].start == 0
    assert pieces[-1].end == size
    assert [each.start for each in pieces[1:]] == [each.end for each in pieces[:-1]]
    assert all(each.start % UNIT == 0 and each.end > each.start for each in pieces)
    found = dealt(pieces, parts)
    assert [each for part in found for each in part] == pieces
    assert len(found) <= parts
    # What does not follow each other is in parts of its own.
    gap = data.draw(st.integers(0, len(pieces) - 1))
    left = pieces[:gap] + pieces[gap + 1 :]
    found = dealt(left, parts)
    assert [each for part in found for each in part] == left
    assert all(before.end == after.start for part in found for before, after in pairwise(part))


@given(st.integers(1, 1 << 45))
def test_blocks_are_neither_too_many_nor_too_long(size: int) -> None:
    block = block_of(size)
    assert block % UNIT == 0
    assert UNIT <= block <= LONGEST
    assert block == LONGEST or size / block <= BLOCKS


@given(st.binary(max_size=300), st.integers(1, 40), st.lists(st.integers(0, 90), max_size=9))
def test_the_digests_of_blocks_do_not_depend_on_how_the_file_came(content: bytes, block: int, cuts: list[int]) -> None:
    wanted = [sha256(content[at : at + block]).digest() for at in range(0, len(content), block)]
    places = sorted({0, len(content), *(each for each in cuts if each < len(content))})
    assert digests((content[at:to] for at, to in pairwise(places)), block) == wanted


def stage(transfer: Given) -> list[object]:
    return [MakeDirectory("stage"), MakeDirectory("stage/tree"), Write("first", b"1"), Put("stage/tree", transfer)]


def test_a_large_file_arrives_over_a_long_line(remote: LocalShell) -> None:
    transfer = Given()
    transfer.directory("a directory's")
    transfer.file("a directory's/-large $file", CONTENT, 0o440)
    transfer.file("small", b"small")
    transfer.file("program", CONTENT[::-1], 0o755)
    remote.distance = FAR
    rest = [Rename("stage/tree", "new/tree"), Write("last", b"2")]
    assert not remote.perform([*stage(transfer), *rest], lambda _: nullcontext(), "stage")  # type: ignore[list-item]
    assert lying(Path(remote.root) / "new/tree") == transfer.expected()
    assert os.listdir(Path(remote.root) / "stage") == []
    assert sorted(transfer.finished) == sorted(entry.path for entry in transfer.entries)
    assert any("for each in 2:1 " in script for script in remote.scripts) is ("dd" in remote.shell.tools)
    remote.distance = 0.0
    again = Given()
    again.file("large", CONTENT)
    before = len(remote.scripts)
    remote.perform(stage(again)[1:2] + stage(again)[3:], lambda _: nullcontext(), "stage")  # type: ignore[arg-type]
    assert len(remote.scripts) == before + 1


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "a byte": lambda old: old[:5_000_000] + b"!" + old[5_000_001:],
    "the last byte": lambda old: old[:-1] + b"!",
    "the first and the last": lambda old: b"!" + old[1:-1] + b"!",
    "longer": lambda old: old + b"more" * UNIT,
    "a little longer": lambda old: old + b"!",
    "shorter": lambda old: old[: LARGE + 1],
    "half": lambda old: CONTENT[: len(old) // 2] + bytes(len(old) - len(old) // 2),
    "another": lambda old: old[::-1],
    "none": lambda old: old,
}


@pytest.mark.parametrize("edit", EDITS)
def test_of_a_changed_file_only_what_differs_travels(remote: LocalShell, edit: str) -> None:
    new = EDITS[edit](CONTENT)
    old = Path(remote.root) / "old/the $file"
    old.write_bytes(CONTENT)
    transfer = Given()
    transfer.file("the $file", new, 0o600)
    transfer.bases = {"the $file": "old/the $file"}
    before = remote.given
    remote.perform(stage(transfer), lambda _: nullcontext(), "stage")  # type: ignore[arg-type]
    assert lying(Path(remote.root) / "stage/tree") == transfer.expected()
    assert old.read_bytes() == CONTENT
    if "dd" in remote.shell.tools:
        whole = edit == "another"
        assert (remote.given - before < 5 * UNIT) is not whole
        assert transfer.patched == {"the $file"}


HUGE_CONTENT = random.Random(4).randbytes(36 * UNIT + 99)
HUGE_EDITS: dict[str, Callable[[bytes], bytes]] = {
    "a byte": lambda old: old[:20_000_000] + b"!" + old[20_000_001:],
    "the last byte": lambda old: old[:-1] + b"!",
    "longer": lambda old: old + b"more" * UNIT,
    "shorter": lambda old: old[: 33 * UNIT],
    "another": lambda old: old[::-1],
}


@pytest.mark.parametrize("python", ["none", "works", "is broken"])
@pytest.mark.parametrize("edit", HUGE_EDITS)
@pytest.mark.parametrize("way", ["bases", "begun"])
def test_of_a_huge_file_less_than_a_block_travels(tmp_path: Path, python: str, edit: str, way: str) -> None:
    path = os.environ["PATH"]
    if python == "is broken":
        broken = tmp_path / "bin/python3"
        broken.parent.mkdir()
        broken.write_text("#!/bin/sh\necho 0 00\nexit 1\n")
        broken.chmod(0o755)
        path = f"{broken.parent}:{path}"
    root = tmp_path / "root"
    (root / "-tree").mkdir(parents=True)
    remote = LocalShell(root, ["sh"], path)
    tools = remote.shell.tools - {"python3"} if python == "none" else remote.shell.tools | {"python3"}
    remote.shell = Shell(tools)
    (root / "-old $file").write_bytes(HUGE_CONTENT)
    transfer = Given()
    transfer.file("-a $file", HUGE_EDITS[edit](HUGE_CONTENT))
    setattr(transfer, way, {"-a $file": "-old $file"})
    assert Large(remote, "-tree", transfer).send(transfer.entries) == transfer.entries
    made = root / "-tree/-a $file"
    assert sha256(made.read_bytes()).digest() == transfer.entries[0].sha256
    assert made.stat().st_mode & 0o777 == 0o600
    assert (root / "-old $file").exists() is (way == "bases")
    if edit != "another":
        wanted = {"longer": 4, "shorter": 0}.get(edit, 0)
        assert remote.given < (wanted + 2) * UNIT


@pytest.mark.parametrize("python", [True, False])
def test_what_keeps_a_file_from_being_copied_is_told_of(tmp_path: Path, python: bool) -> None:
    remote = LocalShell(tmp_path, ["sh"], os.environ["PATH"])
    remote.shell = Shell(remote.shell.tools | {"python3"} if python else remote.shell.tools - {"python3"})
    (tmp_path / "tree").mkdir()
    (tmp_path / "base").write_bytes(CONTENT)
    transfer = Given()
    transfer.file("file", CONTENT)
    transfer.bases = {"file": "base"}
    remote.noise = "trap '' XFSZ\nulimit -f 4096\n"
    with pytest.raises(RemoteError, match="File too large"):
        Large(remote, "tree", transfer).send(transfer.entries)
    assert transfer.failed[0][0] == "file"


@pytest.mark.parametrize("there", ["nothing", "a symlink", "a directory", "something else"])
def test_a_base_that_is_not_what_it_was_is_not_trusted(remote: LocalShell, there: str, tmp_path: Path) -> None:
    old = Path(remote.root) / "old/file"
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT)
    match there:
        case "a symlink":
            old.symlink_to(outside)
        case "a directory":
            old.mkdir()
        case "something else":
            old.write_bytes(b"short")
    transfer = Given()
    transfer.file("file", CONTENT)
    transfer.bases = {"file": "old/file"}
    remote.perform(stage(transfer), lambda _: nullcontext(), "stage")  # type: ignore[arg-type]
    assert sha256((Path(remote.root) / "stage/tree/file").read_bytes()).digest() == sha256(CONTENT).digest()
    assert transfer.patched == ({"file"} if there == "something else" and "dd" in remote.shell.tools else set())


def test_what_keeps_a_part_from_being_written_is_told_of(remote: LocalShell) -> None:
    transfer = Given()
    transfer.directory("d")
    transfer.file("d/file", CONTENT)
    remote.distance = FAR
    (Path(remote.root) / "stage/tree/d/file").mkdir(parents=True)
    put = Put("stage/tree", transfer)
    with pytest.raises(RemoteError, match="file") as caught:
        remote.perform([put, Write("after", b"x")], lambda _: nullcontext(), "stage")
    assert caught.value.operation is put
    assert transfer.failed[0][0] == "d/file"
    assert not (Path(remote.root) / "after").exists()


def test_what_was_compared_as_it_arrived_is_not_read_once_more(remote: LocalShell) -> None:
    transfer = Given()
    transfer.file("large", CONTENT)
    transfer.file("small", b"small")
    remote.distance = FAR
    wrong = remote.perform(
        [*stage(transfer), Verify("stage/tree", transfer.entries)],  # type: ignore[list-item]
        lambda _: nullcontext(),
        "stage",
    )
    assert not wrong
    last = remote.scripts[-1]
    assert "found=" in last
    assert (expected_lines(transfer.entries[1:], "sha256sum") in last) is ("dd" in remote.shell.tools)


@pytest.mark.parametrize("whole", [True, False], ids=["dd gathers", "dd takes what comes"])
@pytest.mark.parametrize("size", [LARGE, LARGE + 1, 33 * UNIT + 7])
def test_a_huge_file_is_compared_while_it_arrives(tmp_path: Path, size: int, whole: bool) -> None:
    remote = LocalShell(tmp_path, ["sh"], os.environ["PATH"])
    remote.shell = Shell(remote.shell.tools | {"dd-whole"} if whole else remote.shell.tools - {"dd-whole"})
    transfer = Given()
    transfer.file("huge", random.Random(size).randbytes(size))
    (tmp_path / "tree").mkdir()
    assert Large(remote, "tree", transfer).send(transfer.entries) == transfer.entries
    assert sha256((tmp_path / "tree/huge").read_bytes()).digest() == transfer.entries[0].sha256


@pytest.mark.parametrize("base", [True, False])
def test_what_a_line_spoils_is_found_to_be_wrong(tmp_path: Path, base: bool) -> None:
    remote = LocalShell(tmp_path, ["sh"], os.environ["PATH"])
    # Nothing is short: dd finds no fault.
    remote.line = lambda stream: stream.replace(CONTENT[UNIT : UNIT + 20], bytes(20))
    transfer = Given()
    transfer.file("file", CONTENT)
    (tmp_path / "base").write_bytes(CONTENT[:UNIT] + bytes(UNIT) + CONTENT[2 * UNIT :])
    transfer.bases = {"file": "base"} if base else {}
    (tmp_path / "tree").mkdir()
    assert Large(remote, "tree", transfer).send(transfer.entries) == []
    remote.line = bytes
    entries = transfer.entries
    assert remote.perform([Verify("tree", entries)], lambda _: nullcontext(), "tree") == entries


@pytest.mark.parametrize("known", [True, False], ids=["hashed a moment ago", "known for long"])
@pytest.mark.parametrize("when", ["first", "changed"])
@pytest.mark.parametrize("what", ["other", "longer", "shorter"])
def test_of_a_large_file_that_changes_after_the_snapshot_nothing_goes_live(
    tmp_path: Path, known: bool, when: str, what: str
) -> None:
    site = mirrored.Site(tmp_path)
    site.path.mkdir()
    remote = LocalShell(site.path, ["sh"], os.environ["PATH"])
    remote.distance = FAR
    laid = Releases(remote, site.run, 3)
    large = site.source / "large"
    if when == "changed":
        large.write_bytes(CONTENT[::-1])
        snapshot = site.snapshot()
        laid.push(laid.plan(snapshot), snapshot)
    frozen = CONTENT[: 4 * UNIT] + CONTENT[::-1][4 * UNIT :]
    large.write_bytes(frozen)
    snapshot = site.snapshot()
    assert (bool(snapshot.blocks(snapshot.entries[0]))) is (processes() > 1)
    if not known:
        snapshot = Snapshot(snapshot.entries, partial(open_file, str(site.source)), lambda: ("", False))
    plan = laid.plan(snapshot)
    with large.open("r+b") as file:
        match what:
            case "other":
                file.seek(UNIT)
                file.write(b"changed")
            case "longer":
                file.seek(0, os.SEEK_END)
                file.write(b"!")
            case _:
                file.truncate(UNIT)
    live = site.path / "current/large"
    if known and processes() > 1 and (when, what) == ("changed", "longer"):
        # What changed is nothing that travels, and nothing of it is read: what was frozen is what goes live.
        laid.push(plan, snapshot)
        assert live.read_bytes() == frozen
        return
    with pytest.raises((SnapshotChanged, ExceptionGroup)) as caught:
        laid.push(plan, snapshot)
    error = caught.value
    assert isinstance(error.exceptions[0] if isinstance(error, ExceptionGroup) else error, SnapshotChanged)
    assert not live.exists() or live.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("said", [b"0 zz\n", b"x\n", b"0 00\n1 00\n"])
def test_what_a_target_cannot_have_printed_of_blocks_is_an_error(tmp_path: Path, said: bytes) -> None:
    remote = LocalShell(tmp_path, ["sh"], os.environ["PATH"])
    answer = ShellResult(0, f"{MARKER}\n".encode() + said, f"{MARKER}\n".encode())
    remote.run_script = lambda *_: answer  # type: ignore[method-assign]
    transfer = Given()
    transfer.file("file", CONTENT)
    transfer.bases = {"file": "base"}
    with pytest.raises(RemoteError, match="cannot be read"):
        Large(remote, "tree", transfer).send(transfer.entries)


class Meddled(LocalShell):
    """A shell of a target on which somebody alters a large file right after it was copied."""

    victim: Path

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        done = super().run_script(script, stdin, failed, patience)
        if "read -r wanted" in script:
            with self.victim.open("r+b") as file:
                file.seek(UNIT)
                file.write(b"by hand")
        return done


@pytest.mark.parametrize("layout", [Releases, Mirror])
def test_what_is_altered_once_it_was_copied_does_no_harm(tmp_path: Path, layout: type[Releases] | type[Mirror]) -> None:
    site = mirrored.Site(tmp_path)
    site.path.mkdir()
    remote = Meddled(site.path, ["sh"], os.environ["PATH"])
    laid: Layout = Mirror(remote, site.run) if layout is Mirror else Releases(remote, site.run, 3)
    for content in (CONTENT, CONTENT[:-1] + b"!"):
        (site.source / "large").write_bytes(content)
        snapshot = site.snapshot()
        laid.push(laid.plan(snapshot), snapshot)
        there = site.path / ("large" if layout is Mirror else "current/large")
        assert there.read_bytes() == content
        remote.victim = there.resolve()
    assert any("read -r wanted" in script for script in remote.scripts)
    assert not laid.plan(site.snapshot()).steps


@pytest.mark.parametrize("there", ["a beginning", "parts with gaps", "another file"])
def test_what_a_dead_push_had_sent_of_a_file_is_moved_and_filled_up(remote: LocalShell, there: str) -> None:
    begun = Path(remote.root) / "old/the $file"
    gap = bytes(2 * UNIT)
    content = {
        "a beginning": CONTENT[: 3 * UNIT + 7],
        "parts with gaps": CONTENT[:UNIT] + gap + CONTENT[3 * UNIT :],
        "another file": CONTENT[::-1],
    }[there]
    begun.write_bytes(content)
    transfer = Given()
    transfer.file("the $file", CONTENT, 0o640)
    transfer.begun = {"the $file": "old/the $file"}
    before = remote.given
    remote.perform(stage(transfer), lambda _: nullcontext(), "stage")  # type: ignore[arg-type]
    assert lying(Path(remote.root) / "stage/tree") == transfer.expected()
    assert transfer.finished == ["the $file"]
    if "dd" in remote.shell.tools:
        left = {"a beginning": LARGE - 2 * UNIT, "parts with gaps": 3 * UNIT, "another file": LARGE + 2 * UNIT}
        assert remote.given - before < left[there]
        assert not begun.exists()
