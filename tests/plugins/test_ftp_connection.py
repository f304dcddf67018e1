"""How the strategy ``ftp`` reaches servers: whom it trusts, what it does when they are full, idle, or cut off."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from plugins.ftp_target import remote_on
from pushkit import PushkitError, TargetError
from pushkit.files import RemoteError, RemoteLost, RemoteMissing
from pushkit.testing import (
    Account,
    CertificateAuthority,
    Fault,
    FaultProxy,
    FtpServer,
    ProFtpdFtp,
    PureFtpd,
    PyFtpd,
    VsFtpd,
    Way,
    can_make_accounts,
)
from pushkit.testing.given import Given, lying
from pushkit.testing.plugin import require
from pushkit_ftp.connection import Connection
from pushkit_ftp.data import connecting
from pushkit_ftp.digest import Digest, offered
from pushkit_ftp.handshake import shake_hands, wanted_group
from pushkit_ftp.replies import Reply
from pushkit_ftp.steps import Steps


@contextmanager
def running(kind: type[FtpServer], directory: Path, **more: object) -> Iterator[FtpServer]:
    """A server of a test's own, without TLS unless it is given a certificate."""
    require(kind)
    if kind is VsFtpd and not can_make_accounts():
        pytest.skip("a throw-away system user can only be made by root")
    account = Account() if can_make_accounts() and kind is not PyFtpd else None
    try:
        with kind(directory, account, **more) as server:  # type: ignore[arg-type]
            yield server
    finally:
        if account:
            account.remove()


