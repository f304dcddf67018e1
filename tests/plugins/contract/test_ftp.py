"""The strategy ``ftp`` keeps the contract, on a real vsftpd over TLS."""

from __future__ import annotations

import pytest

from plugins.contract.trees import lying, read
from plugins.ftp_target import table
from pushkit.testing import FtpServer, ServerDirectory, Specimen, StrategyContract
from pushkit.testing.server import free_port


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
