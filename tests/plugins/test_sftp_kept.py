"""A connection of ssh that is kept for the next push: who may have it, and when it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cli.project import PUSH
from cli.terminal import Terminal
from plugins.sftp_target import table
from pushkit import TargetError
from pushkit.files import Remote
from pushkit.testing import KeyPair, Sshd, known_host
from pushkit.testing.leftovers import nothing_left_open
from pushkit.testing.processes import descendants
from pushkit_sftp import openssh_transport
from pushkit_sftp.kept_login import OLD, PREFIX, private
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.session import open_remote
from recorder.sitecustomize import recorded

#: Seconds that a connection is kept in a test that waits for its end, and in the others.
SHORT, LONG = 1, 50


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    with nothing_left_open():
        yield


@pytest.fixture
def runtime() -> Iterator[Path]:
    """What a person has for as long as they are logged in. What is connected then ends with it."""
    directory = Path(tempfile.mkdtemp(prefix="run-", dir="/tmp"))
    try:
        yield directory
    finally:
        for master in masters(directory):
            os.kill(master, signal.SIGTERM)
        # Each takes its socket away.
        wait_until_over(directory)
        shutil.rmtree(directory)


@contextmanager
def connected(server: Sshd, runtime: Path, *, kept: int = LONG, **more: Any) -> Iterator[Remote]:
    options = SftpOptions.of(table(server, transport="openssh", **more))
    remote = open_remote(options, Path("/nowhere"), server.user, threading.Event(), kept=kept, runtime=str(runtime))
    try:
        yield remote
    finally:
        remote.close()


def commands() -> Iterator[tuple[int, list[bytes]]]:
    """Each process and what it is called with."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield int(each.parent.name), each.read_bytes().split(b"\0")


def masters(runtime: Path) -> list[int]:
    """The processes of ssh that keep a connection there."""
    inside = os.fsencode(runtime)
    return [process for process, words in commands()
            if words[0].endswith(b"ssh") and any(word.startswith(inside) for word in words)]  # fmt: skip


def sessions(server: Sshd) -> list[int]:
    """The processes of a server that serve somebody."""
    for process, words in commands():
        if b"listener" in words[0] and os.fsencode(server.known_hosts.parent) in words[0]:
            return descendants(process)
    raise AssertionError("the server does not run")


def logins(server: Sshd) -> int:
    """How often somebody was let in."""
    return server.log.count("Accepted publickey")


def wait_until_over(runtime: Path) -> None:
    end = time.monotonic() + 30
    while masters(runtime):
        assert time.monotonic() < end, "the connection is still there"
        time.sleep(0.05)


def test_a_connection_that_is_kept_is_taken_by_the_next_push_which_logs_in_nowhere(
    ssh_server: Sshd, runtime: Path
) -> None:
    before = logins(ssh_server)
    with connected(ssh_server, runtime) as remote:
        remote.make_directory("", 0o755)
        remote.write("first", [b"1"], 0o644)
    with connected(ssh_server, runtime) as remote:
        assert remote.read("first", 10) == b"1"
        remote.remove_tree("")
        assert "SSH-2.0-OpenSSH" in remote.findings()[0].message
    assert logins(ssh_server) == before + 1
    assert len(masters(runtime)) == 1


def test_only_its_owner_can_reach_it(ssh_server: Sshd, runtime: Path) -> None:
    with connected(ssh_server, runtime):
        pass
    assert (runtime / "pushkit").stat().st_mode & 0o777 == 0o700
    for directory in (runtime / "pushkit").glob(f"{PREFIX}*"):
        assert directory.is_symlink() or directory.stat().st_mode & 0o777 == 0o700
        assert (directory / "s").stat().st_mode & 0o077 == 0


def test_it_lies_nowhere_that_another_user_could_put_theirs(runtime: Path) -> None:
    above = runtime / "above"
    for mode, is_safe in ((0o777, False), (0o770, False), (0o1777, True), (0o700, True)):
        shutil.rmtree(above, ignore_errors=True)
        above.mkdir()
        above.chmod(mode)
        assert (private(above / "ours") is not None) == is_safe, oct(mode)
    (above / "link").symlink_to("ours")
    assert private(above / "link") is None
    (above / "ours").chmod(0o755)
    assert private(above / "ours") is None
    if os.geteuid() == 0:
        for stranger in (above / "ours", above):
            shutil.rmtree(above)
            (above / "ours").mkdir(0o700, parents=True)
            os.chown(stranger, 65534, -1)
            assert private(above / "ours") is None


def test_it_ends_when_nobody_has_used_it_for_a_while_and_not_before(ssh_server: Sshd, runtime: Path) -> None:
    with connected(ssh_server, runtime, kept=SHORT) as remote:
        # A person is asked something, say: longer than it would last without anybody.
        time.sleep(2.5 * SHORT)
        assert remote.stat("no such file") is None
    wait_until_over(runtime)
    before = logins(ssh_server)
    with connected(ssh_server, runtime, kept=SHORT) as remote:
        assert remote.stat("no such file") is None
    assert logins(ssh_server) == before + 1


def test_one_that_somebody_uses_is_nobody_elses(ssh_server: Sshd, runtime: Path) -> None:
    before = logins(ssh_server)
    with connected(ssh_server, runtime) as one, connected(ssh_server, runtime) as other:
        assert one.stat("no such file") is other.stat("no such file") is None
    assert logins(ssh_server) == before + 2


