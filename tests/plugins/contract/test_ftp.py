"""The strategy ``ftp`` keeps the contract, on a real vsftpd over TLS."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from plugins.contract.trees import lying, read
from plugins.ftp_target import table
from pushkit.testing import (
    FtpServer,
    PrimitivesContract,
    RemoteContract,
    RemoteSpecimen,
    ServerDirectory,
    Specimen,
    StrategyContract,
)
from pushkit.testing.server import free_port
from pushkit_ftp.certificates import context_for
from pushkit_ftp.options import FtpOptions
from pushkit_ftp.remote import FtpRemote
from pushkit_ftp.server import Server


class TestFtp(StrategyContract):
    strategy = "ftp"
    refuses = ("rollback", "switch")

    @pytest.fixture
    def specimen(self, pyftpd_server: FtpServer, pyftpd_directory: ServerDirectory) -> Specimen:
        return Specimen(
            options=table(pyftpd_server, pyftpd_directory.path),
            live=lambda: read(pyftpd_directory.local),
            state=lambda: lying(pyftpd_directory.local),
            unusable=[{"password": "not-the-p4ssword"}, {"port": free_port(pyftpd_server.host)}],
        )


def on(request: pytest.FixtureRequest, name: str) -> RemoteSpecimen:
    server: FtpServer = request.getfixturevalue(f"{name}_server")
    directory: ServerDirectory = request.getfixturevalue(f"{name}_directory")
    options = FtpOptions.of(table(server, directory.path))
    password = options.password.reveal() if options.password else ""
    known = Server(options, context_for(options, Path("/nowhere")), password, lambda _: None)
    # pyftpdlib has no SITE CHMOD that this user may use.
    return RemoteSpecimen(
        lambda: FtpRemote(known, threading.Event()), directory.local, symlinks=False, modes=name != "pyftpd"
    )


class TestFtpRemote(RemoteContract):
    layouts = ("mirror",)

    @pytest.fixture
    def specimen(self, request: pytest.FixtureRequest) -> RemoteSpecimen:
        return on(request, "pyftpd")


class TestOtherServers(PrimitivesContract):
    @pytest.fixture(params=["vsftpd", "proftpd_ftp", "pureftpd"])
    def specimen(self, request: pytest.FixtureRequest) -> RemoteSpecimen:
        return on(request, request.param)
