"""The tar stream is what GNU tar and Python's tarfile read, for every name, link, mode and size."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from pushkit.archive import PIECE, Part, by_library, header, members, tar
from pushkit.errors import SnapshotChanged
from pushkit.model import Entry, Kind

LONG = "long/" + "x" * 90 + "/" + "é" * 100
CONTENTS = {
    "a": b"hello",
    "empty": b"",
    "n\new line": b"1" * 512,
    "not \udcff utf-8": b"2" * 513,
    LONG: b"3",
    "x" * 100: b"100",
    "x" * 101: b"101",
    "large": os.urandom(3 * PIECE + 7),
    "pieces": os.urandom(2 * PIECE),
}
ENTRIES = [
    Entry("dir", Kind.DIRECTORY, 0o750),
    Entry("long", Kind.DIRECTORY, 0o755),
    Entry("long/" + "x" * 90, Kind.DIRECTORY, 0o755),
    *(Entry(path, Kind.FILE, 0o640, len(data), sha256(data).digest()) for path, data in CONTENTS.items()),
    Entry("run", Kind.FILE, 0o755, 0, sha256(b"").digest()),
    Entry("link", Kind.SYMLINK, 0o777, link="../a \udcfe"),
    Entry("far", Kind.SYMLINK, 0o777, link="y" * 150),
]


def content(entry: Entry) -> Iterator[bytes]:
    return pieces(io.BytesIO(CONTENTS.get(entry.path, b"")))


def pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece
    yield b""


def test_gnu_tar_restores_every_name_link_mode_and_byte(tmp_path: Path) -> None:
    stream = b"".join(tar(Part(ENTRIES, content, lambda _: 1_000_000_000)))
    subprocess.run(["tar", "-x", "-p", "--no-same-owner", "-f", "-", "-C", tmp_path], input=stream, check=True)
    for entry in ENTRIES:
        path = tmp_path / entry.path
        if entry.kind is Kind.SYMLINK:
            assert os.readlink(path) == entry.link
            continue
        assert path.stat().st_mode & 0o777 == entry.mode
        assert path.is_dir() == (entry.kind is Kind.DIRECTORY)
        if entry.kind is Kind.FILE:
            assert path.read_bytes() == CONTENTS.get(entry.path, b"")
            assert path.stat().st_mtime == 1_000_000_000


def test_tarfile_reads_the_same() -> None:
    stream = io.BytesIO(b"".join(tar(Part(ENTRIES, content))))
    with tarfile.open(fileobj=stream, errors="surrogateescape") as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [entry.path for entry in ENTRIES]
        for member, entry in zip(members, ENTRIES, strict=True):
            owner = (member.uid, member.gid, member.uname, member.gname, member.mtime)
            assert owner == (0, 0, "", "", 0)
            assert (member.mode, member.linkname, member.size) == (entry.mode, entry.link, entry.size)


def test_the_same_entries_give_the_same_bytes_in_whole_records() -> None:
    stream = b"".join(tar(Part(ENTRIES, content)))
    assert stream == b"".join(tar(Part(ENTRIES, content)))
    assert len(stream) % 10240 == 0
    assert stream.endswith(bytes(1024))


def test_headers_are_the_ones_that_tarfile_writes() -> None:
    for size in (0, 1, 0o77777777777, 0o77777777777 + 1, 1 << 40):
        member = tarfile.TarInfo("some/name")
        member.size, member.mode, member.mtime = size, 0o640, 12345
        expected = member.tobuf(tarfile.GNU_FORMAT)
        assert header(b"some/name", b"0", b"", mode=0o640, size=size, mtime=12345) == expected


def test_small_files_travel_together() -> None:
    entries = [Entry(f"f{number}", Kind.FILE, 0o644, 1000) for number in range(1000)]
    found = list(tar(Part(entries, lambda _: [bytes(1000)])))
    assert len(found) < 10
    assert max(map(len, found)) < PIECE + 2000


class Endless(io.RawIOBase):
    """A large file that counts how much of it was asked for."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = bytes(min(size, self.left))
        self.left -= len(data)
        return data