@pytest.mark.parametrize("way", ["the server hung up", "ssh was killed", "its socket is gone"])
def test_one_that_is_over_is_replaced_by_a_new_one(ssh_server: Sshd, runtime: Path, way: str) -> None:
    with connected(ssh_server, runtime):
        pass
    (master,) = masters(runtime)
    if way == "its socket is gone":
        (socket,) = (runtime / "pushkit").glob(f"{PREFIX}*/s")
        socket.unlink()
    else:
        os.kill(master, signal.SIGKILL if way == "ssh was killed" else signal.SIGTERM)
    before = logins(ssh_server)
    with connected(ssh_server, runtime) as remote:
        assert remote.stat("no such file") is None
    assert logins(ssh_server) == before + 1


def test_one_whose_server_does_not_answer_any_more_is_replaced_by_a_new_one(
    ssh_server: Sshd, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssh_transport, "SOON", 0.5)
    with connected(ssh_server, runtime):
        pass
    before = logins(ssh_server)
    # As on a network that is another one since: what is sent gets nowhere, and nobody hears of it.
    stopped: list[int] = []
    for each in sessions(ssh_server):
        with suppress(ProcessLookupError):  # a channel's, which just came to its end
            os.kill(each, signal.SIGSTOP)
            stopped.append(each)
    assert stopped
    try:
        with connected(ssh_server, runtime) as remote:
            assert remote.stat("no such file") is None
    finally:
        for each in stopped:
            os.kill(each, signal.SIGCONT)
    assert logins(ssh_server) == before + 1
    with connected(ssh_server, runtime) as remote:
        assert remote.stat("no such file") is None
    assert logins(ssh_server) == before + 1


def test_another_user_key_port_or_option_finds_none(ssh_server: Sshd, runtime: Path, tmp_path: Path) -> None:
    with connected(ssh_server, runtime):
        pass
    before = logins(ssh_server)
    other = tmp_path / "other"
    shutil.copy(ssh_server.key, other)
    with connected(ssh_server, runtime, key=str(other)):
        pass
    assert logins(ssh_server) == before + 1
    with (
        pytest.raises(TargetError, match="does not let nobody-here in"),
        connected(ssh_server, runtime, user="nobody-here"),
    ):
        pass
    # A key that was put in the place of another is another one.
    KeyPair.generate(tmp_path / "stranger")
    (tmp_path / "stranger").replace(other)
    with pytest.raises(TargetError, match="does not let"), connected(ssh_server, runtime, key=str(other)):
        pass


def test_a_host_key_that_is_not_known_any_more_is_refused_all_the_same(
    ssh_server: Sshd, runtime: Path, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    shutil.copy(ssh_server.known_hosts, known)
    with connected(ssh_server, runtime, known_hosts=str(known)):
        pass
    known.write_text(f"@revoked {known_host(ssh_server.host, ssh_server.port, ssh_server.host_key)}")
    with pytest.raises(TargetError, match="revoked"), connected(ssh_server, runtime, known_hosts=str(known)):
        pass


@pytest.mark.parametrize("way", ["others may enter", "it is a link", "no such directory", "its name is long"])
def test_without_a_place_of_ones_own_none_is_kept(
    ssh_server: Sshd, runtime: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    place = runtime / "pushkit"
    usual = runtime / f"pushkit-{os.getuid()}"
    for each in (place, usual):
        if way == "it is a link":
            each.symlink_to("/tmp")
        else:
            each.mkdir(mode=0o755)
    gone = {"no such directory": runtime / "gone", "its name is long": runtime / ("x" * 100)}
    before = logins(ssh_server)
    for _ in range(2):
        with connected(ssh_server, gone.get(way, runtime)) as remote:
            assert remote.stat("no such file") is None
    assert logins(ssh_server) == before + 2
    assert not masters(runtime)


def test_what_a_password_opened_is_not_kept(password_account: Sshd, runtime: Path) -> None:
    before = password_account.log.count("Accepted password")
    for _ in range(2):
        with connected(password_account, runtime, key=None, password=password_account.password):
            pass
    assert password_account.log.count("Accepted password") == before + 2
    assert not masters(runtime)


def test_a_person_at_a_terminal_logs_in_once_and_a_job_each_time(
    ssh_server: Sshd, runtime: Path, tmp_path: Path
) -> None:
    lines = "".join(
        f"{key} = {str(value).lower() if isinstance(value, bool | int) else repr(value)}\n"
        for key, value in table(ssh_server, "typed", transport="openssh").items()
    )
    (tmp_path / "Pushfile").write_text(f'[target.live]\nstrategy = "sftp"\n{lines}')
    environment = {**os.environ, **recorded(), "XDG_RUNTIME_DIR": str(runtime)}
    command = [PUSH, "status", "live"]
    before = logins(ssh_server)
    for _ in range(2):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert logins(ssh_server) == before + 2
    assert not masters(runtime)
    for _ in range(2):
        with Terminal(command, tmp_path, environment) as terminal:
            code, _out = terminal.end()
            assert code == 0, terminal.seen
    assert logins(ssh_server) == before + 3


def test_what_is_left_of_those_that_were_killed_is_removed_by_a_later_login(ssh_server: Sshd, runtime: Path) -> None:
    with connected(ssh_server, runtime):
        pass
    (master,) = masters(runtime)
    os.kill(master, signal.SIGKILL)
    (dead,) = {each.resolve() for each in (runtime / "pushkit").glob(f"{PREFIX}*")}
    with connected(ssh_server, runtime):
        assert dead.exists(), "it may be one that is being made"
    for process in masters(runtime):
        os.kill(process, signal.SIGTERM)
    wait_until_over(runtime)
    long_ago = time.time() - 2 * OLD
    os.utime(dead, (long_ago, long_ago))
    with connected(ssh_server, runtime):
        assert not dead.exists()
