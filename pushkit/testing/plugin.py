"""Real servers as pytest fixtures. pytest finds this module by itself wherever pushkit is installed.

Servers run once for a test session (with pytest-xdist: once for a worker, each with its own ports and users);
directories on them are fresh for each test. A fixture whose server's program is not installed skips the test;
where the environment variable ``CI`` is set it fails it, since a machine that judges must not skip.

Since it is imported by every pytest of an environment, what a server needs is imported when a test asks for one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from pushkit import testing

if TYPE_CHECKING:
    from pushkit.testing import (
        Account,
        CertificateAuthority,
        Dropbear,
        EmbeddedSsh,
        FaultProxy,
        FtpServer,
        GitHttpServer,
        ProFtpd,
        SeaweedFs,
        Server,
        ServerDirectory,
        Sshd,
    )

ServerT = TypeVar("ServerT", bound="Server")

# What the contract asserts is explained as what a test file asserts is.
pytest.register_assert_rewrite(*(f"pushkit.testing.{name}contract" for name in ("", "primitives_", "remote_")))


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An OpenSSH server. As root its user has a password and the rights of nobody else; otherwise a key only."""
    require(testing.Sshd)
    account = testing.Account() if testing.can_make_accounts() else None
    try:
        with testing.Sshd(tmp_path_factory.mktemp("sshd"), account) as server:
            yield server
    finally:
        if account:
            account.remove()


@pytest.fixture
def ssh_directory(ssh_server: Sshd) -> Iterator[ServerDirectory]:
    """A fresh directory on `ssh_server`."""
    with ssh_server.new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def password_account(ssh_server: Sshd) -> Sshd:
    """`ssh_server` where its user has a password; skips the test elsewhere."""
    if not ssh_server.password:
        pytest.skip("a user with a password can only be made by root")
    return ssh_server


@pytest.fixture(scope="session")
def sftp_only_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An OpenSSH server that gives SFTP and no commands, its user's home directory as ``/``. Needs root."""
    require(testing.Sshd)
    yield from server_with_account(testing.Sshd, tmp_path_factory.mktemp("sftp-only"), jail=True)


@pytest.fixture
def sftp_only_directory(sftp_only_server: Sshd) -> Iterator[ServerDirectory]:
    """A fresh directory on `sftp_only_server`."""
    with sftp_only_server.new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def dropbear_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dropbear]:
    """A Dropbear server. Needs root."""
    require(testing.Dropbear)
    yield from server_with_account(testing.Dropbear, tmp_path_factory.mktemp("dropbear"), jail=False)


@pytest.fixture
def dropbear_directory(dropbear_server: Dropbear) -> Iterator[ServerDirectory]:
    """A fresh directory on `dropbear_server`."""
    with dropbear_server.new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def proftpd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProFtpd]:
    """A ProFTPD server that gives SFTP and no commands, and on which a rename replaces nothing. Needs root."""

    def keeping(directory: Path, account: Account) -> ProFtpd:
        return testing.ProFtpd(directory, account, replaces=False)

    require(testing.ProFtpd)
    yield from server_with_account(keeping, tmp_path_factory.mktemp("proftpd"), jail=False)