def fingerprint(certificate: Path) -> str:
    found = x509.load_pem_x509_certificate(certificate.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    return sha256(found.public_bytes(Encoding.DER)).hexdigest()


# Whom it trusts


@pytest.mark.parametrize("kind", [VsFtpd, ProFtpdFtp])
@pytest.mark.parametrize(
    ("host", "expired", "words"),
    [("wrong.example.com", False, "mismatch|not valid for"), ("127.0.0.1", True, "expired")],
    ids=["wrong host", "expired"],
)
def test_a_bad_certificate_is_refused_before_anybody_says_who_they_are(  # noqa: PLR0917
    kind: type[FtpServer],
    host: str,
    expired: bool,
    words: str,
    tmp_path: Path,
    certificate_authority: CertificateAuthority,
) -> None:
    certificate = certificate_authority.issue(f"bad-{kind.__name__}-{expired}.pem", host, expired=expired)
    with running(kind, tmp_path, certificate=certificate, authority=certificate_authority.file) as server:
        with pytest.raises(TargetError, match=words) as caught, remote_on(server):
            pass
        assert "nothing was sent" in caught.value.message
        assert caught.value.hint
        assert "USER" not in server.log
        # What the owner of the target vouches for is let pass, and said so.
        with remote_on(server, ca_file=None, fingerprint=fingerprint(certificate)) as remote:
            assert remote.stat("nothing") is None
        assert "USER" in server.log


def test_a_certificate_that_nobody_vouches_for_is_refused(vsftpd_server: FtpServer) -> None:
    with pytest.raises(TargetError, match="not to be trusted") as caught, remote_on(vsftpd_server, ca_file=None):
        pass
    assert "`ca_file`" in caught.value.hint


def test_another_certificate_than_the_pinned_one_is_refused(tmp_path: Path, pyftpd_server: FtpServer) -> None:
    with (
        pytest.raises(TargetError, match="is not the one of `fingerprint`"),
        remote_on(pyftpd_server, ca_file=None, fingerprint="AB:" * 31 + "AB"),
    ):
        pass


def test_a_file_without_certificates_is_told(pyftpd_server: FtpServer) -> None:
    with pytest.raises(TargetError) as caught, remote_on(pyftpd_server, ca_file="missing.pem"):
        pass
    assert caught.value.message == "/nowhere/missing.pem: no certificates can be read there (No such file or directory)"
    assert caught.value.hint == "check `ca_file`"


def test_a_server_that_protects_no_data_gets_none(tmp_path: Path, certificate_authority: CertificateAuthority) -> None:
    certificate = certificate_authority.issue("no-prot.pem", "127.0.0.1")
    with running(
        PyFtpd,
        tmp_path,
        certificate=certificate,
        authority=certificate_authority.file,
        settings={"without": "PROT"},
    ) as server:
        with (
            pytest.raises(TargetError, match="does not protect data connections") as caught,
            remote_on(server) as remote,
        ):
            remote.stat("nothing")
        assert "nothing was sent" in caught.value.message
        assert caught.value.hint == "ask its owner for PROT P"


def test_a_server_without_tls_is_told_of_and_nobody_logs_in(tmp_path: Path) -> None:
    with running(ProFtpdFtp, tmp_path) as server:
        with pytest.raises(TargetError, match="offers no TLS") as caught, remote_on(server, tls="explicit"):
            pass
        assert "nobody logged in" in caught.value.message
        assert "USER" not in server.log
        with pytest.raises(TargetError, match="no TLS came about"), remote_on(server, tls="implicit"):
            pass


@pytest.mark.parametrize("kind", ["vsftpd", "proftpd_ftp", "pureftpd", "pyftpd"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_are_reused_in_both_versions_of_tls(kind: str, version: str, request: pytest.FixtureRequest) -> None:
    server: FtpServer = request.getfixturevalue(f"{kind}_server")
    with server.new_directory() as directory, remote_on(server, directory.path, tls_max=version) as remote:
        assert remote.server.protection.startswith(f"TLSv{version}")
        remote.write("file", [b"x" * 1_000_000], 0o644)
        assert (directory.local / "file").stat().st_size == 1_000_000
        assert remote.read("file", 1_000_000) == b"x" * 1_000_000


def test_a_server_that_wants_keys_of_another_group_is_asked_for_them_once(
    vsftpd_server: FtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[str] = []

    def noted(sock: ssl.SSLSocket, timeout: float) -> Steps[str]:
        wanted.append((yield from shake_hands(sock, timeout)))
        return wanted[-1]

    monkeypatch.setattr("pushkit_ftp.login.shake_hands", noted)
    # From a server so near that its answer is there at once, nobody learns what it wants.
    with (
        FaultProxy((vsftpd_server.host, vsftpd_server.port), delay=0.02) as far,
        vsftpd_server.new_directory() as directory,
        remote_on(vsftpd_server, directory.path, port=far.port, connections=1) as remote,
    ):
        remote.renew()
        remote.write("file", [b"x"], 0o644)
    # It is the only one of these servers that does not take the first one that OpenSSL offers.
    assert wanted == ["prime256v1", ""]


def test_what_a_server_wants_is_read_in_its_first_answer() -> None:
    retry = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
    message = b"\x03\x03" + retry + b"\x20" + bytes(32) + b"\x13\x02\x00"
    extensions = bytes.fromhex("002b00020304 003300020018")
    answer = b"\x16\x03\x03\x00\x58\x02\x00\x00\x54" + message + b"\x00\x0c" + extensions
    assert wanted_group(answer) == "secp384r1"
    assert [wanted_group(answer[:size]) for size in range(len(answer) - 2)] == [""] * (len(answer) - 2)
    assert wanted_group(answer.replace(retry, bytes(32))) == "", "it took the first one"
    assert wanted_group(answer.replace(b"\x00\x18", b"\xff\xff")) == ""
    assert wanted_group(b"220 hello\r\n" * 10) == ""


def test_implicit_tls_begins_with_it(tmp_path: Path, certificate_authority: CertificateAuthority) -> None:
    certificate = certificate_authority.issue("implicit.pem", "127.0.0.1")
    settings = {"implicit_ssl": "YES"}
    with (
        running(
            VsFtpd, tmp_path, certificate=certificate, authority=certificate_authority.file, settings=settings
        ) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path, tls="implicit") as remote,
    ):
        remote.write("file", [b"x"], 0o644)
        assert (directory.local / "file").read_bytes() == b"x"


def test_a_wrong_password_is_told_and_not_shown(pyftpd_server: FtpServer) -> None:
    with (
        pytest.raises(TargetError, match="is not let in") as caught,
        remote_on(pyftpd_server, password="not-the-password"),
    ):
        pass
    assert "not-the-password" not in f"{caught.value.message} {caught.value.hint}"


def test_a_host_that_speaks_ssh_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def greet() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                sock.recv(1)

        pool.submit(greet)
        server = PlainServer(listener.getsockname()[1])
        with pytest.raises(TargetError, match="no FTP server") as caught, remote_on(server):  # type: ignore[arg-type]
            pass
        assert 'strategy = "sftp"' in caught.value.hint


class PlainServer:
    """What a target's table is made of."""

    host, user, password, authority = "127.0.0.1", "ada", "secret", None

    def __init__(self, port: int) -> None:
        self.port = port


def test_a_server_that_does_not_greet_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = PlainServer(silent.getsockname()[1])
        with pytest.raises(TargetError) as caught, remote_on(server, connect_timeout=0.3):  # type: ignore[arg-type]
            pass
        assert caught.value.message == f"127.0.0.1:{server.port}: the server does not greet"
        assert 'tls = "implicit"' in caught.value.hint


def test_a_host_without_an_address_is_told_of() -> None:
    server = PlainServer(21)
    with pytest.raises(TargetError) as caught, remote_on(server, host="no-such-host.invalid"):  # type: ignore[arg-type]
        pass
    assert caught.value.message == "no-such-host.invalid: there is no host of that name"
    assert caught.value.hint == "check `host`"


def test_a_host_that_is_not_there_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TargetError, match="cannot be reached"), remote_on(PlainServer(port)):  # type: ignore[arg-type]
        pass


# Ways to the data


@pytest.mark.parametrize("kind", [VsFtpd, ProFtpdFtp])
@pytest.mark.parametrize(
    "more", [{"mode": "active"}, {"pipelining": False}, {"connections": 1}], ids=["active", "in turn", "one"]
)
def test_other_ways_lead_there_too(kind: type[FtpServer], more: dict[str, Any], tmp_path: Path) -> None:
    given = Given()
    for number in range(20):
        given.file(f"{number}", b"x" * number * 5000)
    with (
        running(kind, tmp_path) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path, **more) as remote,
    ):
        remote.put("", given)
        assert {name: found[2] for name, found in lying(directory.local).items()} == {
            name: found[2] for name, found in given.expected().items()
        }
        assert remote.verify("", given.entries) == []


def test_a_server_without_epsv_is_asked_with_pasv_and_its_address_is_not_heeded(tmp_path: Path) -> None:
    settings = {"masquerade_address": "192.0.2.1", "without": "EPSV"}
    with (
        running(PyFtpd, tmp_path, settings=settings) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path) as remote,
    ):
        remote.write("file", [b"x"], 0o644)
        assert remote.read("file", 1) == b"x"
        assert remote.server.epsv is False


