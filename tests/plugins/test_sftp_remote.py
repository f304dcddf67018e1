"""The remote of the strategy ``sftp`` on real servers: OpenSSH with a shell, OpenSSH with SFTP only, Dropbear."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import pytest
from msgspec.structs import replace

from plugins.sftp_target import remote_on
from pushkit import Action, Entry, Interrupted, Kind, Step, TargetError
from pushkit.files import (
    Absent,
    Capabilities,
    MakeDirectory,
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteExists,
    RemoteFull,
    RemoteMissing,
    Remove,
    Rename,
    SetMode,
    ShellRemote,
    Write,
)
from pushkit.files.operation import Fence, Log, Point, Pointing, Present, Switchable
from pushkit.testing import ServerDirectory, Sshd
from pushkit.testing.given import Given, lying, odd_names
from pushkit.testing.leftovers import nothing_left_open
from pushkit_sftp import requests
from pushkit_sftp.channel import run
from pushkit_sftp.job import Job
from pushkit_sftp.packets import Attributes, Listed
from pushkit_sftp.remote import SftpRemote
from pushkit_sftp.shell_remote import SftpShellRemote

SERVERS = ["ssh", "sftp_only", "dropbear"]


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, transport: str) -> tuple[Remote, Path]:
    """A remote whose root is a fresh directory, and the same directory on this machine."""
    server = request.getfixturevalue(f"{request.param}_server")
    directory: ServerDirectory = request.getfixturevalue(f"{request.param}_directory")
    remote = request.getfixturevalue("connected")(server, directory.path)
    return remote, directory.local


@pytest.fixture
def connected() -> Iterator[object]:
    """Connect to servers, and hang up in the end; nothing of a connection stays."""
    remotes: list[Remote] = []

    def connect(server: Sshd, path: str) -> Remote:
        manager = remote_on(server, path)
        open_remotes.append(manager)
        remotes.append(manager.__enter__())
        return remotes[-1]

    open_remotes: list[object] = []
    with nothing_left_open():
        yield connect
        for remote in remotes:
            remote.close()


def test_the_shell_decides_what_a_remote_can(place: tuple[Remote, Path], request: pytest.FixtureRequest) -> None:
    remote, _ = place
    if "sftp_only" in request.node.name:
        assert not isinstance(remote, ShellRemote)
        assert remote.capabilities == Capabilities(copies=True, links=True)
    else:
        assert remote.capabilities == Capabilities(
            copies=True, links=True, digests=True, scripts=True, commands=True, patches=True, spares=True
        )


def test_stat_sees_what_is_there_and_follows_no_link(place: tuple[Remote, Path]) -> None:
    remote, local = place
    remote.write("file", [b"12345"], 0o751)
    remote.make_directory("dir", 0o777)
    remote.make_symlink("nowhere/at all", "link")
    os.mkfifo(local / "pipe")
    file = remote.stat("file")
    assert file
    assert file[:4] == ("file", Kind.FILE, 0o751, 5)
    assert abs(file.mtime - (local / "file").stat().st_mtime) <= 1
    directory, link, pipe = remote.stat("dir"), remote.stat("link"), remote.stat("pipe")
    assert directory
    assert directory[:3] == ("dir", Kind.DIRECTORY, 0o777)
    assert link
    assert link.kind is Kind.SYMLINK
    assert pipe
    assert pipe.kind is None
    assert remote.stat("missing") is None
    assert remote.stat("file/below a file") is None
    assert remote.read_link("link") == "nowhere/at all"
    (local / "pipe").unlink()


def test_nothing_is_written_into_a_place_in_the_queue_that_somebody_else_has(place: tuple[Remote, Path]) -> None:
    remote, local = place
    given = [MakeDirectory("", may_exist=True), MakeDirectory(".push", may_exist=True)]
    taking = MakeDirectory(".push/1", 0o700)
    mine = [*given, taking, Write(".push/1/ticket", b"mine"), Write(".push/1/beat", b""), MakeDirectory(".push/2")]
    remote.perform([*given, taking, Write(".push/1/ticket", b"theirs")], quiet, ".push")
    with pytest.raises(RemoteExists) as caught:
        remote.perform(mine, quiet, ".push")
    assert caught.value.operation is taking
    assert sorted(os.listdir(local / ".push")) == ["1"]
    assert os.listdir(local / ".push/1") == ["ticket"]
    assert remote.read(".push/1/ticket", 10) == b"theirs"


def test_nothing_is_written_where_what_comes_before_it_cannot_be(place: tuple[Remote, Path]) -> None:
    remote, local = place
    remote.make_directory(".push", 0o700)
    remote.make_directory(".push/link.new", 0o700)
    remote.write(".push/link.new/in the way", [b""], 0o600)
    with pytest.raises(RemoteError, match="cannot rename one symlink over another"):
        remote.perform([Switchable(".push/link"), Write(".push/format", b"1")], quiet, ".push/incoming/1")
    assert sorted(os.listdir(local / ".push")) == ["link.new"]


def test_what_waits_changes_nothing_when_what_it_waits_for_is_not_so(place: tuple[Remote, Path]) -> None:
    remote, local = place
    remote.write("fence", [b"000003\n"], 0o600)
    remote.make_symlink("old", "current")
    missing = Present("gone")
    with pytest.raises(RemoteMissing) as caught:
        remote.perform([Absent("hold"), missing, Fence("fence", 7)], quiet, "stage")
    assert caught.value.operation is missing
    switch = Step(Action.SWITCH, "current", "first push")
    steps: list[Step] = []

    @contextmanager
    def reported(step: Step) -> Iterator[None]:
        steps.append(step)
        yield

    with pytest.raises(RemoteExists):
        remote.perform([Pointing("current", "other"), Point("current", "new", step=switch)], reported, "stage")
    with pytest.raises(RemoteExists):
        remote.perform([Absent("hold"), Fence("fence", 2)], quiet, "stage")
    assert not steps
    assert sorted(os.listdir(local)) == ["current", "fence"]
    assert remote.read("fence", 10) == b"000003\n"
    assert remote.read_link("current") == "old"
    remote.perform([Pointing("current", "old"), Point("current", "new", step=switch)], reported, "stage")
    remote.perform([Absent("hold"), Fence("fence", 4), Log("log", lambda: {"a": 1})], quiet, "stage")
    assert steps == [switch]
    assert remote.read_link("current") == "new"
    assert remote.read("fence", 10) == b"000004\n"
    assert remote.read("log", 100).rstrip() == b'{"a": 1}'
    assert sorted(os.listdir(local)) == ["current", "fence", "log"]


def test_a_listing_of_many_names_is_whole(place: tuple[Remote, Path]) -> None:
    remote, local = place
    for number in range(500):
        (local / f"{number:04d}{'x' * 100}").touch()
    assert len({found.name for found in remote.list("")}) == 500


def test_what_is_forbidden_is_told(place: tuple[Remote, Path]) -> None:
    remote, local = place
    if os.geteuid() != 0:
        pytest.skip("only root can make what the user of the server may not touch")
    (local / "closed").mkdir(mode=0o700)
    (local / "theirs").mkdir(mode=0o755)
    (local / "theirs/file").touch(mode=0o600)
    for attempt in (
        lambda: remote.list("closed"),
        lambda: remote.read("theirs/file", 10),
        lambda: remote.write("theirs/file", [b"x"], 0o644),
        lambda: remote.write("theirs/new", [b"x"], 0o644),
        lambda: remote.make_directory("theirs/new", 0o755),
        lambda: remote.remove("theirs/file"),
        lambda: remote.set_mode("theirs/file", 0o777),
    ):
        with pytest.raises(RemoteDenied, match="permission denied"):
            attempt()
    given = Given()
    given.file("new")
    with pytest.raises(RemoteDenied, match="permission denied"):
        remote.put("theirs", given)
    assert given.failed


def failures_of(error: BaseException) -> tuple[BaseException, ...]:
    """Each failure that ``error`` tells of."""
    return error.exceptions if isinstance(error, ExceptionGroup) else (error,)


def test_a_tree_of_odd_names_arrives_is_copied_verified_and_removed(place: tuple[Remote, Path]) -> None:
    remote, local = place
    given = odd_names()
    remote.make_directory("one", 0o755)
    remote.put("one", given)
    assert lying(local / "one") == given.expected()
    assert sorted(given.finished) == sorted(entry.path for entry in given.entries)
    assert remote.verify("one", given.entries) == []
    if remote.capabilities.copies:
        remote.make_directory("two", 0o755)
        directories = Given()
        for entry in given.entries:
            if entry.kind is Kind.DIRECTORY:
                directories.directory(entry.path, entry.mode | 0o700)
        remote.put("two", directories)
        remote.copy("one", "two", [entry for entry in given.entries if entry.kind is not Kind.DIRECTORY])
        assert lying(local / "two") == {**given.expected(), **directories.expected()}
    (local / "one/ünï").unlink()
    if remote.capabilities.digests:
        (local / "one/back\\slash").write_bytes(b"4")
        assert [e.path for e in remote.verify("one", given.entries)] == ["back\\slash", "ünï"]
    else:
        (local / "one/back\\slash").write_bytes(b"longer")
        assert [e.path for e in remote.verify("one", given.entries)] == ["back\\slash", "ünï"]
    (local / "one/other/deeper").chmod(0o500)
    (local / "one/other").chmod(0o555)
    remote.remove_tree("one")
    remote.remove_tree("one")
    assert remote.stat("one") is None


@pytest.mark.parametrize("place", ["ssh", "dropbear"], indirect=True)
@pytest.mark.parametrize("program", ["zstd", "gzip", ""], ids=["zstd", "gzip", "neither"])
def test_files_arrive_whole_whatever_they_are_compressed_with(place: tuple[Remote, Path], program: str) -> None:
    remote, local = place
    given = odd_names()
    for number in range(500):
        given.file(f"text {number}", b"line of a text\n" * number)
    assert isinstance(remote, SftpShellRemote)
    assert "zstd" in remote.shell.tools, "not installed on the server: .ci/machine servers"
    remote.shell = replace(remote.shell, tools=remote.shell.tools - {"zstd"} | ({program} - {""}))
    remote.transport.round_trip = 1
    remote.put("", given)
    assert lying(local) == given.expected()
    assert given.finished == [entry.path for entry in given.entries]


@pytest.mark.parametrize("program", ["zstd", "gzip"])
def test_a_connection_that_is_cut_while_it_is_compressed_leaves_an_error(
    ssh_server: Sshd, ssh_directory: ServerDirectory, transport: str, program: str
) -> None:
    with remote_on(ssh_server, ssh_directory.path) as remote:
        assert isinstance(remote, SftpShellRemote)
        remote.shell = replace(remote.shell, tools=remote.shell.tools - {"zstd"} | {program})
        remote.transport.round_trip = 1

        class Hangup(Given):
            @contextmanager
            def open(self, entry: Entry) -> Iterator[BinaryIO]:
                if entry.path == "last":
                    remote.close()
                with super().open(entry) as stream:
                    yield stream

        given = Hangup()
        for number in range(500):
            given.file(f"text {number}", b"line of a text\n" * 500)
        given.file("last", b"never sent" * 100_000)
        with pytest.raises(RemoteError):
            remote.put("", given)
    assert not (ssh_directory.local / "last").exists()


def test_a_failure_while_reading_goes_on_as_it_is(place: tuple[Remote, Path]) -> None:
    remote, _local = place

    class Changed(Given):
        @contextmanager
        def open(self, entry: object) -> Iterator[object]:  # type: ignore[override]
            raise TargetError("the file changed")
            yield

    given = Changed()
    given.file("file", b"content")
    with pytest.raises(TargetError, match="the file changed"):
        remote.put("", given)
    assert given.failed == [("file", "the file changed")]
    # Dropbear ends one in some forty sessions that begin when a command on another channel has just been left.
    for _ in range(2):
        try:
            assert remote.stat("") is not None
        except RemoteError:
            continue
        break
    else:
        assert remote.stat("") is not None


def text(size: int) -> bytes:
    """What can be compressed, to about a half."""
    return os.urandom(size // 2).hex().encode()


@pytest.mark.parametrize("content", [os.urandom, text], ids=["as it is", "compressed"])
def test_a_full_disk_is_told_and_stops_the_stream(place: tuple[Remote, Path], content: Callable[[int], bytes]) -> None:
    remote, local = place
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    owner = local.stat()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", local], check=True)
    try:
        os.chown(local, owner.st_uid, owner.st_gid)
        free = remote.free_space()
        assert free is not None
        assert 0 < free <= 1024 * 1024
        remote.append("log", b"one\n")
        with pytest.raises(RemoteFull, match="no space left on the target"):
            remote.write("large", [bytes(100_000)] * 20, 0o644)
        # What fits of it is taken back: half a line would spoil the next one as well.
        if not isinstance(remote, ShellRemote):
            with pytest.raises(RemoteFull, match="no space left on the target"):
                remote.append("log", bytes(100_000))
            assert (local / "log").read_bytes() == b"one\n"
        remote.remove("large")
        remote.append("log", b"two\n")
        given = Given()
        for number in range(200):
            given.file(f"file-{number}", content(50_000))
        with pytest.raises((RemoteFull, ExceptionGroup)) as caught:
            remote.put("", given)
        for error in failures_of(caught.value):
            assert isinstance(error, RemoteFull)
            assert "no space left on the target" in str(error)
        assert {str(error) for error in failures_of(caught.value)} == {text for _path, text in given.failed}
        assert given.failed
        assert len(given.finished) < 200
        assert (local / "log").read_bytes() == b"one\ntwo\n"
    finally:
        subprocess.run(["umount", "-l", local], check=True)


def quiet(_: Step) -> AbstractContextManager[None]:
    return nullcontext()


def test_copies_that_fail_together_are_one_failure(place: tuple[Remote, Path]) -> None:
    remote, _local = place
    assert isinstance(remote, SftpRemote)
    remote.make_directory("one", 0o755)
    remote.make_directory("two", 0o755)
    entries = [Entry(f"gone-{number}", Kind.FILE, 0o644) for number in range(3)]
    with pytest.raises(RemoteMissing, match="gone-"):
        SftpRemote.copy(remote, "one", "two", entries)


def test_what_is_no_file_is_not_copied_as_one(place: tuple[Remote, Path]) -> None:
    remote, _local = place
    assert isinstance(remote, SftpRemote)
    for path in ("one", "one/directory", "two"):
        remote.make_directory(path, 0o755)
    with pytest.raises(RemoteError, match=r"/one/directory: this is no file$"):
        SftpRemote.copy(remote, "one", "two", [Entry("directory", Kind.FILE, 0o644)])


def test_who_asks_to_stop_is_heard_between_two_copies(ssh_server: Sshd, ssh_directory: ServerDirectory) -> None:
    cancelled = threading.Event()
    with remote_on(ssh_server, ssh_directory.path, cancelled=cancelled) as remote:
        assert isinstance(remote, SftpRemote)
        done: list[int] = []

        def job(number: int) -> Job[None]:
            yield from requests.look(b"/")
            done.append(number)
            cancelled.set()

        with remote._sessions.one() as client:
            with pytest.raises(Interrupted):
                client.flow(job(number) for number in range(10_000))
            assert 0 < len(done) < 1000
            # What is begun after that cleans up.
            client.flow(job(number) for number in range(5))
            # What was all begun when somebody asked is done.
            cancelled.clear()
            client.run(job(20_000))
            assert done[-1] == 20_000


@pytest.mark.parametrize("place", ["ssh", "sftp_only"], indirect=True)
def test_a_read_only_file_system_is_told_whatever_was_to_be_changed(place: tuple[Remote, Path]) -> None:
    remote, local = place
    assert isinstance(remote, SftpRemote)
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", local], check=True)
    try:
        remote.make_directory("tree", 0o755)
        remote.write("tree/file", [b"x"], 0o644)
        subprocess.run(["mount", "-o", "remount,ro", local], check=True)
        changes: list[Callable[[], object]] = [
            lambda: SftpRemote.together(remote, [Remove("tree/file")], quiet),
            lambda: SftpRemote.together(remote, [SetMode("tree", 0o700)], quiet),
            lambda: SftpRemote.together(remote, [Rename("tree/file", "new")], quiet),
            lambda: SftpRemote.remove_tree(remote, "tree"),
            lambda: remote.make_directory("other", 0o755),
            lambda: remote.write("other", [b"x"], 0o644),
        ]
        for change in changes:
            with pytest.raises(RemoteDenied, match="read-only"):
                change()
    finally:
        subprocess.run(["umount", "-l", local], check=True)


def test_a_check_names_the_host_key_and_what_is_missing(
    place: tuple[Remote, Path], request: pytest.FixtureRequest
) -> None:
    remote, _ = place
    first, *rest = remote.findings()
    assert "SHA256:" in first.message
    assert len(rest) == ("sftp_only" in request.node.name)
    assert all("no shell" in finding.message for finding in rest)


def test_free_space_is_known(place: tuple[Remote, Path]) -> None:
    remote, _ = place
    assert (remote.free_space() or 0) > 1024 * 1024


def test_a_server_that_allows_few_sessions_is_enough(tmp_path: Path) -> None:
    class Few(Sshd):
        def _configuration(self) -> list[str]:
            # The first value counts.
            return ["MaxSessions 2", "ForceCommand internal-sftp", *super()._configuration()]

    directory = tmp_path / "sshd"
    directory.mkdir()
    given = Given()
    for number in range(60):
        given.file(f"{number}", b"%d" % number)
    with Few(directory) as server, remote_on(server, str(tmp_path / "site")) as remote:
        remote.make_directory("", 0o755)
        remote.put("", given)
        assert lying(tmp_path / "site") == given.expected()
        assert isinstance(remote, SftpRemote)
        remote.transport.close()
        with pytest.raises((RemoteError, ExceptionGroup)) as caught:
            remote.put("", given)
        assert all("connection was lost" in str(error) for error in failures_of(caught.value))


def test_the_root_may_be_relative_to_the_login_directory(ssh_server: Sshd) -> None:
    with remote_on(ssh_server, "some/./site/") as one, remote_on(ssh_server, "~/some/site") as two:
        assert one.root == two.root
        assert one.root.endswith("/some/site")
        assert one.root.startswith("/")
    with remote_on(ssh_server, "~") as home:
        assert home.stat("") is not None
    with remote_on(ssh_server, "//srv//site") as absolute:
        assert absolute.root == "/srv/site"


def test_a_connection_that_is_gone_is_told(ssh_server: Sshd, ssh_directory: ServerDirectory) -> None:
    with remote_on(ssh_server, ssh_directory.path) as remote:
        assert isinstance(remote, SftpRemote)
        remote.transport.close()
        with pytest.raises(RemoteError, match="connection was lost"):
            remote.list("")
        with pytest.raises(RemoteError, match="connection was lost"):
            remote.remove_tree("x")
        given = Given()
        given.file("file")
        with pytest.raises(RemoteError, match="connection was lost"):
            remote.put("", given)


def test_a_script_that_does_nothing_is_given_up(ssh_server: Sshd) -> None:
    with remote_on(ssh_server) as remote:
        assert isinstance(remote, SftpRemote)
        for stdin in ([], [bytes(1024 * 1024)] * 64):
            with pytest.raises(RemoteError, match=r"did nothing for 1 s"):
                run(remote.transport, "exec sleep 30", patience=1, stdin=stdin)
        # One that is slow and says so is let run.
        slow = "for each in 1 2 3 4; do sleep 0.5; echo $each; done"
        assert run(remote.transport, slow, patience=1).stdout == b"1\n2\n3\n4\n"


def test_a_script_that_hangs_is_left_when_somebody_asks_to_stop(
    ssh_server: Sshd, ssh_directory: ServerDirectory
) -> None:
    cancelled = threading.Event()
    with remote_on(ssh_server, ssh_directory.path, cancelled=cancelled) as remote:
        remote.make_directory("one", 0o755)
        remote.make_directory("two", 0o755)
        # Nobody writes into the pipe: who reads it waits.
        os.mkfifo(ssh_directory.local / "one/pipe", 0o666)
        (ssh_directory.local / "one/pipe").chmod(0o666)
        given = Given()
        given.file("pipe")
        timer = threading.Timer(0.5, cancelled.set)
        timer.start()
        with pytest.raises(Interrupted):
            remote.copy("one", "two", given.entries)
        timer.join()
        # What is begun after that cleans up.
        remote.remove_tree("two")
        assert remote.stat("two") is None
        # The copy that was left goes on only now.
        os.close(os.open(ssh_directory.local / "one/pipe", os.O_RDWR | os.O_NONBLOCK))


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), EOFError()], ids=["Ctrl-C", "lost answer"])
def test_a_session_that_was_left_in_a_request_is_not_used_again(
    ssh_server: Sshd, ssh_directory: ServerDirectory, failure: BaseException
) -> None:
    with remote_on(ssh_server, ssh_directory.path) as remote:
        assert isinstance(remote, SftpRemote)

        def failing() -> Job[None]:
            yield from requests.look(b"/")
            raise failure

        with pytest.raises(type(failure)), remote._sessions.one() as first:
            first.run(failing())
        with remote._sessions.one() as second:
            assert (second is first) == isinstance(failure, EOFError)
            assert second.run(requests.look(b"/"))


def test_a_session_that_the_server_ended_is_replaced(ssh_server: Sshd, ssh_directory: ServerDirectory) -> None:
    with remote_on(ssh_server, ssh_directory.path) as remote:
        assert isinstance(remote, SftpRemote)
        with remote._sessions.one() as only:
            only._channel.close()
        with pytest.raises(RemoteError, match="connection was lost"):
            remote.stat("")
        assert remote.stat("")


def test_a_failed_request_keeps_its_session(ssh_server: Sshd, ssh_directory: ServerDirectory) -> None:
    with remote_on(ssh_server, ssh_directory.path) as remote:
        assert isinstance(remote, SftpRemote)
        with remote._sessions.one() as before:
            pass
        with pytest.raises(RemoteMissing):
            remote.read("missing", 1)
        with remote._sessions.one() as after:
            assert after is before


def test_a_file_that_holds_more_than_it_said_is_an_error_and_no_cut(ssh_server: Sshd) -> None:
    with remote_on(ssh_server, "/proc/self") as remote:
        found = remote.stat("status")
        assert found
        assert found.size == 0
        with pytest.raises(RemoteError, match="grew past 10 bytes"):
            remote.read("status", 10)


def test_a_tree_is_removed_though_listings_lack_attributes(
    place: tuple[Remote, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = requests.names

    def silent(path: bytes) -> Job[list[Listed]]:
        found = yield from names(path)
        return [each._replace(attributes=Attributes(0, 0, 0)) for each in found]

    monkeypatch.setattr(requests, "names", silent)
    remote, local = place
    assert isinstance(remote, SftpRemote)
    given = odd_names()
    remote.make_directory("one", 0o755)
    remote.put("one", given)
    assert {found.kind for found in remote.list("one")} == {Kind.DIRECTORY, Kind.FILE, Kind.SYMLINK}
    SftpRemote.remove_tree(remote, "one")
    assert not (local / "one").exists()


def test_listings_have_times_so_that_a_heartbeat_can_be_told(place: tuple[Remote, Path]) -> None:
    remote, local = place
    remote.write("file", [b"x"], 0o644)
    moment = 1_700_000_000
    os.utime(local / "file", (moment, moment))
    assert [found.mtime for found in remote.list("") if found.name == "file"] == [moment]
    found = remote.collect(("file",), limit=10)
    assert found["file"].stat.mtime == moment