def test_a_large_file_is_never_held_whole() -> None:
    size = 200 << 20
    stream = tar(Part([Entry("large", Kind.FILE, 0o644, size)], lambda _: pieces(cast("BinaryIO", Endless(size)))))
    assert max(map(len, stream)) <= 2 * PIECE


@pytest.mark.parametrize("size", [10, PIECE, PIECE - 1, 2 * PIECE + 1])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_that_shrank_or_grew_ends_the_stream_before_the_next_header(size: int, change: int) -> None:
    entries = [Entry("f", Kind.FILE, 0o644, size), Entry("next", Kind.FILE, 0o644, 0)]
    seen = b""

    def drain(stream: Iterator[bytes]) -> None:
        nonlocal seen
        for piece in stream:
            seen += piece

    with pytest.raises(SnapshotChanged, match="f is not the") as raised:
        drain(tar(Part(entries, lambda _: pieces(io.BytesIO(bytes(size + change))))))
    assert "push again" in raised.value.hint
    assert b"next" not in seen


def test_parts_lie_where_they_belong() -> None:
    below = Part(ENTRIES, content, below="down/here/")
    stream = io.BytesIO(b"".join(tar(Part(ENTRIES[:2], content), below, Part((), content))))
    with tarfile.open(fileobj=stream, errors="surrogateescape") as archive:
        names = [entry.path for entry in ENTRIES[:2]] + [f"down/here/{entry.path}" for entry in ENTRIES]
        assert archive.getnames() == names
        found = archive.extractfile("down/here/large")
        assert found
        assert found.read() == CONTENTS["large"]


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "ustar", "pax", "v7", "busybox"])
def test_what_any_tar_writes_is_read_as_the_library_reads_it(tmp_path: Path, form: str) -> None:
    for name, size in (("plain", 512), ("empty", 0), ("no \udcff utf-8", 513), ("x" * 100, 1), ("x" * 120, 3)):
        if form not in {"ustar", "v7"} or len(name) < 100:
            (tmp_path / name).write_bytes(os.urandom(size))
    (tmp_path / "dir").mkdir(mode=0o700)
    (tmp_path / "dir/link").symlink_to("../plain")
    (tmp_path / "twice").hardlink_to(tmp_path / "plain")
    os.utime(tmp_path / "plain", (1.5, 1.5))
    names = sorted(os.listdir(os.fsencode(tmp_path)))
    for some in (names, [b"dir", b"plain"]):
        program = [b"busybox", b"tar"] if form == "busybox" else [b"tar", b"--format=" + form.encode()]
        command = [*program, b"-c", b"-f", b"-", b"-C", os.fsencode(tmp_path), *some]
        archive = subprocess.run(command, capture_output=True, check=True).stdout
        found = {each.name: each for each in members(b"before" + archive, 6)}
        assert list(found.values()) == by_library(archive, 0)
        assert found["plain"].content == (tmp_path / "plain").read_bytes()
        assert (found["dir/link"].kind, found["dir/link"].link) == (Kind.SYMLINK, "../plain")
        assert (found["dir"].kind, found["dir"].mode, found["plain"].mtime) == (Kind.DIRECTORY, 0o700, 1)


def test_an_archive_that_was_cut_off_is_not_read() -> None:
    archive = b"".join(tar(Part(ENTRIES[:4], content)))
    assert [each.name for each in members(archive)] == [each.path for each in ENTRIES[:4]]
    with pytest.raises(ValueError, match="cut off"):
        members(archive[: archive.index(b"hello") + 2])
    # A damaged header is for the library to judge.
    damaged = bytearray(archive)
    damaged[0] ^= 1
    with pytest.raises(ValueError, match=r"."):
        members(bytes(damaged))