def test_a_server_on_an_ipv6_address_is_reached(tmp_path: Path) -> None:
    with (
        running(PyFtpd, tmp_path, host="::1") as server,
        server.new_directory() as directory,
        remote_on(server, directory.path) as remote,
    ):
        remote.write("file", [b"x"], 0o644)
        assert remote.read("file", 1) == b"x"


# Servers that are full, or impatient


def test_a_server_that_lets_in_two_connections_is_used_with_two(tmp_path: Path) -> None:
    given = Given()
    for number in range(60):
        given.file(f"{number}", b"x" * number)
    with (
        running(VsFtpd, tmp_path, settings={"max_per_ip": "2"}) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path, connections=8) as remote,
    ):
        remote.put("", given)
        assert len(list(directory.local.iterdir())) == 60
        assert remote._access.pool.most == 2
        with pytest.raises(TargetError, match="no more connections"), remote_on(server, directory.path):
            pass


def test_a_server_far_away_gets_more_connections_and_no_more_than_are_allowed(pyftpd_server: FtpServer) -> None:
    with remote_on(pyftpd_server) as near:
        assert near.server.round_trip > 0
        # Whatever else this machine does.
        near.server.round_trip = 0.0004
        assert near.server.connections == 2
        near.server.round_trip = 0.002
        assert near.server.connections == 6
    with FaultProxy((pyftpd_server.host, pyftpd_server.port), delay=0.01) as far:
        with remote_on(pyftpd_server, port=far.port) as remote:
            assert remote.server.round_trip >= 0.01
            assert remote.server.connections == 16
        with remote_on(pyftpd_server, port=far.port, connections=2) as remote:
            assert remote.server.connections == 2


def test_a_refused_file_leaves_the_answers_of_its_connection_in_step(tmp_path: Path) -> None:
    with (
        running(VsFtpd, tmp_path) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path, connections=1) as remote,
    ):
        assert remote.server.in_turn
        for content in (b"", b"small", b"large" * 100_000):
            with pytest.raises(RemoteMissing):
                remote.write("missing/file", [content], 0o644)
            remote.write("file", [content], 0o640)
            assert remote.read("file", len(content)) == content
            assert (directory.local / "file").stat().st_mode & 0o777 == 0o640