@pytest.fixture
def proftpd_directory(proftpd_server: ProFtpd) -> Iterator[ServerDirectory]:
    """A fresh directory on `proftpd_server`."""
    with proftpd_server.new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def certificate_authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Who vouches for the FTP servers of the tests."""
    return testing.CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def vsftpd_server(
    tmp_path_factory: pytest.TempPathFactory, certificate_authority: CertificateAuthority
) -> Iterator[FtpServer]:
    """vsftpd, which has no MLSD, demands TLS and wants its sessions reused. Needs root."""
    yield from ftp_server(testing.VsFtpd, tmp_path_factory.mktemp("vsftpd"), certificate_authority)


@pytest.fixture(scope="session")
def proftpd_ftp_server(
    tmp_path_factory: pytest.TempPathFactory, certificate_authority: CertificateAuthority
) -> Iterator[FtpServer]:
    """ProFTPD, which demands TLS and overwrites nothing. As root its user has the rights of nobody else."""
    yield from ftp_server(testing.ProFtpdFtp, tmp_path_factory.mktemp("proftpd-ftp"), certificate_authority)


@pytest.fixture(scope="session")
def pureftpd_server(
    tmp_path_factory: pytest.TempPathFactory, certificate_authority: CertificateAuthority
) -> Iterator[FtpServer]:
    """Pure-FTPd, which demands TLS. Needs root."""
    yield from ftp_server(testing.PureFtpd, tmp_path_factory.mktemp("pureftpd"), certificate_authority)


@pytest.fixture(scope="session")
def pyftpd_server(
    tmp_path_factory: pytest.TempPathFactory, certificate_authority: CertificateAuthority
) -> Iterator[FtpServer]:
    """pyftpdlib, which demands TLS. Needs neither a program nor root."""
    yield from ftp_server(testing.PyFtpd, tmp_path_factory.mktemp("pyftpd"), certificate_authority)


@pytest.fixture
def vsftpd_directory(vsftpd_server: FtpServer) -> Iterator[ServerDirectory]:
    """A fresh directory on `vsftpd_server`."""
    with vsftpd_server.new_directory() as directory:
        yield directory


@pytest.fixture
def proftpd_ftp_directory(proftpd_ftp_server: FtpServer) -> Iterator[ServerDirectory]:
    """A fresh directory on `proftpd_ftp_server`."""
    with proftpd_ftp_server.new_directory() as directory:
        yield directory


@pytest.fixture
def pureftpd_directory(pureftpd_server: FtpServer) -> Iterator[ServerDirectory]:
    """A fresh directory on `pureftpd_server`."""
    with pureftpd_server.new_directory() as directory:
        yield directory


@pytest.fixture
def pyftpd_directory(pyftpd_server: FtpServer) -> Iterator[ServerDirectory]:
    """A fresh directory on `pyftpd_server`."""
    with pyftpd_server.new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def git_server(
    tmp_path_factory: pytest.TempPathFactory, certificate_authority: CertificateAuthority
) -> Iterator[GitHttpServer]:
    """git's own http-backend over HTTPS, `certificate_authority` vouches for it; ``create`` makes a repository."""
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_authority.issue("git.pem", "localhost"))
    with testing.GitHttpServer(tmp_path_factory.mktemp("git"), context) as server:
        yield server


@pytest.fixture(scope="session")
def s3_accounts() -> Mapping[str, Sequence[str]]:
    """What the accounts of `s3_server` may do, by their names: see `SeaweedFs.account_for`. Override it for some."""
    return {}


@pytest.fixture(scope="session")
def s3_server(s3_accounts: Mapping[str, Sequence[str]]) -> Iterator[SeaweedFs]:
    """SeaweedFS, an S3 server, on a memory file system where there is one."""
    import tempfile  # noqa: PLC0415

    require(testing.SeaweedFs)
    shm = Path("/dev/shm")  # noqa: S108  (a new directory in it)
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="seaweedfs-") as directory:
        server = testing.SeaweedFs(Path(directory))
        for name, actions in s3_accounts.items():
            server.account_for(name, actions)
        with server:
            yield server


@pytest.fixture
def embedded_ssh(tmp_path: Path) -> Iterator[EmbeddedSsh]:
    """An SSH server in this process, at home in the directory ``home`` of the test's `tmp_path`."""
    home = tmp_path / "home"
    home.mkdir()
    with testing.EmbeddedSsh(home, password="not a secret") as server:  # noqa: S106
        yield server


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[str, int], FaultProxy]]:
    """A function that starts a relay to a host and a port; it ends with the test."""
    with ExitStack() as proxies:
        yield lambda host, port: proxies.enter_context(testing.FaultProxy((host, port)))


def require(server: type[Server]) -> None:
    """Skip the test, or fail it in CI, when the program of ``server`` is not installed."""
    if not server.installed():
        missing = f"{server.program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(f"{missing}, and in CI no test is skipped for that", pytrace=False)
        pytest.skip(missing)


def server_with_account(
    server: Callable[[Path, Account], ServerT], directory: Path, *, jail: bool
) -> Iterator[ServerT]:
    """Run a server that cannot do without a throw-away system user."""
    if not testing.can_make_accounts():
        pytest.skip("a throw-away system user can only be made by root")
    account = testing.Account(jail=jail)
    try:
        with server(directory, account) as running:
            yield running
    finally:
        account.remove()


def ftp_server(server: type[FtpServer], directory: Path, authority: CertificateAuthority) -> Iterator[FtpServer]:
    """Run an FTP server that demands TLS."""
    require(server)
    certificate = authority.issue(f"{server.__name__}.pem", "127.0.0.1")

    def made(directory: Path, account: Account | None = None) -> FtpServer:
        return server(directory, account, certificate=certificate, authority=authority.file)

    if server is testing.PyFtpd or (server is testing.ProFtpdFtp and not testing.can_make_accounts()):
        with made(directory) as running:
            yield running
    else:
        yield from server_with_account(made, directory, jail=False)
