"""A directory as a snapshot: every kind of name, every kind of file, and what cannot travel."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO, cast

import pytest

from pushkit.errors import Interrupted, SnapshotChanged, SnapshotError
from pushkit.index import Index
from pushkit.model import Entry, Kind, Project
from pushkit.reader import columns
from pushkit.snapshot import Snapshot, take
from pushkit.worktree import Directory, Worktree


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def freeze(top: Path, source: str = ".") -> Snapshot:
    return take(Project("p", top / "Pushfile", top, source, (), "", {}))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything; for a while this process is not root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_entries_say_kind_mode_size_digest_and_link(top: Path) -> None:
    (top / "run").write_bytes(b"#!/bin/sh\n")
    (top / "run").chmod(0o750)
    (top / "empty").mkdir(0o700)
    (top / "link").symlink_to("run")
    (top / "to-directory").symlink_to("empty")
    assert freeze(top).entries == [
        Entry("empty", Kind.DIRECTORY, 0o700),
        Entry("link", Kind.SYMLINK, 0o777, link="run"),
        Entry("run", Kind.FILE, 0o750, 10, sha256(b"#!/bin/sh\n").digest()),
        Entry("to-directory", Kind.SYMLINK, 0o777, link="empty"),
    ]


def test_each_directory_stands_before_what_is_in_it_and_names_are_sorted_by_bytes(top: Path) -> None:
    names = ["a/z", "a/b/c", "a.txt", "a-", "B", "\U0001f600", "\udcff", "\ue000", "é", "n\newline"]
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"")
    found = [entry.path for entry in freeze(top).entries]
    assert found == sorted([*names, "a", "a/b"], key=lambda path: os.fsencode(path).replace(b"/", b"\0"))
    assert found.index("a") < found.index("a/b") < found.index("a/b/c") < found.index("a/z") < found.index("a.txt")


def test_a_tree_deeper_than_the_stack_of_python_is_walked(top: Path) -> None:
    here = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        assert len(freeze(top).entries) == 1200
    finally:
        # Neither shutil nor pytest can remove such a tree.
        subprocess.run(["rm", "-rf", top / "d"], check=True)


def test_links_that_lead_out_are_kept_and_named(top: Path) -> None:
    (top / "sub").mkdir()
    for name, link in {"sub/up": "../x", "sub/out": "../../x", "root": "/etc/passwd", "in": "sub/../sub/up"}.items():
        (top / name).symlink_to(link)
    snapshot = freeze(top)
    assert len(snapshot.entries) == 5
    assert snapshot.warnings == (
        "root is a link that leads out of the project: /etc/passwd",
        "sub/out is a link that leads out of the project: ../../x",
    )


def test_names_that_differ_only_in_case_are_named(top: Path) -> None:
    for name in ("sub/Read.me", "sub/read.ME", "sub/other", "straße", "STRASSE"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_bytes(b"")
    assert freeze(top).warnings == (
        "STRASSE and straße differ only in case",
        "sub/Read.me and sub/read.ME differ only in case",
    )


def test_what_is_no_file_is_refused_by_name_unless_it_is_ignored(top: Path) -> None:
    (top / "sub").mkdir()
    os.mkfifo(top / "sub" / "queue")
    with pytest.raises(SnapshotError, match="sub/queue is a named pipe"):
        freeze(top)
    (top / ".pushignore").write_text("queue\n")
    assert [entry.path for entry in freeze(top).entries] == ["sub"]
    with socket.socket(socket.AF_UNIX) as listener:
        way = os.open(top, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{way}/s" if Path("/proc/self/fd").exists() else str(top / "s"))
        os.close(way)
        with pytest.raises(SnapshotError, match="s is a socket"):
            freeze(top)


def test_a_device_is_refused_by_name(tmp_path: Path) -> None:
    # Not everybody may make a device; everybody has this one.
    device = Project("p", tmp_path / "Pushfile", Path("/dev"), ".", ("*", "!/null"), "", {})
    with pytest.raises(SnapshotError, match=r"^null is a device, which cannot be pushed$") as raised:
        take(device)
    assert ".pushignore" in raised.value.hint


@pytest.mark.parametrize("kind", [stat.S_IFBLK, stat.S_IFCHR])
def test_a_device_of_either_kind_is_refused_by_name(top: Path, kind: int) -> None:
    look = os.stat_result((kind | 0o600, 1, 1, 1, 0, 0, 0, 0, 0, 0))
    with closing(Worktree(str(top), Index(str(top)))) as tree:
        listing = Directory(columns(["disk"], [look]))
        with pytest.raises(SnapshotError, match="sub/disk is a device"):
            tree.entries("sub", listing, ())


def test_an_unreadable_file_and_directory_are_named() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to nobody
        top = Path(name)
        top.chmod(0o755)
        (top / "secret").write_text("x")
        (top / "secret").chmod(0)
        with as_nobody(), pytest.raises(SnapshotError, match="secret cannot be read: permission denied"):
            freeze(top)
        (top / "secret").unlink()
        (top / "closed").mkdir(0)
        with as_nobody(), pytest.raises(SnapshotError, match="closed cannot be read"):
            freeze(top)


def test_a_file_that_can_be_read_only_the_second_time_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushkit.worktree.Hasher", lambda: SimpleNamespace(facts=lambda path: None))
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        (top / "secret").write_text("x")
        (top / "secret").chmod(0)
        with as_nobody(), pytest.raises(SnapshotChanged, match="secret changed while the project was read") as raised:
            freeze(top)
    assert raised.value.hint == "something is writing to the project: push again when it is done"


class Failing(io.RawIOBase):
    """A file on a disk that fails."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    "read", [Snapshot.read, lambda frozen, entry: b"".join(frozen.part(entry, 0, 3))], ids=["whole", "part"]
)
def test_a_disk_that_fails_is_told_with_the_file(top: Path, read: Callable[[Snapshot, Entry], bytes]) -> None:
    (top / "a").write_text("abc")
    frozen = freeze(top)
    broken = Snapshot(frozen.entries, lambda entry: cast("BinaryIO", Failing()), lambda: ("", False))
    with pytest.raises(SnapshotError) as raised:
        read(broken, frozen.entries[0])
    assert raised.value.message == "a cannot be read: input/output error"
    assert raised.value.hint == "make it readable, or leave it out with a line in .pushignore"


