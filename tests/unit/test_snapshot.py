"""A snapshot gives what was frozen and nothing else, however it is read."""

from __future__ import annotations

import gc
import io
import threading
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pytest

from pushkit import Entry, Interrupted, Kind, Project, Revision, Snapshot, SnapshotChanged, SnapshotError, manifest
from pushkit.snapshot import PIECE, take
from pushkit.worktree import PUSH_AGAIN

FROZEN = b"what was frozen"


def file(path: str, content: bytes = FROZEN) -> Entry:
    return Entry(path, Kind.FILE, 0o644, len(content), sha256(content).digest())


ENTRY = file("d/a")
TREE = [Entry("d", Kind.DIRECTORY, 0o755), ENTRY, Entry("d/l", Kind.SYMLINK, 0o777, link="a"), file("e", b"e")]


class Stream(io.BytesIO):
    """A file that gives a few bytes at a time, and may not be sought in."""

    def __init__(self, content: bytes, *, most: int = 1 << 30, seekable: bool = True) -> None:
        super().__init__(content)
        self.most = most
        self._seekable = seekable
        self.asked: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        self.asked.append(size)
        return super().read(min(size, self.most) if size >= 0 else size)

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        assert self._seekable
        return super().seek(offset, whence)


class Broken(Stream):
    """A file that cannot be read."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")


def of(stream: BinaryIO, **more: object) -> Snapshot:
    """A snapshot whose every file is that."""
    return Snapshot(TREE, lambda entry: stream, lambda: ("c" * 40, True), **more)  # type: ignore[arg-type]


def test_it_knows_how_many_files_it_has_how_large_they_are_and_where_they_came_from() -> None:
    snapshot = of(Stream(FROZEN), warnings=["a link leads out"])
    assert (snapshot.files, snapshot.size) == (2, len(FROZEN) + 1)
    assert snapshot.manifest == manifest.encode(TREE)
    assert snapshot.digest == manifest.digest(snapshot.manifest)
    assert snapshot.revision == Revision("c" * 40, True, snapshot.digest)
    assert snapshot.warnings == ("a link leads out",)


def test_what_lies_in_a_directory_is_a_snapshot_of_its_own() -> None:
    read: list[str] = []

    def reader(entry: Entry) -> BinaryIO:
        read.append(entry.path)
        return Stream(FROZEN)

    asked: list[str] = []

    def origin() -> tuple[str, bool]:
        asked.append("git")
        return "c" * 40, False

    whole = Snapshot(TREE, reader, origin, ["a warning"], blocks={ENTRY.sha256: [b"block"]})
    part = whole.within("d")
    assert part.entries == [ENTRY._replace(path="a"), TREE[2]._replace(path="l")]
    assert part.read(part.entries[0]) == FROZEN
    assert read == ["d/a"]
    assert part.revision == Revision("c" * 40, False, part.digest)
    assert whole.revision == Revision("c" * 40, False, whole.digest)
    assert asked == ["git"]
    assert (part.warnings, part.blocks(part.entries[0])) == (("a warning",), [b"block"])
    assert whole.within("") is whole
    assert whole.blocks(file("x", b"another")) == ()


READERS: list[Callable[[Snapshot], bytes]] = [
    lambda snapshot: snapshot.read(ENTRY),
    lambda snapshot: snapshot.open(ENTRY).read(),
    lambda snapshot: b"".join(iter(partial(snapshot.open(ENTRY).read, 4), b"")),
    lambda snapshot: io.BufferedReader(snapshot.open(ENTRY)).read(),  # type: ignore[type-var]
    lambda snapshot: b"".join(snapshot.part(ENTRY, 0, ENTRY.size)),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("most", [1, 4, 100])
def test_what_was_frozen_is_read_in_whatever_pieces_it_comes(reader: Callable[[Snapshot], bytes], most: int) -> None:
    stream = Stream(FROZEN, most=most)
    # What reads all of it at once begins anew when that comes in pieces.
    snapshot = Snapshot(TREE, lambda entry: Stream(FROZEN, most=most), lambda: ("", False))
    assert reader(snapshot) == FROZEN
    assert not stream.closed


@pytest.mark.parametrize("reader", READERS[:4])
@pytest.mark.parametrize("content", [FROZEN[:-1], FROZEN + b"x", b"What was frozen", b""])
@pytest.mark.parametrize("most", [4, 100])
def test_what_changed_since_is_never_read_to_its_end(
    reader: Callable[[Snapshot], bytes], content: bytes, most: int
) -> None:
    snapshot = Snapshot(TREE, lambda entry: Stream(content, most=most), lambda: ("", False))
    with pytest.raises(SnapshotChanged, match=r"^d/a changed after the project was read$") as caught:
        reader(snapshot)
    assert caught.value.hint == PUSH_AGAIN


def test_the_last_byte_is_given_out_when_all_are_known_to_be_right() -> None:
    content = of(Stream(FROZEN + b"x")).open(ENTRY)
    assert content.readable()
    assert content.read(0) == b""
    assert content.read(len(FROZEN) - 1) == FROZEN[:-1]
    with pytest.raises(SnapshotChanged):
        content.read(1)
    content = of(Stream(FROZEN)).open(ENTRY)
    buffer = bytearray(20)
    assert content.readinto(buffer) == len(FROZEN)  # type: ignore[attr-defined]
    assert buffer == FROZEN + bytes(5)
    assert content.read(1) == b""


def test_a_file_is_read_at_once_where_it_can_be_and_closed() -> None:
    stream = Stream(FROZEN)
    assert of(stream).read(ENTRY) == FROZEN
    assert stream.asked == [len(FROZEN) + 1]
    assert stream.closed
    stream = Stream(FROZEN)
    with of(stream).open(ENTRY) as content:
        assert content.read() == FROZEN
        # That nothing follows is seen without a second look.
        assert stream.asked == [len(FROZEN) + 1]
    assert stream.closed


@pytest.mark.parametrize("most", [3, 100])
def test_never_more_is_read_than_was_asked_for_and_all_where_that_is_what_there_is(most: int) -> None:
    content = of(Stream(FROZEN, most=most)).open(ENTRY)
    assert (content.read(5), content.read(5), content.read(5), content.read(5)) == (b"what ", b"was f", b"rozen", b"")
    assert of(Stream(FROZEN, most=most)).open(ENTRY).read(len(FROZEN)) == FROZEN


def test_what_reads_faster_is_asked_first_and_believed_when_it_is_right() -> None:
    asked: list[str] = []

    def whole(content: bytes | None) -> Callable[[Entry], bytes]:
        def read(entry: Entry) -> bytes:
            asked.append(entry.path)
            if content is None:
                raise OSError(2, "No such file or directory")
            return content

        return read

    assert of(Broken(b""), whole=whole(FROZEN)).read(ENTRY) == FROZEN
    for wrong in (None, FROZEN + b"x", b"What was frozen"):
        assert of(Stream(FROZEN), whole=whole(wrong)).read(ENTRY) == FROZEN
    assert asked == ["d/a"] * 4


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_cannot_be_read_is_told_of(reader: Callable[[Snapshot], bytes]) -> None:
    snapshot = Snapshot(TREE, lambda entry: Broken(b""), lambda: ("", False))
    with pytest.raises(SnapshotError, match=r"^d/a cannot be read: Input/output error$") as caught:
        reader(snapshot)
    assert caught.value.hint == PUSH_AGAIN


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize(("start", "end"), [(0, 4), (5, 8), (5, 15), (0, 15), (15, 15), (3, 3)])
def test_a_part_of_a_file_is_read_from_where_it_begins(start: int, end: int, most: int, seekable: bool) -> None:
    stream = Stream(FROZEN, most=most, seekable=seekable)
    pieces = list(of(stream).part(ENTRY, start, end))
    assert b"".join(pieces) == FROZEN[start:end]
    assert all(pieces)
    assert stream.closed
    # No more is read than is asked for, but to see that nothing follows the last.
    assert sum(min(each, most) for each in stream.asked) <= (end if not seekable else end - start) + 1 + most


@pytest.mark.parametrize(
    ("content", "start", "end"), [(FROZEN[:7], 5, 10), (FROZEN[:-1], 0, 15), (FROZEN + b"x", 5, 15)]
)
@pytest.mark.parametrize("seekable", [True, False])
def test_a_part_of_a_file_that_shrank_or_grew_is_told_of(content: bytes, start: int, end: int, seekable: bool) -> None:
    with pytest.raises(SnapshotChanged, match="d/a changed"):
        list(of(Stream(content, seekable=seekable)).part(ENTRY, start, end))


def test_what_follows_a_part_in_the_middle_is_not_looked_at() -> None:
    assert b"".join(of(Stream(FROZEN + b"x")).part(ENTRY, 0, 14)) == FROZEN[:14]


def test_a_large_part_comes_in_pieces() -> None:
    content = bytes(PIECE + 5)
    entry = file("d/a", content)
    assert [len(each) for each in of(Stream(content)).part(entry, 0, entry.size)] == [PIECE, 5]
    assert [len(each) for each in of(Stream(content, seekable=False)).part(entry, 4, entry.size)] == [PIECE - 4, 5]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path))
    source = tmp_path / "blog"
    source.mkdir()
    (source / "a").write_bytes(FROZEN)
    (source / "out").symlink_to("/etc/hostname")
    return Project("blog", source / "Pushfile", source, ".", (), "", {})


def test_a_project_is_frozen_with_what_is_to_be_said_of_it(project: Project) -> None:
    snapshot = take(project)
    assert [entry.path for entry in snapshot.entries] == ["a", "out"]
    assert snapshot.read(snapshot.entries[0]) == FROZEN
    assert len(snapshot.warnings) == 1
    assert "out" in snapshot.warnings[0]


def test_who_stops_while_a_project_is_frozen_is_heard(project: Project) -> None:
    stopped = threading.Event()
    assert take(project, cancelled=stopped).entries
    stopped.set()
    with pytest.raises(Interrupted, match="stopped while reading the project"):
        take(project, cancelled=stopped)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_of_garbage_is_as_it_was_when_a_project_is_frozen(project: Project, enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        take(project)
        assert gc.isenabled() is enabled
        (project.root / "a").rename(project.root / "b\udcff")
        take(project)
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
        (gc.enable if before else gc.disable)()
