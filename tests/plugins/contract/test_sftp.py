"""The strategy ``sftp`` keeps the contract, on a real OpenSSH."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.contract.trees import lying, read
from plugins.sftp_target import table
from pushkit.testing import KeyPair, ServerDirectory, Specimen, Sshd, SshServer, StrategyContract
from pushkit.testing.server import free_port


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
