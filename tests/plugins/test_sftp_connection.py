"""Who the server is, who we are, and what is said when either is not so."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from plugins.sftp_target import remote_on, table
from pushkit import Severity, TargetError
from pushkit.files import RemoteError
from pushkit.testing import Account, Dropbear, KeyPair, ServerDirectory, Sshd, can_make_accounts, known_host
from pushkit.testing.leftovers import nothing_left_open
from pushkit_sftp import openssh_login, openssh_transport
from pushkit_sftp.channel import probe
from pushkit_sftp.destination import destination
from pushkit_sftp.host_keys import HostKey
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.session import connected
from pushkit_sftp.shell_remote import SftpShellRemote

pytestmark = pytest.mark.usefixtures("transport")
# Of a pin ssh knows nothing: then auto takes what does.
PINNED: dict[str, Any] = {"transport": "auto"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No key, agent or known host of the person who runs the tests takes part."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Every thread of a connection has ended when the connection is closed or has failed."""
    with nothing_left_open():
        yield


def fingerprint(server: Sshd) -> str:
    """The server's fingerprint, by OpenSSH's own program."""
    public = server.known_hosts.parent / "fingerprint.pub"
    public.write_text(server.host_key + "\n")
    done = subprocess.run(["ssh-keygen", "-l", "-f", public], check=True, capture_output=True, text=True)
    return done.stdout.split()[1]


def refused(server: Sshd, **more: Any) -> tuple[TargetError, str]:
    """The error of a connection that must fail, and what the server logged of it."""
    before = len(server.log)
    with pytest.raises(TargetError) as caught, remote_on(server, **more):
        pass
    # The server logs the end of a connection when it sees it; until a login it says where it was.
    for _ in range(200):
        if "[preauth]" in server.log[before:]:
            break
        threading.Event().wait(0.02)
    return caught.value, server.log[before:]


def other_key(tmp_path: Path) -> str:
    return KeyPair.generate(tmp_path / "other").public


def nobody_tried(log: str) -> bool:
    """Whether no authentication was begun: OpenSSH names the user on each line from then on."""
    return "Connection from" in log and not any(
        word in log for word in ("Failed", "Accepted", "authenticating user", "Postponed", "invalid user")
    )


def test_an_unknown_host_key_ends_the_connection_before_a_login(ssh_server: Sshd, tmp_path: Path) -> None:
    error, log = refused(ssh_server, known_hosts=str(tmp_path / "known"), password="secret")
    assert error.exit_code == 7
    assert f"ssh-ed25519 {fingerprint(ssh_server)}" in error.message
    trusting = f"push trust --known-hosts {tmp_path}/known {ssh_server.user}@127.0.0.1:{ssh_server.port}"
    assert trusting in error.hint
    assert f'host_key = "{fingerprint(ssh_server)}"' in error.hint
    assert nobody_tried(log), log


