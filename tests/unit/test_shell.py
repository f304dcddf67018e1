"""The shell scripts of the bulk operations, under each shell and set of tools that this machine has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

from pushkit import Entry, Kind, TargetError
from pushkit.files import (
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteFull,
    RemoteMissing,
    Shell,
    ShellRemote,
    ShellResult,
    probing,
    scripts,
    shell_of,
)
from pushkit.files.batch import MANY
from pushkit.files.collected import collected
from pushkit.files.operation import Copy, MakeDirectory, Put, Switchable, Verify, Write
from pushkit.files.scripts import ALL, MARKER
from pushkit.files.shell import told
from pushkit.testing.given import Given, lying, odd_names
from pushkit_dir.remote import LocalRemote


class LocalShell(ShellRemote, LocalRemote):
    """A directory of this machine that is worked on by a shell of this machine."""

    def __init__(self, root: Path, command: list[str], path: str) -> None:
        super().__init__(root)
        self._command = command
        self._path = path
        self.noise = ""
        self.scripts: list[str] = []
        #: How far it is, in seconds; how many bytes scripts were given; and what becomes of them on the way.
        self.distance = 0.0
        self.given = 0
        self.line: Callable[[bytes], bytes] = bytes
        shell = shell_of(self.run_script(probing("", ""), (), bool, 60))
        assert shell is not None
        self.shell: Shell = shell
        self.capabilities = shell.capabilities

    @property
    def round_trip(self) -> float:
        return self.distance

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        self.scripts.append(script)
        stream = b"".join(stdin)
        self.given += len(stream)
        done = subprocess.run(
            [*self._command, "-c", self.noise + script],
            input=self.line(stream),
            capture_output=True,
            env={"PATH": self._path},
            check=False,
            timeout=patience,
        )
        return ShellResult(done.returncode, done.stdout, done.stderr)

    def stream_script(
        self, script: str, stdin: bytes, take: Callable[[bytes], object], timeout: float, cancelled: threading.Event
    ) -> int | None:
        end = time.monotonic() + timeout
        stopped = False
        with subprocess.Popen(
            [*self._command, "-c", self.noise + script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": self._path},
            start_new_session=True,
        ) as process:
            assert process.stdin
            assert process.stdout
            reader = threading.Thread(target=lambda pipe: [take(line) for line in pipe], args=[process.stdout])
            reader.start()
            process.stdin.write(stdin)
            process.stdin.flush()
            while process.poll() is None:
                if not stopped and (cancelled.is_set() or time.monotonic() > end):
                    process.stdin.close()
                    stopped = True
                time.sleep(0.02)
            reader.join()
        return None if stopped else process.returncode


SHELLS = {
    "dash": ["dash"],
    "bash": ["bash", "--posix"],
    "busybox sh": ["busybox", "sh"],
    "busybox only": ["busybox", "sh"],
}


@pytest.fixture(params=SHELLS)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> LocalShell:
    """A remote under one shell; ``busybox only`` has no other tools either."""
    command = SHELLS[request.param]
    found = shutil.which(command[0])
    if found is None:
        pytest.skip(f"{command[0]} is not installed")
    path = os.defpath
    if request.param == "busybox only":
        tools = tmp_path / "tools"
        tools.mkdir()
        for applet in subprocess.run([found, "--list"], check=True, capture_output=True, text=True).stdout.split():
            (tools / applet).symlink_to(found)
        if zstd := shutil.which("zstd"):
            (tools / "zstd").symlink_to(zstd)
        path = str(tools)
    root = tmp_path / "a root's $name"
    (root / "old").mkdir(parents=True)
    (root / "new").mkdir()
    return LocalShell(root, [found, *command[1:]], path)


def test_a_tree_of_odd_names_arrives_as_it_is(remote: LocalShell) -> None:
    given = odd_names()
    remote.put("new", given)
    assert lying(Path(remote.root) / "new") == given.expected()
    assert given.finished == [entry.path for entry in given.entries]


def test_files_get_the_time_of_their_arrival(remote: LocalShell) -> None:
    given = Given()
    given.file("page.html")
    remote.put("new", given)
    reference = Path(remote.root) / "reference"
    reference.touch()
    assert abs((Path(remote.root) / "new/page.html").stat().st_mtime - reference.stat().st_mtime) < 3600


def test_copies_keep_modes_times_and_links_and_leave_directories_alone(remote: LocalShell) -> None:
    given = odd_names()
    remote.put("old", given)
    root = Path(remote.root)
    old, new = root / "old", root / "new"
    os.utime(old / "empty", (1_000_000_000, 1_000_000_000))
    directories = Given()
    for entry in given.entries:
        if entry.kind is Kind.DIRECTORY:
            directories.directory(entry.path, 0o711)
    remote.put("new", directories)
    others = [entry for entry in given.entries if entry.kind is not Kind.DIRECTORY]
    remote.copy("old", "new", others)
    expected = {**given.expected(), **directories.expected()}
    assert lying(new) == expected
    assert (new / "empty").stat().st_mtime == 1_000_000_000
    assert (new / "empty").stat().st_ino != (old / "empty").stat().st_ino


def test_verify_finds_each_wrong_file_and_only_those(remote: LocalShell) -> None:
    given = odd_names()
    remote.put("new", given)
    assert remote.verify("new", given.entries) == []
    new = Path(remote.root) / "new"
    (new / "back\\slash").write_bytes(b"4")
    (new / "empty").unlink()
    (new / "new\nline").write_bytes(b"55")
    (new / "large").unlink()
    (new / "large").mkdir()
    found = [entry.path for entry in remote.verify("new", given.entries)]
    assert found == ["back\\slash", "empty", "large", "new\nline"]


def test_verify_of_nothing_asks_nothing(remote: LocalShell) -> None:
    before = len(remote.scripts)
    assert remote.verify("new", [Entry("d", Kind.DIRECTORY, 0o755)]) == []
    assert len(remote.scripts) == before


def test_a_tree_is_removed_and_what_its_links_point_to_is_not(remote: LocalShell, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "kept").write_text("kept")
    given = odd_names()
    given.symlink("to outside", str(outside))
    remote.put("new", given)
    (Path(remote.root) / "new/other/deeper").chmod(0o500)
    (Path(remote.root) / "new/other").chmod(0o555)
    remote.remove_tree("new")
    remote.remove_tree("new")
    assert not (Path(remote.root) / "new").exists()
    assert (outside / "kept").read_text() == "kept"
    assert outside.stat().st_mode & 0o777 == 0o755


def test_free_space_is_that_of_the_file_system(remote: LocalShell) -> None:
    free = remote.free_space()
    assert free is not None
    assert free == pytest.approx(shutil.disk_usage(remote.root).free, rel=0.05)


def test_whether_copies_share_their_blocks_is_tried_and_leaves_nothing(remote: LocalShell) -> None:
    root = Path(remote.root)
    (root / "record").write_text("1\n")
    tried: list[str | Path] = ["cp", "--reflink=always", root / "record", root / "old/record"]
    able = "gnu-cp" in remote.shell.tools and not subprocess.run(tried, capture_output=True, check=False).returncode
    assert remote.shares_copies("record") is able
    assert not remote.shares_copies("missing")
    assert sorted(path.name for path in root.iterdir()) == ["new", "old", "record"]


def test_what_login_scripts_print_disturbs_nothing(remote: LocalShell) -> None:
    remote.noise = "echo Welcome; echo 'mesg: ttyname failed' >&2\n"
    given = odd_names()
    remote.put("new", given)
    assert remote.verify("new", given.entries) == []
    (Path(remote.root) / "new/empty").write_text("no")
    assert [entry.path for entry in remote.verify("new", given.entries)] == ["empty"]
    assert remote.free_space()


def test_a_missing_directory_is_told(remote: LocalShell) -> None:
    given = Given()
    given.file("a")
    with pytest.raises(RemoteMissing, match="nowhere"):
        remote.put("nowhere", given)
    with pytest.raises(RemoteMissing):
        remote.copy("nowhere", "new", given.entries)
    assert given.failed
    assert "nowhere" in given.failed[0][1]


def test_a_full_disk_is_told_in_plain_words(remote: LocalShell, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    small = Path(remote.root) / "new"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=True)
    try:
        given = Given()
        for number in range(40):
            given.file(f"file-{number}", bytes(20_000))
        with pytest.raises(RemoteFull, match="no space left") as caught:
            remote.put("new", given)
    finally:
        subprocess.run(["umount", small], check=True)
    assert "make room" in caught.value.hint


def test_an_answer_that_is_no_shell_is_no_shell() -> None:
    assert shell_of(ShellResult(1, b"This service allows sftp connections only.\n", b"")) is None
    assert shell_of(ShellResult(0, b"", b"")) is None
    assert shell_of(ShellResult(0, f"Welcome! {MARKER}\ntar\n".encode(), b"")) == Shell(frozenset({"tar"}))


def test_an_error_names_the_path_and_what_the_tool_said() -> None:
    said = b"tar: a/b: Cannot open: Permission denied\ntar: Exiting with failure status\n"
    error = told("/srv/site", ShellResult(2, b"", said))
    assert isinstance(error, RemoteDenied)
    assert error.message == "/srv/site: permission denied (tar: a/b: Cannot open: Permission denied)"
    assert "exit code 3" in told("/srv/site", ShellResult(3, b"", b"")).message
    assert isinstance(error, TargetError)


def test_an_answer_that_is_damaged_is_told_and_is_no_empty_target() -> None:
    archive = b"no archive".ljust(512, b"\0") + bytes(1024)
    with pytest.raises(RemoteError) as caught:
        collected(b"\n\n" + archive + f"{ALL}\n".encode(), "/srv/site", ())
    assert caught.value.message == "/srv/site: what the target sent cannot be read (it has a header that is none)"
    assert caught.value.hint == "push again"


def test_what_has_two_names_is_read_under_both(remote: LocalShell) -> None:
    state = Path(remote.root, "state")
    state.mkdir()
    (state / "a").write_text("content")
    (state / "b").hardlink_to(state / "a")
    (state / "c").symlink_to("a")
    found = remote.collect(["state"], limit=100)
    assert [found[f"state/{name}"].content for name in "ab"] == [b"content"] * 2
    assert (found["state/b"].stat.name, found["state/b"].stat.kind) == ("b", Kind.FILE)
    assert found["state/c"].link == "a"


def test_a_file_that_tar_takes_for_a_removed_one_whose_number_it_has_is_looked_at_again(
    remote: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = Path(remote.root, "state")
    state.mkdir()
    (state / "ticket").write_text("old")
    (state / "ticket.2").hardlink_to(state / "ticket")
    look = remote.run_script

    def meanwhile(script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float) -> ShellResult:
        seen = look(script, stdin, failed, patience)
        (state / "ticket").unlink(missing_ok=True)
        (state / "ticket.2").unlink()
        (state / "ticket.2").write_text("new")
        return seen

    monkeypatch.setattr(remote, "run_script", meanwhile)
    found = remote.collect(["state"], limit=100)
    assert sorted(found) == ["state", "state/ticket.2"]
    assert found["state/ticket.2"].content == b"new"


def switchable(remote: Remote) -> None:
    remote.perform([Switchable("new/link")], lambda _: nullcontext(), "")


def test_who_can_switch_shows_it_and_keeps_nothing_of_it(remote: LocalShell) -> None:
    switchable(remote)
    assert len(remote.scripts) == 2, "that and the probe"
    assert os.listdir(f"{remote.root}/new") == []


@pytest.mark.parametrize("program", ["ln", "readlink"])
def test_who_cannot_switch_is_told_of(remote: LocalShell, tmp_path: Path, program: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / program).write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / program).chmod(0o755)
    remote._path = f"{tmp_path}/bin:{remote._path}"
    with pytest.raises(RemoteError, match="cannot rename one symlink over another") as raised:
        switchable(remote)
    assert "mirror" in raised.value.hint


class Following(LocalRemote):
    """A directory on which a rename moves what a symlink leads to."""

    def rename(self, old: str, new: str) -> None:
        super().rename(os.path.relpath(os.path.realpath(self._full(old)), self.root), new)


class Crowded(LocalRemote):
    """A directory without room for a symlink."""

    def make_symlink(self, link: str, path: str) -> None:
        raise RemoteFull(f"{path}: no space left")


@pytest.mark.parametrize(("kind", "why"), [(Following, "cannot rename one symlink"), (Crowded, "no space left")])
def test_a_directory_that_cannot_switch_and_one_that_is_full_are_told_apart(
    tmp_path: Path, kind: type[LocalRemote], why: str
) -> None:
    (tmp_path / "new").mkdir()
    switchable(LocalRemote(tmp_path))
    with pytest.raises(RemoteError, match=why):
        switchable(kind(tmp_path))
    assert os.listdir(tmp_path / "new") == []


def test_many_files_are_compared_in_their_order_and_what_is_wrong_is_named(remote: LocalShell) -> None:
    given = Given()
    for number in range(MANY + 1):
        given.file(f"{number:05}", b"%d" % number)
        (Path(remote.root) / f"old/{number:05}").write_bytes(b"%d" % number)
    names = [entry.path for entry in given.entries]
    operations = [MakeDirectory("stage"), Copy("old", "new", given.entries), Verify("new", given.entries)]
    assert not remote.perform([*operations, Write("after", b"")], lambda _: nullcontext(), "stage")
    assert (Path(remote.root) / "after").exists()
    assert os.listdir(Path(remote.root) / "stage") == []
    first, last = Path(remote.root) / "new" / names[1], Path(remote.root) / "new" / names[-2]
    swapped = first.read_bytes(), last.read_bytes()
    last.write_bytes(swapped[0])
    first.write_bytes(swapped[1])
    wrong = remote.perform([Verify("new", given.entries), Write("never", b"")], lambda _: nullcontext(), "stage")
    assert [entry.path for entry in wrong] == [names[1], names[-2]]
    assert not (Path(remote.root) / "never").exists()


def test_what_is_whole_file_by_file_is_whole(remote: LocalShell, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given()
    given.file("a")
    run = LocalShell.run_script

    def doubting(
        self: LocalShell, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        return run(self, re.sub(r"= [0-9a-f]{64} ]", "= 0 ]", script), stdin, failed, patience)

    monkeypatch.setattr(LocalShell, "run_script", doubting)
    making = [MakeDirectory("stage"), MakeDirectory("stage/tree"), Put("stage/tree", given)]
    operations = [*making, Verify("stage/tree", given.entries), Write("after", b"")]
    assert not remote.perform(operations, lambda _: nullcontext(), "stage")
    assert (Path(remote.root) / "after").exists()


def test_many_bytes_are_compared_alike_by_openssl_where_it_is(
    remote: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "QUICK", 0)
    test_verify_finds_each_wrong_file_and_only_those(remote)
    (Path(remote.root) / "stage").mkdir()
    plain = Given()
    for number in range(5):
        plain.file(f"a file's number {number}", b"%d" % number)
    remote.put("old", plain)
    before = len(remote.scripts)
    verify = Verify("old", plain.entries)
    assert not remote.perform([verify], lambda _: nullcontext(), "stage")
    # At once, and not file by file since the digests were not understood.
    assert len(remote.scripts) == before + 1
    assert ("openssl dgst" in remote.scripts[-1]) is ("openssl" in remote.shell.tools)
    (Path(remote.root) / "old/a file's number 3").write_bytes(b"4")
    assert [each.path for each in remote.perform([verify], lambda _: nullcontext(), "stage")] == ["a file's number 3"]
