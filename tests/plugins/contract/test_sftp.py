"""The strategy ``sftp`` keeps the contract, on a real OpenSSH."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from plugins.contract.trees import lying, read
from plugins.sftp_target import table
from pushkit.files import Remote
from pushkit.testing import (
    KeyPair,
    PrimitivesContract,
    RemoteContract,
    RemoteSpecimen,
    ServerDirectory,
    Specimen,
    Sshd,
    SshServer,
    StrategyContract,
)
from pushkit.testing.server import free_port
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.session import open_remote


def on(server: SshServer, directory: ServerDirectory, base: Path) -> Specimen:
    site = directory.local / "site"
    stranger = KeyPair.generate(base / "stranger")
    return Specimen(
        options=table(server, f"{directory.path}/site"),
        live=lambda: read(site / "current"),
        state=lambda: lying(directory.local),
        unusable=[{"key": str(stranger.path)}, {"port": free_port(server.host)}],
    )


class TestWithAShell(StrategyContract):
    strategy = "sftp"

    @pytest.fixture
    def specimen(self, ssh_server: Sshd, ssh_directory: ServerDirectory, tmp_path: Path) -> Specimen:
        return on(ssh_server, ssh_directory, tmp_path)


#: Names that a shell, a line or UTF-8 would break.
NAMES = ("new\nline", "latin-1 \udce9", "ünï", "-rf", " ", "back\\slash", "\"quotes'")


def remote_on(server: SshServer, directory: ServerDirectory) -> RemoteSpecimen:
    options = SftpOptions.of(table(server, directory.path))

    def connected() -> Remote:
        return open_remote(options, Path("/nowhere"), server.user, threading.Event())

    return RemoteSpecimen(connected, directory.local, names=NAMES)


class TestSftpRemote(RemoteContract):
    """On SFTP alone, without a shell. A mirror comes with any remote that has the primitives; here it costs seconds."""

    layouts = ("releases",)

    @pytest.fixture
    def specimen(self, sftp_only_server: Sshd, sftp_only_directory: ServerDirectory) -> RemoteSpecimen:
        return remote_on(sftp_only_server, sftp_only_directory)


class TestOtherServers(PrimitivesContract):
    @pytest.fixture(params=["ssh", "dropbear"])
    def specimen(self, request: pytest.FixtureRequest) -> RemoteSpecimen:
        server, directory = (request.getfixturevalue(f"{request.param}_{what}") for what in ("server", "directory"))
        return remote_on(server, directory)
