"""Large files in parts: which, and that what is made of them is the file, under each shell."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkit.files import RemoteError, ShellResult
from pushkit.files.large import FAR
from pushkit.files.layout import Layout
from pushkit.files.mirror import Mirror
from pushkit.files.operation import MakeDirectory, Put, Rename, Write
from pushkit.files.ranges import BLOCKS, LARGE, MOST, UNIT, Range, block_of, changed, split
from pushkit.files.releases import Releases
from pushkit.testing.given import Given, lying
from unit import test_mirror as mirrored
from unit.test_shell import LocalShell, remote

__all__ = ["remote"]

CONTENT = random.Random(1).randbytes(LARGE + 12345)


@given(st.integers(1, 1 << 40), st.integers(1, 20))
def test_parts_are_all_of_a_file_and_begin_where_they_can(size: int, parts: int) -> None:
    found = split(size, parts)
    assert found[0].start == 0
    assert found[-1].end == size
    assert [each.start for each in found[1:]] == [each.end for each in found[:-1]]
    assert all(each.start % UNIT == 0 and each.end > each.start for each in found)
    assert len(found) <= parts


@given(st.integers(1, 1 << 45))
def test_blocks_are_not_too_many(size: int) -> None:
    block = block_of(size)
    assert block % UNIT == 0
    assert size / block <= BLOCKS
    assert block == UNIT or size / (block - UNIT) > BLOCKS


@given(
    st.lists(st.sampled_from("ab"), min_size=1, max_size=40), st.lists(st.sampled_from("ab"), max_size=40), st.data()
)
def test_what_travels_is_what_differs(here: list[str], there: list[str], data: st.DataObject) -> None:
    size = (len(here) - 1) * UNIT + data.draw(st.integers(1, UNIT))
    found = changed([each.encode() for each in there], [each.encode() for each in here], size)
    differing = [n for n, each in enumerate(here) if n >= len(there) or there[n] != each]
    length = sum(min((n + 1) * UNIT, size) - n * UNIT for n in differing)
    if length > MOST * size:
        assert found is None
        return
    assert found is not None
    assert [n for part in found for n in range(part.start // UNIT, -(-part.end // UNIT))] == differing
    assert sum(part.end - part.start for part in found) == length
    assert all(before.end < after.start for before, after in pairwise(found))


def test_nine_tenths_of_a_file_are_a_part_of_it_and_more_are_all_of_it() -> None:
    here = [bytes([number]) for number in range(10)]
    assert changed(here[:1], here, 10 * UNIT) == [Range(UNIT, 10 * UNIT)]
    assert changed([], here, 10 * UNIT) is None


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
    assert any("seek=2 " in script for script in remote.scripts) is ("dd" in remote.shell.tools)
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
        assert transfer.patched == (set() if whole else {"the $file"})


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
    assert not transfer.patched


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


def test_ranges_are_shared_out() -> None:
    from pushkit.files.large import CHANNELS, shared_out

    whole = Range(3 * UNIT, 20 * UNIT + 5)
    alone = shared_out(whole, 1)
    assert 1 < len(alone) <= CHANNELS
    assert (alone[0].start, alone[-1].end) == whole
    assert [each.start for each in alone[1:]] == [each.end for each in alone[:-1]]
    assert shared_out(whole, CHANNELS) == [whole]


class Meddled(LocalShell):
    """A shell of a target on which somebody alters a large file right after its blocks were compared."""

    victim: Path

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        done = super().run_script(script, stdin, failed, patience)
        if "skip=$((n*" in script:
            with self.victim.open("r+b") as file:
                file.seek(UNIT)
                file.write(b"by hand")
        return done


@pytest.mark.parametrize("layout", [Releases, Mirror])
def test_what_is_altered_while_it_is_compared_is_sent_whole(
    tmp_path: Path, layout: type[Releases] | type[Mirror]
) -> None:
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
    assert any("skip=$((n*" in script for script in remote.scripts)
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
        assert begun.exists() is (there == "another file")
