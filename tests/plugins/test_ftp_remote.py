"""The remote of the strategy ``ftp`` on real servers: vsftpd, ProFTPD, Pure-FTPd and pyftpdlib, over TLS."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from plugins.ftp_target import remote_on
from plugins.test_ftp_connection import running
from pushkit import Kind, Step
from pushkit.files import (
    MakeDirectory,
    RemoteDenied,
    RemoteError,
    RemoteExists,
    RemoteFull,
    RemoteMissing,
    Remove,
    RemoveDirectory,
    Rename,
    SetMode,
)
from pushkit.files.operation import Absent, Present
from pushkit.testing import FtpServer, ServerDirectory, VsFtpd
from pushkit.testing.given import Given
from pushkit_ftp.remote import FtpRemote

SERVERS = ["vsftpd", "proftpd_ftp", "pureftpd", "pyftpd"]


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[FtpRemote, Path]]:
    """A remote whose root is a fresh directory, and the same directory on this machine."""
    server: FtpServer = request.getfixturevalue(f"{request.param}_server")
    directory: ServerDirectory = request.getfixturevalue(f"{request.param}_directory")
    warnings: list[str] = []
    with remote_on(server, directory.path, warnings=warnings) as remote:
        yield remote, directory.local
    assert warnings == []


def quiet(_: Step) -> AbstractContextManager[None]:
    return nullcontext()


def test_stat_sees_what_is_there(place: tuple[FtpRemote, Path]) -> None:
    remote, local = place
    remote.write("file", [b"12345"], 0o644)
    remote.make_directory("dir", 0o755)
    remote.set_time("file", 1_500_000_000)
    assert (local / "file").stat().st_mtime == 1_500_000_000
    file, directory, root = remote.stat("file"), remote.stat("dir"), remote.stat("")
    assert file
    assert file[:4] == ("file", Kind.FILE, 0o644, 5)
    assert abs(file.mtime - 1_500_000_000) < 86_400
    assert directory
    assert directory[:3] == ("dir", Kind.DIRECTORY, 0o755)
    assert root
    assert root.kind is Kind.DIRECTORY
    assert remote.stat("missing") is None
    assert remote.stat("file/below a file") is None


def test_a_symlink_is_seen_and_not_followed(place: tuple[FtpRemote, Path]) -> None:
    remote, local = place
    (local / "link").symlink_to("/etc")
    found = remote.stat("link")
    assert found
    # Two of them say that it is what it leads to.
    hidden = any(name in remote.server.greeting for name in ("pyftpdlib", "ProFTPD"))
    assert found.kind is (Kind.DIRECTORY if hidden else Kind.SYMLINK)
    with pytest.raises(RemoteError, match="symlink"):
        remote.read_link("link")
    with pytest.raises(RemoteError, match="no way to make a symlink"):
        remote.make_symlink("x", "other")
    with pytest.raises(RemoteError, match="line break"):
        remote.write("a\r\nDELE b", [b"x"], 0o644)


def test_what_is_forbidden_is_told(place: tuple[FtpRemote, Path]) -> None:
    remote, local = place
    if os.geteuid() != 0 or "pyftpdlib" in remote.server.greeting:  # it has the rights of this process
        return
    (local / "theirs").mkdir(mode=0o755)
    (local / "theirs/file").touch(mode=0o600)
    for attempt in (
        lambda: remote.read("theirs/file", 10),
        lambda: remote.write("theirs/file", [b"x" * 100_000], 0o644),
        lambda: remote.write("theirs/new", [b"x"], 0o644),
        lambda: remote.make_directory("theirs/new", 0o755),
        lambda: remote.remove("theirs/file"),
    ):
        with pytest.raises(RemoteDenied):
            attempt()


def test_what_has_to_be_there_or_not_is_told_by_its_path(place: tuple[FtpRemote, Path]) -> None:
    remote, local = place
    (local / "file").touch()
    remote.perform([Present("file"), Absent("other")], quiet, "")
    with pytest.raises(RemoteExists, match=r"/file: there is something already$"):
        remote.perform([Absent("file")], quiet, "")
    with pytest.raises(RemoteMissing, match=r"/other: there is no such file or directory$"):
        remote.perform([Present("other")], quiet, "")


def test_many_renames_modes_and_removals_are_done_at_once(place: tuple[FtpRemote, Path]) -> None:
    remote, local = place
    numbers = range(70)
    (local / "full").mkdir()
    (local / "full/file").touch()
    (local / "void").mkdir()
    os.chown(local / "void", local.stat().st_uid, local.stat().st_gid)
    given = Given()
    for number in numbers:
        given.file(f"new {number}", b"new %d" % number)
    remote.put("", given)
    for number in numbers[:35]:
        (local / str(number)).write_text("old")
    remote.together([Rename(f"new {number}", str(number), f"aside-{number}") for number in numbers], quiet)
    assert {(local / str(number)).read_text() for number in numbers} == {f"new {number}" for number in numbers}
    assert sorted(os.listdir(local)) == sorted([*map(str, numbers), "full", "void"])
    if "pyftpdlib" not in remote.server.greeting:
        remote.together([SetMode(str(number), 0o600) for number in numbers], quiet)
        assert {(local / str(number)).stat().st_mode & 0o777 for number in numbers} == {0o600}
    remote.together([Remove(str(number)) for number in (*numbers, 999)], quiet)
    remote.together([RemoveDirectory("full"), RemoveDirectory("void"), RemoveDirectory("none")], quiet)
    assert os.listdir(local) == ["full"]
    with pytest.raises(RemoteMissing) as caught:
        remote.together([Rename("missing", "x")], quiet)
    assert caught.value.operation == Rename("missing", "x")


def test_a_survey_has_contents_and_exact_times(place: tuple[FtpRemote, Path]) -> None:
    remote, local = place
    for path in ("state", "state/pushes", "state/pushes/1", "state/pushes/2"):
        remote.make_directory(path, 0o755)
    for number in (1, 2):
        remote.write(f"state/pushes/{number}/hb", [b"alive\n"], 0o600)
        remote.set_time(f"state/pushes/{number}/hb", local.stat().st_mtime - 10 * number)
    found = remote.collect(["state/pushes", "none"], listed=["state"], looked=["", "state/nothing"], limit=100)
    pushes = ["state/pushes", *(f"state/pushes/{number}" for number in (1, 2))]
    assert set(found) == {"", "state", *pushes, "state/pushes/1/hb", "state/pushes/2/hb"}
    beats = [found[f"state/pushes/{number}/hb"] for number in (1, 2)]
    assert [beat.content for beat in beats] == [b"alive\n", b"alive\n"]
    assert beats[0].stat.mtime - beats[1].stat.mtime == 10
    # Who has not said yet that it lives is not taken for dead: a time is never too early.
    assert -1 <= found["state/pushes/1"].stat.mtime - (local / "state/pushes/1").stat().st_mtime <= 120


@pytest.mark.parametrize("denied", [{}, {"cmds_denied": "STAT"}])
def test_push_s_own_directories_are_listed_over_the_control_connection_where_the_server_does_so(
    denied: dict[str, str], tmp_path: Path
) -> None:
    with (
        running(VsFtpd, tmp_path, settings=denied) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path) as remote,
    ):
        names = [".hidden", "größe", "with  spaces ", "213 End of status", "-a"]
        for path in (".own", *(f".own/{name}" for name in names), "theirs"):
            remote.make_directory(path, 0o700)
        for name in names:
            remote.write(f".own/{name}/file", [name.encode()], 0o600)
        found = remote.collect([".own"], listed=["theirs"], looked=[""], limit=100)
        files = {f".own/{name}/file": name.encode() for name in names}
        assert set(found) == {"", ".own", *(f".own/{name}" for name in names), *files, "theirs"}
        assert {path: found[path].content for path in files} == files
        assert {found[f".own/{name}"].stat.kind for name in names} == {Kind.DIRECTORY}
        listed = re.findall(r"FTP command.*LIST", server.log)
        # Those that others may write to, and for which the server is asked again: a name may look like an answer.
        assert len(listed) == (2 + 1 + len(names) if denied else 2)


def test_what_a_push_made_and_emptied_is_removed_without_a_look(vsftpd_server: FtpServer) -> None:
    with vsftpd_server.new_directory() as directory, remote_on(vsftpd_server, directory.path) as remote:
        given = Given()
        for path in ("deep", "deep/er", "moved"):
            given.directory(path)
        given.file("deep/er/file")
        given.file("moved/file")
        for stage in ("first", "second"):
            remote.perform([MakeDirectory(stage), MakeDirectory(f"{stage}/tree")], quiet, stage)
            remote.put(f"{stage}/tree", given)
            remote.rename(f"{stage}/tree/deep/er/file", f"{stage}-file")
            remote.rename(f"{stage}/tree/moved", f"{stage}-moved")
        (directory.local / "second/tree/left").touch()
        before = vsftpd_server.log.count("LIST")
        remote.remove_tree("first")
        assert vsftpd_server.log.count("LIST") == before
        remote.remove_tree("second")
        assert vsftpd_server.log.count("LIST") > before
        moved = [f"{stage}-{name}" for stage in ("first", "second") for name in ("file", "moved")]
        assert sorted(os.listdir(directory.local)) == sorted(moved)
        assert os.listdir(directory.local / "second-moved") == ["file"]


def test_a_full_disk_is_told(place: tuple[FtpRemote, Path]) -> None:
    remote, local = place
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    if "pyftpdlib" in remote.server.greeting:
        return  # it falls silent
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", local], check=True)
    try:
        with pytest.raises((RemoteFull, RemoteError)) as caught:
            remote.write("large", [bytes(100_000)] * 20, 0o644)
        assert "full" in caught.value.hint or "full" in caught.value.message
        remote.remove_tree("large")
        remote.write("small", [b"x"], 0o644)
        assert (local / "small").read_bytes() == b"x"
    finally:
        subprocess.run(["umount", "-l", local], check=True)