def test_a_connection_that_was_idle_for_too_long_is_made_anew(tmp_path: Path) -> None:
    with (
        running(VsFtpd, tmp_path, settings={"idle_session_timeout": "3"}) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path) as remote,
    ):
        remote.make_directory("one", 0o755)
        time.sleep(5)
        remote.make_directory("two", 0o755)
        assert {path.name for path in directory.local.iterdir()} == {"one", "two"}


def test_who_waits_for_a_connection_that_turns_out_to_be_over_gets_another(
    pyftpd_server: FtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with remote_on(pyftpd_server, connections=1) as remote:
        looked = threading.Event()

        def over(_: Connection) -> bool:
            if looked.is_set():
                return False
            looked.set()
            deadline = time.monotonic() + 5
            while not remote._access.pool._waiting and time.monotonic() < deadline:
                time.sleep(0.01)
            return True

        monkeypatch.setattr(Connection, "stale", property(over))
        found: list[object] = []
        threads = [threading.Thread(target=lambda: found.append(remote.stat("nothing")), daemon=True) for _ in range(2)]
        threads[0].start()
        assert looked.wait(5)
        threads[1].start()
        for thread in threads:
            thread.join(10)
        assert found == [None, None]


# Connections that break


class Cut:
    """Breaks the first ``count`` data connections that carry more than ``after`` bytes up, in an orderly way or not."""

    def __init__(self, server: FtpServer, fault: Fault, after: int, count: int) -> None:
        self.left = count
        self._server = server
        self._fault = fault
        self._after = after
        self._connect = connecting
        self._relays: list[FaultProxy] = []

    def __call__(self, address: tuple[str, int], family: socket.AddressFamily, timeout: float) -> Steps[socket.socket]:
        if not self.left:
            return self._connect(address, family, timeout)
        self.left -= 1
        relay = FaultProxy(address)
        relay.start()
        relay.cut(self._fault, self._after, Way.UP)
        self._relays.append(relay)
        return self._connect((relay.host, relay.port), family, timeout)

    def stop(self) -> None:
        for relay in self._relays:
            relay.stop()


@pytest.mark.parametrize("kind", [VsFtpd, ProFtpdFtp])
@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.RESET])
def test_a_data_connection_that_ends_in_the_middle_is_no_success(
    kind: type[FtpServer], fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"AllowOverwrite": "on"} if kind is ProFtpdFtp else {}
    with (
        running(kind, tmp_path, settings=settings) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path, timeout=5) as remote,
    ):
        once, always = (Cut(server, fault, 50_000, count) for count in (1, 100))
        monkeypatch.setattr("pushkit_ftp.connection.connecting", once)
        remote.write("file", [b"x" * 200_000], 0o644)
        assert (directory.local / "file").stat().st_size == 200_000, "it is sent again"
        assert once.left == 0
        monkeypatch.setattr("pushkit_ftp.connection.connecting", always)
        with pytest.raises(RemoteError):
            remote.write("other", [b"x" * 200_000], 0o644)
        for cut in (once, always):
            cut.stop()


def test_a_control_connection_that_breaks_is_made_anew_for_what_may_be_done_twice(
    tmp_path: Path, fault_proxy: Callable[[str, int], FaultProxy]
) -> None:
    with running(VsFtpd, tmp_path) as server, server.new_directory() as directory:
        proxy = fault_proxy(server.host, server.port)
        with remote_on(server, directory.path, port=proxy.port) as remote:
            remote.write("file", [b"x"], 0o644)
            proxy.cut(Fault.RESET, 5, Way.UP, once=True)
            assert remote.read("file", 1) == b"x"
            proxy.cut(Fault.CLOSE, 5, Way.UP, once=True)
            with pytest.raises(RemoteLost, match="lost"):
                remote.make_directory("dir", 0o755)
            remote.renew()
            assert remote.stat("dir") is None
            proxy.cut(Fault.RESET)
            with pytest.raises(PushkitError) as caught:
                remote.stat("dir")
            assert caught.value.exit_code == 7


# Nobody waits for ever