def test_a_changed_host_key_ends_the_connection_before_a_login(ssh_server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    key = other_key(tmp_path)
    known.write_text("# a comment\n" + known_host(ssh_server.host, ssh_server.port, key))
    error, log = refused(ssh_server, known_hosts=str(known), password="secret")
    assert "CHANGED" in error.message
    assert fingerprint(ssh_server) in error.message
    assert key.split()[1] not in error.message
    assert f"{known}, line 2" in error.message
    assert f"ssh-keygen -R '[127.0.0.1]:{ssh_server.port}'" in error.hint
    assert nobody_tried(log), log


def test_a_revoked_host_key_is_refused_though_it_is_known_too(ssh_server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    line = known_host(ssh_server.host, ssh_server.port, ssh_server.host_key)
    known.write_text(f"{line}@revoked * {ssh_server.host_key}\n")
    for pin in ("", fingerprint(ssh_server)):
        error, log = refused(ssh_server, known_hosts=str(known), host_key=pin, **(PINNED if pin else {}))
        assert "revoked" in error.message
        assert nobody_tried(log), log


def test_a_hashed_name_is_found(ssh_server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text(known_host(ssh_server.host, ssh_server.port, ssh_server.host_key))
    subprocess.run(["ssh-keygen", "-H", "-f", known], check=True, capture_output=True)
    assert known.read_text().startswith("|1|")
    with remote_on(ssh_server, known_hosts=str(known)):
        pass


def test_a_pinned_fingerprint_needs_no_known_hosts(ssh_server: Sshd, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with remote_on(ssh_server, known_hosts=missing, host_key=fingerprint(ssh_server), **PINNED):
        pass
    wrong = HostKey("ssh-ed25519", b"another").fingerprint
    error, log = refused(ssh_server, known_hosts=missing, host_key=wrong, **PINNED)
    assert wrong in error.message
    assert fingerprint(ssh_server) in error.message
    assert nobody_tried(log), log


def test_a_pin_is_more_than_ssh_can_do(ssh_server: Sshd) -> None:
    error, log = refused(ssh_server, host_key=fingerprint(ssh_server), transport="openssh")
    assert "ssh knows no fingerprints" in error.message
    assert "auto" in error.hint
    # Whether the server has started is found out by a connection, of which it may say so late.
    assert not re.search("preauth|Accepted|Failed", log)


class TwoKeys(Sshd):
    """A server with an RSA key, too."""

    def _configuration(self) -> list[str]:
        rsa = self._directory / "rsa"
        command = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)]
        subprocess.run(command, check=True)
        return [f"HostKey {rsa}", *super()._configuration()]


def test_the_type_of_key_that_is_known_is_the_one_asked_for(tmp_path: Path) -> None:
    directory = tmp_path / "sshd"
    directory.mkdir()
    with TwoKeys(directory) as server:
        rsa = " ".join((directory / "rsa.pub").read_text().split()[:2])
        server.known_hosts.write_text(known_host(server.host, server.port, rsa))
        with remote_on(server):
            pass
        server.known_hosts.write_text(known_host(server.host, server.port, server.host_key))
        with remote_on(server):
            pass


def test_a_pin_turns_known_hosts_off(tmp_path: Path) -> None:
    directory = tmp_path / "sshd"
    directory.mkdir()
    with TwoKeys(directory) as server:
        rsa = " ".join((directory / "rsa.pub").read_text().split()[:2])
        server.known_hosts.write_text(known_host(server.host, server.port, rsa))
        with remote_on(server, host_key=fingerprint(server), **PINNED):
            pass
        with remote_on(server, known_hosts=str(directory), host_key=fingerprint(server), **PINNED):
            pass
        with pytest.raises(TargetError, match="cannot be read"), remote_on(server, known_hosts=str(directory)):
            pass


def test_a_password_logs_in(password_account: Sshd) -> None:
    with remote_on(password_account, key=None, password=password_account.password) as remote:
        assert remote.root.endswith("/site")


def test_a_wrong_password_is_one_clear_message(password_account: Sshd) -> None:
    with pytest.raises(TargetError) as caught, remote_on(password_account, key=None, password="wrong-one"):
        pass
    assert caught.value.exit_code == 7
    assert f"does not let {password_account.user} in" in caught.value.message
    assert "Tried: password" in caught.value.message
    assert "It takes: password, publickey" in caught.value.message
    assert "wrong-one" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "settings",
    [
        ["AuthenticationMethods publickey,password"],
        ["KbdInteractiveAuthentication yes", "PasswordAuthentication no", "PubkeyAuthentication no"],
    ],
    ids=["key and password", "keyboard-interactive"],
)
def test_other_ways_to_log_in(settings: list[str], tmp_path: Path) -> None:
    class Other(Sshd):
        def _configuration(self) -> list[str]:
            # The first value counts.
            return [*settings, *super()._configuration()]

    if not can_make_accounts():
        pytest.skip("a user with a password can only be made by root")
    directory = tmp_path / "sshd"
    directory.mkdir()
    account = Account()
    try:
        with Other(directory, account) as server:
            with remote_on(server, password=server.password) as remote:
                assert remote.stat("") is None
            with pytest.raises(TargetError, match="does not let"), remote_on(server, password="wrong"):
                pass
    finally:
        account.remove()


def test_without_any_credential_the_message_says_so(ssh_server: Sshd) -> None:
    with pytest.raises(TargetError, match=r"Tried: nothing.*It takes: .*publickey"), remote_on(ssh_server, key=None):
        pass


def test_a_usual_key_of_the_home_directory_is_tried(ssh_server: Sshd, home: Path) -> None:
    (home / ".ssh/id_ed25519").write_bytes(ssh_server.key.read_bytes())
    (home / ".ssh/id_ed25519").chmod(0o600)
    with remote_on(ssh_server, key=None):
        pass


def encrypted(key: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "encrypted"
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", copy], check=True, capture_output=True)
    return copy


def test_an_encrypted_key_needs_its_passphrase(ssh_server: Sshd, tmp_path: Path) -> None:
    key = str(encrypted(ssh_server.key, tmp_path))
    with remote_on(ssh_server, key=key, passphrase="open sesame"):
        pass
    with pytest.raises(TargetError, match="is encrypted, and there is no passphrase"), remote_on(ssh_server, key=key):
        pass
    with pytest.raises(TargetError, match="passphrase is wrong"), remote_on(ssh_server, key=key, passphrase="no"):
        pass
    with pytest.raises(TargetError, match="cannot be read: No such file"), remote_on(ssh_server, key="missing"):
        pass


@pytest.mark.parametrize("transport", ["openssh"], indirect=True)
def test_a_key_that_ssh_does_not_take_is_told_with_the_reason(ssh_server: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(ssh_server.key.read_bytes())
    key.chmod(0o644)
    error, _ = refused(ssh_server, key=str(key))
    assert error.message == f"the key {key} cannot be used: others may read it"
    assert error.hint == f"chmod 600 {key}"
    key.write_text("no key\n")
    key.chmod(0o600)
    error, _ = refused(ssh_server, key=str(key))
    assert error.message == f"the key {key} cannot be used: it is no private key that is known"
    assert error.hint == "ssh-keygen -y -f FILE says more"


@pytest.mark.parametrize("transport", ["openssh"], indirect=True)
def test_a_host_key_that_the_configuration_of_ssh_leaves_out_is_told(ssh_server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host *\n  HostKeyAlgorithms rsa-sha2-512\n")
    error, _ = refused(ssh_server, ssh_config=str(tmp_path / "config"))
    where = f"127.0.0.1:{ssh_server.port}"
    assert error.message.startswith(f"{where}: ssh does not accept the host key: Unable to negotiate with ")
    assert error.message.endswith("no matching host key type found. Their offer: ssh-ed25519")
    assert error.hint == f"look at it: push trust {where}; and at ssh's configuration"


@pytest.mark.parametrize("transport", ["openssh"], indirect=True)
def test_a_server_that_introduces_itself_and_lets_nobody_in_is_given_up(ssh_server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-slow\r\n")
                over.wait(30)

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(TargetError, match=r"the server did not let anybody in within 0\.9 s") as caught:
            remote_on(ssh_server, port=listener.getsockname()[1], connect_timeout=0.3).__enter__()
        over.set()
        server.join()
    assert "`connect_timeout`" in caught.value.hint


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real SSH agent without keys."""
    path = str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:
            while not os.path.exists(path):
                threading.Event().wait(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            yield
        finally:
            process.terminate()


@pytest.mark.usefixtures("agent")
def test_a_key_of_the_agent_logs_in(ssh_server: Sshd) -> None:
    subprocess.run(["ssh-add", "-q", ssh_server.key], check=True)
    with remote_on(ssh_server, key=None, agent=True):
        pass


@pytest.mark.usefixtures("agent")
def test_an_agent_with_too_many_keys_is_told(ssh_server: Sshd, tmp_path: Path) -> None:
    for number in range(8):
        subprocess.run(["ssh-add", "-q", KeyPair.generate(tmp_path / f"key-{number}").path], check=True)
    with (
        pytest.raises(TargetError, match="ended the login") as caught,
        remote_on(ssh_server, key=None, agent=True),
    ):
        pass
    assert "agent = false" in caught.value.hint


@pytest.mark.usefixtures("agent")
def test_the_key_of_the_pushfile_goes_before_those_of_a_full_agent(ssh_server: Sshd, tmp_path: Path) -> None:
    for number in range(8):
        subprocess.run(["ssh-add", "-q", KeyPair.generate(tmp_path / f"key-{number}").path], check=True)
    with remote_on(ssh_server, agent=True):
        pass


def test_a_refused_port_is_told(ssh_server: Sshd) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TargetError, match=f"127.0.0.1:{port}: the connection was refused"):
            remote_on(ssh_server, port=port).__enter__()


def test_an_unknown_host_is_told(ssh_server: Sshd) -> None:
    with pytest.raises(TargetError, match=r"no-such-host\.invalid: there is no such host"):
        remote_on(ssh_server, host="no-such-host.invalid").__enter__()


def test_a_server_that_says_nothing_is_given_up(ssh_server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TargetError, match=r"no SSH server introduced itself within 0.3 s"):
            remote_on(ssh_server, port=port, connect_timeout=0.3).__enter__()


def test_failures_leave_nothing_on_standard_error(ssh_server: Sshd, capfd: pytest.CaptureFixture[str]) -> None:
    refused(ssh_server, known_hosts="/missing")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TargetError):
        remote_on(ssh_server, port=silent.getsockname()[1], connect_timeout=0.2).__enter__()
    assert capfd.readouterr() == ("", "")


def test_an_account_that_answers_no_command_has_no_shell(tmp_path: Path) -> None:
    class Hanging(Sshd):
        def _configuration(self) -> list[str]:
            return [*super()._configuration(), "ForceCommand sleep 20"]

    directory = tmp_path / "sshd"
    directory.mkdir()
    with Hanging(directory) as server:
        options = SftpOptions.of(table(server))
        there = destination(options, tmp_path, server.user)
        transport = connected(there, options, tmp_path, server.user)
        try:
            assert probe(transport, "echo", 0.3) is None
        finally:
            transport.close()


def test_a_shell_that_has_begun_to_answer_and_stops_is_not_taken_for_none(tmp_path: Path) -> None:
    class Slow(Sshd):
        def _configuration(self) -> list[str]:
            return [*super()._configuration(), "ForceCommand echo pushkit-shell; echo tar; exec sleep 20"]

    (tmp_path / "slow").mkdir()
    with Slow(tmp_path / "slow") as server:
        options = SftpOptions.of(table(server))
        with (
            closing(connected(destination(options, tmp_path, "me"), options, tmp_path, "me")) as transport,
            pytest.raises(RemoteError, match=r"did nothing for 0 s|no answer in time"),
        ):
            probe(transport, "echo", 0.3)


def test_no_configuration_of_ssh_is_one_too(ssh_server: Sshd) -> None:
    with remote_on(ssh_server, ssh_config="/dev/null") as remote:
        assert remote.stat("no such file") is None


def test_dropbear_lets_us_in(dropbear_server: Dropbear) -> None:
    with remote_on(dropbear_server) as remote:
        assert remote.capabilities.digests
    with remote_on(dropbear_server, key=None, password=dropbear_server.password):
        pass


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 200 OK\r\n\r\n"], ids=["hangs up", "speaks HTTP"])
def test_what_is_no_ssh_server_is_told_at_once_and_not_as_silence(ssh_server: Sshd, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(TargetError, match="hung up, or is no SSH server"):
            remote_on(ssh_server, port=listener.getsockname()[1]).__enter__()
        server.join()


class Weak(Sshd):
    """A server that has only what is weak; ``lines`` are those of sshd_config(5)."""

    def __init__(self, directory: Path, *lines: str) -> None:
        super().__init__(directory)
        self._lines = lines

    def _configuration(self) -> list[str]:
        rsa = self._directory / "rsa"
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)], check=True)
        return [f"HostKey {rsa}", *self._lines, *super()._configuration()[1:]]


def test_what_is_weak_is_told_and_what_ssh_has_given_up_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "weak").mkdir()
    with Weak(tmp_path / "weak", "Ciphers aes128-ctr", "MACs hmac-sha1") as server:
        public = (tmp_path / "weak/rsa.pub").read_text()
        server.known_hosts.write_text(known_host(server.host, server.port, public.strip()))
        with remote_on(server) as remote:
            told = [each.message for each in remote.findings() if each.severity is Severity.WARNING]
        assert any("2048 bits RSA, which is weak" in each for each in told)
        assert any("the MAC hmac-sha1, which is weak" in each for each in told)
    (tmp_path / "gone").mkdir()
    with (
        Weak(tmp_path / "gone", "Ciphers aes128-cbc") as server,
        pytest.raises(TargetError, match="shares no algorithm"),
        remote_on(server, known_hosts=str(tmp_path / "weak/known_hosts")),
    ):
        pass


@pytest.mark.parametrize("wanted", ["", "Ciphers aes256-ctr\n"], ids=["nothing said", "the user's own"])
@pytest.mark.parametrize("program", ["new", "old"])
def test_a_processor_that_has_aes_prefers_it_unless_the_configuration_of_ssh_says_otherwise(
    ssh_server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, program: str
) -> None:
    monkeypatch.setattr(openssh_login, "has_aes", lambda: True)
    configuration = tmp_path / "ssh_config"
    configuration.write_text(wanted)
    if program == "old":
        # Before 8.1 no list could begin so.
        real = shutil.which("ssh")
        script = tmp_path / "bin/ssh"
        script.parent.mkdir()
        script.write_text(
            f'#!/bin/sh\nif grep -q "Ciphers ^" "$2"; then echo "Bad SSH2 cipher spec." >&2; exit 255; fi\n'
            f'exec {real} "$@"\n'
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    options = SftpOptions.of(table(ssh_server, transport="openssh", ssh_config=str(configuration)))
    with closing(connected(destination(options, tmp_path, "me"), options, tmp_path, "me")) as transport:
        assert isinstance(transport, openssh_transport.OpensshTransport)
        (used,) = set(re.findall(r"kex: client->server cipher: (\S+)", transport.said()))
    usual = "aes128-gcm@openssh.com" if program == "new" else "chacha20-poly1305@openssh.com"
    assert used == ("aes256-ctr" if wanted else usual)


def test_machines_that_were_copied_are_told_of(ssh_server: Sshd) -> None:
    key = ssh_server.host_key.split(None, 2)[:2]
    others = {
        "127.0.0.99": True,
        f"[127.0.0.98]:{ssh_server.port},[{ssh_server.host}]:9": True,
        # The same machine, names that nobody knows, patterns, and another key.
        f"[{ssh_server.host}]:9": False,
        "no-such-host.invalid": False,
        "127.0.1.*": False,
        f"@revoked {ssh_server.host}.invalid": False,
    }
    known = ssh_server.known_hosts.read_text()
    for names, wanted in others.items():
        ssh_server.known_hosts.write_text(f"{known}{names} {' '.join(key)}\n")
        with remote_on(ssh_server) as remote:
            told = [each for each in remote.findings() if "copied from the other" in each.message]
        assert [each.severity for each in told] == [Severity.WARNING] * wanted, names
        assert all("127.0.0.9" in each.message and ", line " in each.message for each in told)
    ssh_server.known_hosts.write_text(f"{known}127.0.0.99 {key[0]} {'A' * 60}\n")
    with remote_on(ssh_server) as remote:
        assert not any("copied" in each.message for each in remote.findings())


@pytest.mark.usefixtures("transport")
def test_no_more_is_sent_in_a_second_than_the_limit_lets_through(
    ssh_server: Sshd, ssh_directory: ServerDirectory
) -> None:
    pieces = [os.urandom(100_000) for _ in range(6)]
    with remote_on(ssh_server, ssh_directory.path, rate_limit="400 kB") as remote:
        assert isinstance(remote, SftpShellRemote)
        start = time.monotonic()
        remote.write("file", pieces, 0o600)
        # The first tenth of a second goes at once.
        assert time.monotonic() - start >= 600_000 / 400_000 - 0.1 - 0.2
        start = time.monotonic()
        result = remote.run_script("cat >" + shlex.quote(f"{remote.root}/there"), pieces, bool, 20)
        assert time.monotonic() - start >= 600_000 / 400_000 - 0.1 - 0.2
        assert result.code == 0
    assert (ssh_directory.local / "file").read_bytes() == b"".join(pieces)
    assert (ssh_directory.local / "there").read_bytes() == b"".join(pieces)


@pytest.mark.usefixtures("transport")
def test_a_server_that_wants_other_keys_in_the_middle_of_a_file_gets_them(tmp_path: Path) -> None:
    class Changing(Sshd):
        def _configuration(self) -> list[str]:
            return ["RekeyLimit 1M", *super()._configuration()]

    (tmp_path / "sshd").mkdir()
    pieces = [os.urandom(1 << 20) for _ in range(24)]
    with Changing(tmp_path / "sshd") as server, remote_on(server, str(tmp_path / "site")) as remote:
        remote.make_directory("", 0o755)
        remote.write("file", pieces, 0o600)
    assert (tmp_path / "site/file").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize("limit", [0, -5, "fast", "0 MB"])
def test_a_limit_that_is_none_is_refused(ssh_server: Sshd, limit: object) -> None:
    with pytest.raises(ValueError, match="rate_limit"):
        remote_on(ssh_server, rate_limit=limit).__enter__()


class Narrow(Sshd):
    """A server that lets one session at a time share a connection."""

    def _configuration(self) -> list[str]:
        return ["MaxSessions 1", *super()._configuration()]


@pytest.mark.usefixtures("transport")
def test_a_server_with_room_for_one_session_has_room_for_all_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "narrow").mkdir()
    with Narrow(tmp_path / "narrow") as server, server.new_directory() as directory:
        with remote_on(server, directory.path) as remote:
            assert isinstance(remote, SftpShellRemote)
            for _ in range(3):
                assert remote.run_script("echo here", (), bool, 20).stdout == b"here\n"
        with remote_on(server, directory.path) as remote:
            # A session of SFTP takes the place of the channel that was opened ahead.
            remote.write("file", [b"x"], 0o600)
            assert remote.read("file", 1) == b"x"