def test_a_source_that_is_no_directory_is_an_error_with_a_hint(top: Path) -> None:
    with pytest.raises(SnapshotError, match="the source public is no directory") as raised:
        freeze(top, "public")
    assert "Pushfile" in raised.value.hint


def test_a_source_below_the_pushfile_is_taken_alone(top: Path) -> None:
    (top / "public").mkdir()
    (top / "public" / "index.html").write_text("x")
    (top / "other").write_text("x")
    assert [entry.path for entry in freeze(top, "public").entries] == ["index.html"]


def test_a_walk_ends_when_the_user_asks_to_stop(top: Path) -> None:
    (top / "sub").mkdir()
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Interrupted):
        take(Project("p", top / "Pushfile", top, ".", (), "", {}), None, cancelled)


def test_the_digest_does_not_depend_on_where_the_files_lie(top: Path, tmp_path: Path) -> None:
    for place in (top, tmp_path / "copy"):
        (place / "sub").mkdir(parents=True)
        (place / "sub" / "a").write_text("x")
    assert freeze(top).digest == freeze(tmp_path / "copy").digest


def test_content_is_read_back_whole_and_in_pieces(top: Path) -> None:
    data = os.urandom(100_000)
    (top / "a").write_bytes(data)
    (top / "empty").write_bytes(b"")
    snapshot = freeze(top)
    large, empty = snapshot.entries
    for size in (-1, 1 << 20, 100_000, 777):
        with snapshot.open(large) as stream:
            pieces = []
            while piece := stream.read(size):
                pieces.append(piece)
            assert b"".join(pieces) == data
    with snapshot.open(empty) as stream:
        assert stream.read() == b""
    with snapshot.open(large) as stream:
        room = bytearray(200_000)
        assert stream.readinto(room) == 100_000  # type: ignore[attr-defined]
        assert room[:100_000] == data


@pytest.mark.parametrize("change", [b"ABCDEFGHIJ", b"0123456789+", b"012345678", b""])
@pytest.mark.parametrize("size", [-1, 4, 10, 100])
def test_a_file_that_changed_since_is_noticed_before_its_last_byte(top: Path, change: bytes, size: int) -> None:
    (top / "a").write_bytes(b"0123456789")
    snapshot = freeze(top)
    (top / "a").write_bytes(change)
    seen: list[bytes] = []
    with snapshot.open(snapshot.entries[0]) as stream, pytest.raises(SnapshotChanged, match="a changed") as raised:
        seen.extend(iter(lambda: stream.read(size), b""))
    assert sum(map(len, seen)) < 10
    assert "push again" in raised.value.hint


def test_a_file_that_vanished_or_became_a_link_is_noticed(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    snapshot = freeze(top)
    (top / "a").unlink()
    with pytest.raises(SnapshotChanged, match="a changed"):
        snapshot.open(snapshot.entries[0])
    (top / "b").write_bytes(b"x")
    (top / "a").symlink_to("b")
    with pytest.raises(SnapshotChanged, match="a changed"):
        snapshot.open(snapshot.entries[0])


def test_a_fifo_in_the_place_of_a_file_does_not_hang(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    snapshot = freeze(top)
    (top / "a").unlink()
    os.mkfifo(top / "a")
    with snapshot.open(snapshot.entries[0]) as stream, pytest.raises(SnapshotChanged):
        stream.read()
