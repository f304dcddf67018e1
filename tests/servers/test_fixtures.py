"""The servers that the other tests rely on, asked by clients that are not ours: OpenSSH's, and paramiko's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest

from pushkit.testing import Dropbear, EmbeddedSsh, ServerDirectory, Sshd, SshServer
from pushkit.testing.plugin import require

BIG = os.urandom(1 << 20) * 10


def options(server: SshServer | EmbeddedSsh) -> list[str]:
    """Options of ssh and sftp that log in with the server's key, and only where its host key is known."""
    settings = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityFile": str(server.key),
        "Port": str(server.port),
        "StrictHostKeyChecking": "yes",
        "User": server.user,
        "UserKnownHostsFile": str(server.known_hosts),
    }
    return ["-F", "none", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]


def ssh(
    server: SshServer | EmbeddedSsh, command: str, stdin: bytes = b"", check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Run a command on the server with OpenSSH's client."""
    return subprocess.run(
        ["ssh", *options(server), server.host, command], input=stdin, capture_output=True, check=check, timeout=60
    )


def sftp(server: SshServer | EmbeddedSsh, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands of OpenSSH's sftp on the server."""
    return subprocess.run(
        ["sftp", *options(server), "-b", "-", server.host],
        input="\n".join(commands) + "\n", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def connect(server: SshServer | EmbeddedSsh, **how: str) -> paramiko.SSHClient:
    """A paramiko client that is logged in, by the server's key unless ``how`` has a password."""
    client = paramiko.SSHClient()
    client.load_host_keys(str(server.known_hosts))
    if "password" not in how:
        how["key_filename"] = str(server.key)
    client.connect(
        server.host, server.port, server.user, allow_agent=False, look_for_keys=False, timeout=20, **how,  # type: ignore[arg-type]
    )  # fmt: skip
    return client


@pytest.fixture
def client(embedded_ssh: EmbeddedSsh) -> Iterator[paramiko.SSHClient]:
    """A client of the embedded server."""
    with connect(embedded_ssh) as connected:
        yield connected


@pytest.fixture
def files(client: paramiko.SSHClient) -> Iterator[paramiko.SFTPClient]:
    """An SFTP session on the embedded server."""
    with client.open_sftp() as opened:
        yield opened


# OpenSSH and Dropbear


def test_sshd_lets_the_key_in_and_the_directory_is_the_same_on_both_sides(
    ssh_server: Sshd, ssh_directory: ServerDirectory
) -> None:
    ssh(ssh_server, f"cat > {ssh_directory.path}/sent", b"content")
    assert (ssh_directory.local / "sent").read_bytes() == b"content"
    assert (ssh_directory.local / "sent").owner() == ssh_server.user
    assert ssh(ssh_server, "id -un").stdout.decode().strip() == ssh_server.user
    assert "Accepted publickey" in ssh_server.log


def test_sshd_lets_the_password_in_and_no_other(password_account: Sshd) -> None:
    with connect(password_account, password=password_account.password) as client:
        assert client.exec_command("id -un")[1].read().decode().strip() == password_account.user
    with pytest.raises(paramiko.AuthenticationException):
        connect(password_account, password="wrong")


def test_sshd_serves_files(ssh_server: Sshd, ssh_directory: ServerDirectory) -> None:
    with connect(ssh_server) as client, client.open_sftp() as session:
        session.mkdir(f"{ssh_directory.path}/made")
    assert (ssh_directory.local / "made").is_dir()


def test_sftp_only_server_serves_files_below_its_root_and_refuses_commands(
    sftp_only_server: Sshd, sftp_only_directory: ServerDirectory, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("content")
    done = sftp(sftp_only_server, f"put {tmp_path / 'file'} {sftp_only_directory.path}/file", "pwd")
    assert done.returncode == 0, done.stderr
    assert "/www" in done.stdout
    assert (sftp_only_directory.local / "file").read_text() == "content"
    refused = ssh(sftp_only_server, "true", check=False)
    assert refused.returncode == 1
    assert b"sftp connections only" in refused.stdout


def test_dropbear_runs_commands_and_serves_files(
    dropbear_server: Dropbear, dropbear_directory: ServerDirectory
) -> None:
    ssh(dropbear_server, f"cat > {dropbear_directory.path}/sent", BIG)
    assert (dropbear_directory.local / "sent").read_bytes() == BIG
    with connect(dropbear_server, password=dropbear_server.password) as client, client.open_sftp() as session:
        assert session.listdir(dropbear_directory.path) == ["sent"]


def test_a_stopped_server_takes_its_sessions_and_what_they_run_along(tmp_path: Path) -> None:
    if not Sshd.installed():
        pytest.skip("sshd is not installed")
    with Sshd(tmp_path) as server:
        session = subprocess.Popen(
            ["ssh", *options(server), server.host, "echo $$; exec sleep 1000"], stdout=subprocess.PIPE
        )
        assert session.stdout is not None
        remote = int(session.stdout.readline())
        assert Path(f"/proc/{remote}").exists()
    session.communicate(timeout=20)
    assert not running(remote)
    with pytest.raises(OSError, match="Unable to connect"):
        connect(server)


def running(process: int) -> bool:
    """Whether a process does anything yet. One that nobody has waited for does not."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if "State:\tZ" in Path(f"/proc/{process}/status").read_text():
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.02)
    return True


# The embedded server: who gets in


def test_embedded_server_lets_in_the_key_and_the_password_of_its_user_only(
    embedded_ssh: EmbeddedSsh, tmp_path: Path
) -> None:
    connect(embedded_ssh).close()
    connect(embedded_ssh, password=embedded_ssh.password).close()
    with pytest.raises(paramiko.AuthenticationException):
        connect(embedded_ssh, password="wrong")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    with pytest.raises(paramiko.AuthenticationException):
        connect(embedded_ssh, key_filename=str(tmp_path / "other"), password="wrong")


def test_embedded_server_without_a_password_takes_none(tmp_path: Path) -> None:
    with EmbeddedSsh(tmp_path) as server:
        with pytest.raises(paramiko.BadAuthenticationType):
            connect(server, password="")
        connect(server).close()


def test_embedded_server_ends_with_its_threads_commands_and_keys(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with EmbeddedSsh(tmp_path) as server:
        client = connect(server)
        _, stdout, _ = client.exec_command("echo $$; exec sleep 1000")
        process = int(stdout.readline())
        session = client.open_sftp()
        session.listdir(".")
    client.close()  # not the session: its farewell meets a server that has just gone, or not yet
    assert not running(process)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread
    assert not server.key.exists()


def test_embedded_server_ends_commands_whose_client_has_long_gone(tmp_path: Path) -> None:
    with EmbeddedSsh(tmp_path) as server:
        with connect(server) as client:
            process = int(client.exec_command("echo $$; exec sleep 1000")[1].readline())
        with connect(server):
            assert Path(f"/proc/{process}").exists()
    assert not running(process)


# The embedded server: commands


def test_embedded_command_has_its_streams_status_and_home(embedded_ssh: EmbeddedSsh) -> None:
    done = ssh(embedded_ssh, "cat; pwd; echo bad >&2; exit 7", b"given\n", check=False)
    assert done.returncode == 7
    assert done.stdout.decode().splitlines() == ["given", str(embedded_ssh.directory)]
    assert done.stderr == b"bad\n"


def test_embedded_command_ended_by_a_signal_says_so_as_a_shell_does(embedded_ssh: EmbeddedSsh) -> None:
    assert ssh(embedded_ssh, "kill -9 $$", check=False).returncode == 128 + 9


def test_embedded_command_sees_a_login_environment_and_not_ours(
    embedded_ssh: EmbeddedSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "secret")
    found = ssh(embedded_ssh, "echo $HOME:$USER:$OURS").stdout.decode().strip()
    assert found == f"{embedded_ssh.directory}:{embedded_ssh.user}:"


def test_embedded_command_that_reads_nothing_does_not_block_its_client(embedded_ssh: EmbeddedSsh) -> None:
    assert ssh(embedded_ssh, "exec <&-; sleep 0.1; echo done", BIG).stdout == b"done\n"


def test_ten_megabytes_pass_a_command_both_ways_at_once(embedded_ssh: EmbeddedSsh, client: paramiko.SSHClient) -> None:
    assert ssh(embedded_ssh, "tee copy", BIG).stdout == BIG
    assert (embedded_ssh.directory / "copy").read_bytes() == BIG
    stdin, stdout, _ = client.exec_command("cat")

    def feed() -> None:
        stdin.write(BIG)
        stdin.channel.shutdown_write()

    with ThreadPoolExecutor(1) as pool:
        fed = pool.submit(feed)
        assert stdout.read() == BIG
        fed.result()
    assert stdout.channel.recv_exit_status() == 0


def test_a_command_prints_much_to_both_streams_without_deadlock(embedded_ssh: EmbeddedSsh) -> None:
    done = ssh(embedded_ssh, "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero")
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_many_commands_at_once_on_one_connection_and_on_many(
    embedded_ssh: EmbeddedSsh, client: paramiko.SSHClient
) -> None:
    def run(on: paramiko.SSHClient, number: int) -> tuple[bytes, int]:
        _, stdout, _ = on.exec_command(f"echo {number}; exit {number}")
        return stdout.read(), stdout.channel.recv_exit_status()

    def run_alone(number: int) -> tuple[bytes, int]:
        with connect(embedded_ssh) as own:
            return run(own, number)

    expected = [(f"{number}\n".encode(), number) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: run(client, number), range(40))) == expected
        assert list(pool.map(run_alone, range(8))) == expected[:8]


# The embedded server: files


def test_ten_megabytes_pass_sftp_both_ways(
    embedded_ssh: EmbeddedSsh, files: paramiko.SFTPClient, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(BIG)
    files.put(str(tmp_path / "big"), "sent")
    assert (embedded_ssh.directory / "sent").read_bytes() == BIG
    files.get("sent", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == BIG
    done = sftp(embedded_ssh, f"put {tmp_path / 'big'} sent2", f"get sent2 {tmp_path / 'got2'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got2").read_bytes() == BIG


def test_files_are_made_listed_changed_and_removed(embedded_ssh: EmbeddedSsh, files: paramiko.SFTPClient) -> None:
    home = embedded_ssh.directory
    assert files.normalize(".") == str(home)
    files.mkdir("new", 0o750)
    assert (home / "new").stat().st_mode & 0o777 == 0o750
    with files.open("new/file", "wx") as file:
        file.write(b"0123456789")
    with files.open("new/file", "r+") as file:
        file.seek(4)
        file.write(b"--")
    with files.open("new/file", "a") as file:
        file.write(b"end")
    assert (home / "new/file").read_bytes() == b"0123--6789end"
    files.truncate("new/file", 4)
    files.chmod("new/file", 0o604)
    files.utime("new/file", (1, 2))
    found = files.stat("new/file")
    assert (found.st_size, found.st_mode, found.st_mtime) == (4, 0o100604, 2)
    files.symlink("file", "new/link")
    assert files.readlink("new/link") == "file"
    assert files.lstat("new/link").st_mode & 0o170000 == 0o120000  # type: ignore[operator]
    assert files.stat("new/link").st_mode == 0o100604
    assert sorted(files.listdir("new")) == ["file", "link"]
    files.rename("new/file", str(home / "moved"))
    files.posix_rename("new/link", "moved")
    assert os.readlink(home / "moved") == "file"
    files.remove("moved")
    files.rmdir("new")
    assert list(home.iterdir()) == []


def test_a_listing_is_complete_however_long(embedded_ssh: EmbeddedSsh, files: paramiko.SFTPClient) -> None:
    names = {f"file {number}" for number in range(300)}
    for name in names:
        (embedded_ssh.directory / name).touch()
    assert set(files.listdir(".")) == names


def test_failures_have_the_codes_of_openssh(
    embedded_ssh: EmbeddedSsh, files: paramiko.SFTPClient, ssh_server: Sshd, ssh_directory: ServerDirectory
) -> None:
    def failures(session: paramiko.SFTPClient, base: str) -> list[str]:
        with session.open(f"{base}/file", "w"):
            session.mkdir(f"{base}/full")
        with session.open(f"{base}/full/file", "w"):
            session.symlink("loop", f"{base}/loop")
        attempts = (
            lambda: session.stat(f"{base}/missing"),
            lambda: session.lstat(f"{base}/file/below"),
            lambda: session.stat(f"{base}/loop"),
            lambda: session.open(f"{base}/missing", "r"),
            lambda: session.open(f"{base}/file", "wx"),
            lambda: session.open(f"{base}/missing/file", "w"),
            lambda: session.listdir(f"{base}/missing"),
            lambda: session.listdir(f"{base}/file"),
            lambda: session.mkdir(f"{base}/full"),
            lambda: session.mkdir(f"{base}/missing/new"),
            lambda: session.rmdir(f"{base}/full"),
            lambda: session.remove(f"{base}/missing"),
            lambda: session.rename(f"{base}/file", f"{base}/full/file"),
            lambda: session.rename(f"{base}/missing", f"{base}/new"),
            lambda: session.posix_rename(f"{base}/file", f"{base}/full"),
            lambda: session.symlink("text", f"{base}/file"),
            lambda: session.readlink(f"{base}/file"),
            lambda: session.chmod(f"{base}/missing", 0o600),
            lambda: session.stat(f"{base}/{'x' * 300}"),
        )
        said = []
        for attempt in attempts:
            with pytest.raises(OSError) as raised:  # noqa: PT011  (which one it is, is the point)
                attempt()
            said.append(f"{type(raised.value).__name__} {raised.value.errno}")
        return said

    with connect(ssh_server) as client, client.open_sftp() as session:
        expected = failures(session, ssh_directory.path)
    assert failures(files, str(embedded_ssh.directory)) == expected


def test_the_clients_of_openssh_list_and_rename(embedded_ssh: EmbeddedSsh) -> None:
    (embedded_ssh.directory / "old").write_text("content")
    done = sftp(embedded_ssh, "rename old new", "mkdir directory", "ln -s new link", "ls -l", "pwd")
    assert done.returncode == 0, done.stderr
    assert [line.split()[-1] for line in done.stdout.splitlines() if line[:1] in "-dl"] == ["directory", "link", "new"]
    assert str(embedded_ssh.directory) in done.stdout


def test_names_that_are_not_utf8_are_bytes_like_any_other(
    embedded_ssh: EmbeddedSsh, files: paramiko.SFTPClient
) -> None:
    name = b"caf\xe9"
    with files.open(name, "w") as file:
        file.write(b"content")
    files.symlink(name, "link")
    files.rename(name, name + b" moved")
    assert (embedded_ssh.directory / os.fsdecode(name + b" moved")).read_bytes() == b"content"
    assert os.readlink(embedded_ssh.directory / "link") == os.fsdecode(name)
    done = subprocess.run(
        ["sftp", *options(embedded_ssh), "-b", "-", embedded_ssh.host],
        input=b"ls -1\n", capture_output=True, check=True, env=os.environ | {"LC_ALL": "C"},
    )  # fmt: skip
    assert b"\\351 moved" in done.stdout


# The fixtures themselves


def test_a_server_that_is_not_installed_skips_a_test_and_fails_it_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(Sshd):
        program = "no-such-sshd"

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-sshd is not installed"):
        require(Missing)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-sshd is not installed"):
        require(Missing)


def test_only_the_plugin_needs_pytest() -> None:
    code = "import sys, pushkit.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