def test_who_uses_a_connection_or_waits_for_one_is_told_when_push_hangs_up(
    pyftpd_server: FtpServer, fault_proxy: Callable[[str, int], FaultProxy]
) -> None:
    proxy = fault_proxy(pyftpd_server.host, pyftpd_server.port)
    told: list[RemoteLost] = []

    def ask() -> None:
        try:
            remote.stat("nothing")
        except RemoteLost as error:
            told.append(error)

    with remote_on(pyftpd_server, port=proxy.port, connections=1) as remote:
        proxy.cut(Fault.SILENCE)
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 20
        while len(remote._access.pool._waiting) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        start = time.monotonic()
        remote.close()
        for thread in threads:
            thread.join(20)
        proxy.heal()
    assert len(told) == 3, "an answer may take 60 seconds"
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("kind", ["vsftpd", "pyftpd"])
def test_a_silent_server_is_waited_for_once_and_not_for_each_file_or_directory(
    kind: str, request: pytest.FixtureRequest, fault_proxy: Callable[[str, int], FaultProxy]
) -> None:
    server: FtpServer = request.getfixturevalue(f"{kind}_server")
    proxy = fault_proxy(server.host, server.port)
    given = Given()
    for number in range(200):
        given.file(f"file {number}", bytes(number))
    patience: dict[str, Any] = {"timeout": 2, "connect_timeout": 2}
    with (
        server.new_directory() as directory,
        remote_on(server, directory.path, port=proxy.port, connections=4, **patience) as remote,
    ):
        remote.put("", given)
        proxy.heal()
        remote.put("", given)
        proxy.cut(Fault.SILENCE, proxy.carried[Way.UP] // 2)
        start = time.monotonic()
        with pytest.raises(RemoteLost, match="no answer in time"):
            remote.put("", given)
        proxy.heal()
        remote.renew()
        proxy.cut(Fault.SILENCE)
        with pytest.raises(TargetError):
            remote.kinds([f"{number}/file" for number in range(100)])
        seconds = time.monotonic() - start
        proxy.heal()
    # One after the other they would take a hundred times as long as one.
    assert seconds < 60


def test_small_files_go_on_over_another_connection_when_one_is_cut(
    vsftpd_server: FtpServer, fault_proxy: Callable[[str, int], FaultProxy]
) -> None:
    proxy = fault_proxy(vsftpd_server.host, vsftpd_server.port)
    given = Given()
    for number in range(100):
        given.file(f"{number}", bytes(number * 400))
    with (
        vsftpd_server.new_directory() as directory,
        remote_on(vsftpd_server, directory.path, port=proxy.port, connections=3) as remote,
    ):
        remote.put("", given)
        proxy.heal()
        remote.put("", given)
        given.finished.clear()
        proxy.cut(Fault.RESET, proxy.carried[Way.UP] // 2, once=True)
        remote.put("", given)
        assert proxy.broken.is_set()
        assert {path.name: path.stat().st_size for path in directory.local.iterdir()} == {
            str(number): number * 400 for number in range(100)
        }
        assert sorted(given.finished) == sorted(str(number) for number in range(100))
        assert given.failed == []


def test_an_answer_without_an_end_is_not_listened_to_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def babble() -> None:
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                while True:
                    sock.sendall(b"220-" + b"x" * 60 + b"\r\n")

        pool.submit(babble)
        server = PlainServer(listener.getsockname()[1])
        with pytest.raises(TargetError, match="without an end"), remote_on(server):  # type: ignore[arg-type]
            pass


def test_nothing_stays_of_a_connection(pyftpd_server: FtpServer) -> None:
    before = set(threading.enumerate())
    with pyftpd_server.new_directory() as directory, remote_on(pyftpd_server, directory.path) as remote:
        given = Given()
        for number in range(20):
            given.file(str(number))
        remote.put("", given)
    assert set(threading.enumerate()) <= before
    assert not re.search("Traceback", pyftpd_server.log)


def large_at(path: str) -> Given:
    """A large file to be sent."""
    given = Given()
    if "/" in path:
        given.directory(path.partition("/")[0])
    given.file(path, LARGE)
    return given


#: What a server needs so that it goes on with files, and in what it gives digests of them.
RESUMING = [
    pytest.param(VsFtpd, {}, "", id="vsftpd"),
    pytest.param(PureFtpd, {}, "", id="pureftpd"),
    pytest.param(ProFtpdFtp, {"AllowOverwrite": "on", "AllowStoreRestart": "on"}, "", id="proftpd"),
    pytest.param(
        ProFtpdFtp,
        {"AllowOverwrite": "on", "AllowStoreRestart": "on", "LoadModule": "mod_digest.c", "DigestEngine": "on"},
        "sha256",
        id="proftpd-digests",
    ),
    pytest.param(
        ProFtpdFtp,
        {
            "AllowOverwrite": "on",
            "AllowStoreRestart": "on",
            "LoadModule": "mod_digest.c",
            "DigestEngine": "on",
            "DigestAlgorithms": "crc32",
        },
        "crc32",
        id="proftpd-crc32",
    ),
]
LARGE = bytes(range(256)) * (12 * 1024)


@pytest.mark.parametrize(("kind", "settings", "digest"), RESUMING)
def test_a_large_file_goes_on_where_the_line_was_cut(
    kind: type[FtpServer], settings: dict[str, str], digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = large_at("large")
    with (
        running(kind, tmp_path, settings=settings) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path, timeout=5) as remote,
    ):
        assert (remote.server.digest.name if remote.server.digest else "") == digest
        assert remote.capabilities.digests == (digest == "sha256")
        remote.make_directory("tree", 0o755)
        # All that was sent before arrives: of what is reset nobody knows how much the server had read.
        cut = Cut(server, Fault.CLOSE, 2 << 20, 1)
        monkeypatch.setattr("pushkit_ftp.connection.connecting", cut)
        starts: list[int] = []
        storing = Connection.storing

        def noted(connection: Connection, *arguments: Any) -> Steps[list[Reply]]:
            starts.append(arguments[4])
            return storing(connection, *arguments)

        monkeypatch.setattr(Connection, "storing", noted)
        remote.put("tree", given)
        cut.stop()
        assert cut.left == 0
        assert (directory.local / "tree/large").read_bytes() == LARGE
        assert starts[0] == 0, starts
        assert starts[-1] > 1 << 20, starts
        assert remote.verify("tree", given.entries) == []
        (directory.local / "tree/large").write_bytes(LARGE[::-1])
        os.utime(directory.local / "tree/large", (1, 1))  # it knows the digest of a file until that has another time
        assert bool(remote.verify("tree", given.entries)) == (digest == "sha256")


@pytest.mark.parametrize(("kind", "settings", "digest"), [*RESUMING[:1], *RESUMING[-2:]])
def test_what_a_dead_push_has_sent_of_a_large_file_is_taken_up_and_compared(
    kind: type[FtpServer], settings: dict[str, str], digest: str, tmp_path: Path
) -> None:
    with (
        running(kind, tmp_path, settings=settings) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path) as remote,
    ):
        remote.make_directory("tree", 0o755)
        wrong = bytearray(LARGE[: 2 << 20])
        remote.write("right", [bytes(wrong)], 0o644)
        wrong[5] ^= 1
        remote.write("wrong", [bytes(wrong)], 0o644)
        for name in ("right", "wrong") if digest else ("right",):
            given = large_at(f"{name} place/large")
            given.begun = {f"{name} place/large": name}
            remote.put("tree", given)
            assert (directory.local / f"tree/{name} place/large").read_bytes() == LARGE
            assert not (directory.local / name).exists()
        assert re.search(r"\bREST\b.* 2031616", server.log)


def test_a_server_that_does_not_go_on_with_files_is_sent_them_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = large_at("large")
    with (
        running(ProFtpdFtp, tmp_path, settings={"AllowOverwrite": "on"}) as server,
        server.new_directory() as directory,
        remote_on(server, directory.path) as remote,
    ):
        remote.make_directory("tree", 0o755)
        remote.write("tree/large", [LARGE[: 2 << 20]], 0o644)
        remote.put("tree", given)
        assert (directory.local / "tree/large").read_bytes() == LARGE
        assert not remote.server.resumes


def test_the_best_digest_that_a_server_offers_is_asked_for() -> None:
    assert offered({"HASH": "CRC32;MD5*;SHA-256"}) == Digest("sha256", "HASH", 64, "OPTS HASH SHA-256")
    assert offered({"HASH": "MD5*", "XSHA256": ""}) == Digest("sha256", "XSHA256", 64)
    assert offered({"XCRC": "", "SIZE": ""}) == Digest("crc32", "XCRC", 8)
    assert offered({"SIZE": ""}) is None
    crc = Digest("crc32", "XCRC", 8)
    assert crc.of([b"123", b"456789"]) == "cbf43926" == crc.read(Reply(250, ("CBF43926",)))
    sha = sha256(b"x").hexdigest()
    found = offered({"XSHA256": ""})
    assert found
    assert found.of([b"x"]) == sha == found.read(Reply(250, (sha.upper(),)))
    assert not found.read(Reply(550, (sha,)))
    assert not found.read(Reply(213, ("no digest",)))
