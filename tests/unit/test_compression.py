"""What a stream is compressed with, and that the target has all of it or says that it has not."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import pytest
from msgspec.structs import replace

from pushkit import Entry, Kind, SnapshotChanged
from pushkit.archive import Part, tar
from pushkit.files import RemoteError, RemoteFull
from pushkit.files.compression import FAR, GAIN, GZIP, LEAST, ZSTD, Compression, chosen, length, sampled, shrunk
from pushkit.files.operation import MakeDirectory, Put, Rename, Write
from pushkit.testing.given import Given, lying, odd_names
from unit.test_shell import LocalShell, remote

__all__ = ["remote"]

BOTH = frozenset({"zstd", "gzip"})
TEXT = b"".join(b"line %d of a file\n" % number for number in range(10_000))
NOISE = random.Random(20261123).randbytes(1_000_000)
MANY = 10 * LEAST


def unasked() -> bytes:
    raise AssertionError("the content does not decide this")


@pytest.mark.parametrize(
    ("tools", "round_trip", "expected"),
    [
        (BOTH, 0, ZSTD),
        (BOTH, FAR, ZSTD),
        ({"zstd"}, 0, ZSTD),
        ({"gzip"}, FAR, GZIP),
    ],
)
def test_zstd_is_taken_where_it_is_else_gzip_on_a_slow_line(
    tools: frozenset[str], round_trip: float, expected: Compression
) -> None:
    assert chosen(tools, round_trip, MANY, lambda: TEXT) is expected
    assert chosen(tools, round_trip, MANY, lambda: NOISE) is None
    assert chosen(tools, round_trip, LEAST - 1, unasked) is None


@pytest.mark.parametrize(("tools", "round_trip"), [({"gzip"}, 0), ({"gzip"}, FAR / 2), (set(), FAR)])
def test_nothing_is_compressed_where_nothing_undoes_it_or_gzip_would_be_slower(
    tools: set[str], round_trip: float
) -> None:
    assert chosen(tools, round_trip, MANY, unasked) is None


def shrinks(sample: bytes) -> bool:
    return shrunk(sample) <= GAIN


def test_a_sample_shrinks_when_a_tenth_of_it_goes() -> None:
    assert shrinks(TEXT)
    assert not shrinks(NOISE)
    assert not shrinks(b"")
    assert shrinks(NOISE[:80_000] + bytes(20_000))
    assert not shrinks(NOISE[:80_000] + bytes(5_000))
    assert GAIN < 1


def files(*contents: bytes) -> tuple[list[Entry], Callable[[Entry], BinaryIO]]:
    entries = [Entry(str(number), Kind.FILE, 0o644, len(content)) for number, content in enumerate(contents)]
    return entries, lambda entry: io.BytesIO(contents[int(entry.path)])


def test_a_sample_is_of_all_that_is_sent_and_not_of_what_comes_first() -> None:
    pictures, sources = [os.urandom(100_000) for _ in range(20)], [TEXT[:100_000]] * 20
    assert shrinks(sampled(*files(*pictures, *sources)))
    assert shrinks(sampled(*files(*sources, *pictures)))
    assert not shrinks(sampled(*files(*sources[:1], *pictures)))


def test_a_sample_is_small_and_of_large_files_the_beginning() -> None:
    large = sampled(*files(NOISE * 5))
    assert NOISE[:200_000] in large
    assert len(large) < 300_000
    assert sampled(*files(NOISE)).strip(b"\0") == NOISE[: 256 * 1024].strip(b"\0")


def test_a_sample_of_small_files_has_the_zeros_of_their_headers() -> None:
    entries, opened = files(*[b"%d" % number for number in range(1000)])
    assert length(entries) > 512_000
    assert shrinks(sampled(entries, opened))
    links = [Entry(str(number), Kind.SYMLINK, 0o777, link="0") for number in range(1000)]
    assert shrinks(sampled(links, opened))


def test_what_cannot_be_read_is_left_out_of_a_sample() -> None:
    entries, opened = files(TEXT, TEXT)

    def gone(entry: Entry) -> BinaryIO:
        if entry.path == "0":
            raise SnapshotChanged("it is not what it was")
        return opened(entry)

    assert TEXT[:100_000] in sampled(entries, gone)


@pytest.mark.parametrize("compression", [ZSTD, GZIP], ids=lambda each: each.program)
@pytest.mark.parametrize(
    "content", [b"", TEXT * 20, NOISE, NOISE + TEXT + NOISE], ids=["nothing", "text", "noise", "mixed"]
)
def test_the_program_of_the_target_undoes_it(compression: Compression, content: bytes) -> None:
    pieces = [content[at : at + 262_144] for at in range(0, len(content), 262_144)]
    compressed = b"".join(compression.compressed(pieces))
    undone = subprocess.run(compression.undo.split(), input=compressed, capture_output=True, check=True)
    assert undone.stdout == content
    assert undone.stderr == b""
    assert len(compressed) < len(content) * 1.001 + 50
    for cut in (0, 1, len(compressed) // 2, len(compressed) - 1):
        undone = subprocess.run(compression.undo.split(), input=compressed[:cut], capture_output=True, check=False)
        assert undone.returncode, f"{cut} of {len(compressed)} bytes are not taken for the whole"


@pytest.mark.parametrize("compression", [ZSTD, GZIP], ids=lambda each: each.program)
def test_no_more_is_read_than_is_sent(compression: Compression) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield os.urandom(262_144)

    compressed = compression.compressed(endless())
    sent = sum(len(next(compressed)) for _ in range(20))
    assert read * 262_144 - sent < 2_000_000


def test_who_sends_little_imports_nothing_to_compress_it() -> None:
    script = "import sys, pushkit.files; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"backports.zstd", "compression.zstd"} & set(done.stdout.split())


@pytest.fixture(params=["zstd", "gzip", ""], ids=["zstd", "gzip", "neither"])
def compressing(request: pytest.FixtureRequest, remote: LocalShell) -> LocalShell:
    """A remote far away that has zstd, gzip, or neither."""
    assert shutil.which(request.param or "sh"), "not installed: .ci/machine servers"
    remote.shell = replace(remote.shell, tools=remote.shell.tools - BOTH | ({request.param} & BOTH))
    remote.distance = 1
    return remote


def program(remote: LocalShell) -> str:
    """What the remote can undo."""
    return next(iter(remote.shell.tools & BOTH), "")


def texts() -> Given:
    given = odd_names()
    for number in range(200):
        given.file(f"text {number}", TEXT[number : number + 5000])
    return given


def test_a_tree_arrives_whole_and_takes_less_of_the_line(compressing: LocalShell) -> None:
    given = texts()
    compressing.put("new", given)
    assert lying(Path(compressing.root) / "new") == given.expected()
    assert given.finished == [entry.path for entry in given.entries]
    assert (f"{program(compressing)} -dc" in compressing.scripts[-1]) is bool(program(compressing))
    assert (compressing.given < length(given.entries) / 3) is bool(program(compressing))


def test_what_cannot_be_compressed_is_sent_as_it_is(compressing: LocalShell) -> None:
    given = Given()
    given.file("picture", NOISE)
    compressing.put("new", given)
    (path,) = lying(Path(compressing.root) / "new").values()
    assert path[2] == NOISE
    stream = b"".join(tar(Part(given.entries, given.content)))
    assert compressing.given == len(stream)
    assert "-dc" not in compressing.scripts[-1]


def test_pictures_among_sources_take_no_more_of_the_line_than_they_are_long(compressing: LocalShell) -> None:
    given = Given()
    for number in range(10):
        given.file(f"{number} picture", NOISE[number * 100_000 : (number + 1) * 100_000])
        given.file(f"{number} source", TEXT)
    compressing.put("new", given)
    assert lying(Path(compressing.root) / "new") == given.expected()
    if program(compressing):
        assert compressing.given < len(NOISE) * 1.01 + len(TEXT) * 10 / 3


def test_a_batch_arrives_whole_and_its_commands_read_nothing_of_it(compressing: LocalShell) -> None:
    given = texts()
    compressing.perform(
        [
            MakeDirectory("stage"),
            MakeDirectory("stage/tree"),
            Write("first", TEXT),
            Put("stage/tree", given),
            Rename("stage/tree", "new/tree"),
            Write("last", TEXT * 2),
        ],
        lambda _: nullcontext(),
        "stage",
    )
    root = Path(compressing.root)
    assert lying(root / "new/tree") == given.expected()
    assert ((root / "first").read_bytes(), (root / "last").read_bytes()) == (TEXT, TEXT * 2)
    assert os.listdir(root / "stage") == []
    assert (compressing.given < length(given.entries) / 3) is bool(program(compressing))


# A tar that is cut off between two files is whole to tar: there, the digests say what is missing.
@pytest.mark.parametrize("compressing", ["zstd", "gzip"], indirect=True)
@pytest.mark.parametrize("kept", [0, 1, 0.5, 0.9, -1], ids=["nothing", "a byte", "half", "most", "all but a byte"])
def test_what_is_cut_off_is_an_error(compressing: LocalShell, kept: float) -> None:
    compressing.line = lambda stream: stream[: int(len(stream) * kept) if 0 < kept < 1 else int(kept)]
    with pytest.raises(RemoteError):
        compressing.put("new", texts())
    operations = [MakeDirectory("stage"), Put("stage", texts()), Write("after", b"x")]
    with pytest.raises(RemoteError) as caught:
        compressing.perform(operations, lambda _: nullcontext(), "stage")
    assert caught.value.operation is operations[1]
    assert not (Path(compressing.root) / "after").exists()


@pytest.mark.parametrize("compressing", ["zstd", "gzip"], indirect=True)
def test_a_program_that_fails_without_a_word_after_all_is_unpacked_is_an_error(
    compressing: LocalShell, tmp_path: Path
) -> None:
    name = program(compressing)
    fake(compressing, tmp_path, name, f'PATH=$2 {name} "$1"; exit 3')
    with pytest.raises(RemoteError, match="cannot be decompressed"):
        compressing.put("new", texts())


def test_a_tar_that_leaves_what_follows_the_archive_is_no_failure(compressing: LocalShell, tmp_path: Path) -> None:
    fake(compressing, tmp_path, "tar", "exec dd bs=512 count=1 of=/dev/null 2>/dev/null")
    given = Given()
    given.file("large", TEXT * 50)
    compressing.put("new", given)


def fake(remote: LocalShell, tmp_path: Path, name: str, script: str) -> None:
    """Put a script in the place of a tool of the remote; the PATH of the real one is its second argument."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / name).write_text(f"#!/bin/sh\nset -- \"$1\" '{remote._path}'\n{script}\n")
    (tmp_path / "bin" / name).chmod(0o755)
    remote._path = f"{tmp_path}/bin:{remote._path}"


