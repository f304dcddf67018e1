"""The strategy ``http`` keeps the contract, on a real nginx that takes files by PUT over TLS."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.contract.trees import lying
from pushkit.testing import CertificateAuthority, Nginx, Specimen, StrategyContract
from pushkit.testing.plugin import require
from pushkit.testing.server import free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificate_authority: CertificateAuthority) -> Iterator[Nginx]:
    require(Nginx)
    certificate = certificate_authority.issue("nginx", "localhost")
    with Nginx(tmp_path_factory.mktemp("nginx"), certificate=certificate) as server:
        yield server


def unpacked(directory: Path) -> dict[str, bytes]:
    """The files of the newest archive in a directory."""
    if not directory.exists():
        return {}
    newest = max(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    with tarfile.open(fileobj=io.BytesIO(newest.read_bytes())) as archive:
        files = [member for member in archive if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in files}  # type: ignore[union-attr]


class TestHttp(StrategyContract):
    strategy = "http"

    @pytest.fixture
    def specimen(self, server: Nginx, certificate_authority: CertificateAuthority, tmp_path: Path) -> Specimen:
        directory = server.files / tmp_path.name
        return Specimen(
            options={
                "url": f"{server.url}/{tmp_path.name}/{{digest}}.tar.gz",
                "user": server.user,
                "password": server.password,
                "ca_file": str(certificate_authority.file),
            },
            live=lambda: unpacked(directory),
            state=lambda: lying(server.files),
            unusable=[
                {"password": "not-the-p4ssword"},
                {"url": f"https://localhost:{free_port('localhost')}/{{digest}}.tar.gz", "retries": 0},
            ],
        )
