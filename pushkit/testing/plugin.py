"""Real servers as pytest fixtures. A strategy's tests name this module in ``pytest_plugins``.

Servers run once for a test session (with pytest-xdist: once for a worker, each with its own ports and users);
directories on them are fresh for each test. A fixture whose server's program is not installed skips the test;
where the environment variable ``CI`` is set it fails it, since a machine that judges must not skip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from pushkit.testing.account import Account, can_make_accounts
from pushkit.testing.dropbear import Dropbear
from pushkit.testing.embedded import EmbeddedSsh
from pushkit.testing.proftpd import ProFtpd
from pushkit.testing.proxy import FaultProxy
from pushkit.testing.server import ServerDirectory, SshServer
from pushkit.testing.sshd import Sshd

ServerT = TypeVar("ServerT", bound=SshServer)


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An OpenSSH server. As root its user has a password and the rights of nobody else; otherwise a key only."""
    require(Sshd)
    account = Account() if can_make_accounts() else None
    try:
        with Sshd(tmp_path_factory.mktemp("sshd"), account) as server:
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
    require(Sshd)
    yield from server_with_account(Sshd, tmp_path_factory.mktemp("sftp-only"), jail=True)


@pytest.fixture
def sftp_only_directory(sftp_only_server: Sshd) -> Iterator[ServerDirectory]:
    """A fresh directory on `sftp_only_server`."""
    with sftp_only_server.new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def dropbear_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dropbear]:
    """A Dropbear server. Needs root."""
    require(Dropbear)
    yield from server_with_account(Dropbear, tmp_path_factory.mktemp("dropbear"), jail=False)


@pytest.fixture
def dropbear_directory(dropbear_server: Dropbear) -> Iterator[ServerDirectory]:
    """A fresh directory on `dropbear_server`."""
    with dropbear_server.new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def proftpd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProFtpd]:
    """A ProFTPD server that gives SFTP and no commands, and on which a rename replaces nothing. Needs root."""

    def keeping(directory: Path, account: Account) -> ProFtpd:
        return ProFtpd(directory, account, replaces=False)

    require(ProFtpd)
    yield from server_with_account(keeping, tmp_path_factory.mktemp("proftpd"), jail=False)


@pytest.fixture
def proftpd_directory(proftpd_server: ProFtpd) -> Iterator[ServerDirectory]:
    """A fresh directory on `proftpd_server`."""
    with proftpd_server.new_directory() as directory:
        yield directory


@pytest.fixture
def embedded_ssh(tmp_path: Path) -> Iterator[EmbeddedSsh]:
    """An SSH server in this process, at home in the directory ``home`` of the test's `tmp_path`."""
    home = tmp_path / "home"
    home.mkdir()
    with EmbeddedSsh(home, password="not a secret") as server:  # noqa: S106
        yield server


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[str, int], FaultProxy]]:
    """A function that starts a relay to a host and a port; it ends with the test."""
    with ExitStack() as proxies:
        yield lambda host, port: proxies.enter_context(FaultProxy((host, port)))


def require(server: type[SshServer]) -> None:
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
    if not can_make_accounts():
        pytest.skip("a throw-away system user can only be made by root")
    account = Account(jail=jail)
    try:
        with server(directory, account) as running:
            yield running
    finally:
        account.remove()