def test_a_full_disk_is_told_in_plain_words_whatever_is_compressed(compressing: LocalShell) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    small = Path(compressing.root) / "new"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=True)
    try:
        with pytest.raises(RemoteFull, match="no space left"):
            compressing.put("new", texts())
    finally:
        subprocess.run(["umount", small], check=True)


def test_what_is_in_the_way_is_told_as_tar_says_it(compressing: LocalShell) -> None:
    (Path(compressing.root) / "new/large/deep").mkdir(parents=True)
    with pytest.raises(RemoteError, match="large") as caught:
        compressing.put("new", texts())
    assert "tar" in str(caught.value)


def test_a_remote_is_found_to_have_zstd_or_else_gzip(remote: LocalShell) -> None:
    assert shutil.which("zstd"), "not installed: .ci/machine servers"
    assert remote.shell.tools & BOTH == {"zstd"}


@pytest.mark.parametrize("broken", ["exit 1", "exit 0", "echo $1", "kill -s KILL $$"])
def test_a_program_that_does_not_work_is_not_asked(remote: LocalShell, tmp_path: Path, broken: str) -> None:
    fake(remote, tmp_path, "zstd", broken)
    again = LocalShell(Path(remote.root), remote._command, remote._path)
    assert again.shell.tools - BOTH == remote.shell.tools - BOTH - {"zstd-patch"}
    assert again.shell.tools & BOTH == {"gzip"}
