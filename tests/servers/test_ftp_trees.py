"""Django's source on FTP servers, or a package of Python's own: byte for byte, then nothing, then ten files."""

from __future__ import annotations

import email
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from plugins.test_ftp_connection import running
from pushkit.testing import CertificateAuthority, FtpServer, ProFtpdFtp, PureFtpd, PyFtpd, VsFtpd
from servers.test_ftp import FULL, FtpProject
from servers.test_push import described, sent


class Way(NamedTuple):
    """A server with its settings, over TLS or not, and what the Pushfile says of it. ``whole``: it gets Django."""

    kind: type[FtpServer]
    settings: Mapping[str, str] = {}
    tls: bool = True
    options: Mapping[str, Any] = {}
    whole: bool = False


WAYS = {
    "vsftpd": Way(VsFtpd),
    # Thousands of handshakes would show nothing that those of the others do not.
    "vsftpd-plain": Way(VsFtpd, tls=False, whole=True),
    "vsftpd-tls-1.2": Way(VsFtpd, options={"tls_max": "1.2"}),
    "vsftpd-two-connections": Way(VsFtpd, {"max_per_ip": "2"}, options={"connections": 8}),
    "vsftpd-impatient": Way(VsFtpd, {"idle_session_timeout": "3"}),
    "proftpd": Way(ProFtpdFtp),
    "proftpd-overwriting": Way(ProFtpdFtp, {"AllowOverwrite": "on"}),
    "pureftpd": Way(PureFtpd),
    "pyftpd": Way(PyFtpd),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_real_tree_arrives_byte_for_byte_then_nothing_then_ten_files(
    way: str, tmp_path: Path, certificate_authority: CertificateAuthority, request: pytest.FixtureRequest
) -> None:
    kind, settings, tls, options, whole = WAYS[way]
    more: dict[str, object] = {"settings": settings}
    if tls:
        authority = certificate_authority
        more |= {"certificate": authority.issue("django.pem", "127.0.0.1"), "authority": authority.file}
    (tmp_path / "server").mkdir()
    with running(kind, tmp_path / "server", **more) as server, server.new_directory() as directory:
        project = FtpProject(tmp_path, server, directory)
        project.table |= options
        whole = whole or FULL
        source = request.getfixturevalue("django") if whole else Path(email.__file__).parent
        # One test alone may have it as well.
        copy = os.link if whole and not FULL else shutil.copy2
        shutil.copytree(source, project.root / "tree", ignore=shutil.ignore_patterns("__pycache__"), copy_function=copy)
        project.home.rename(tmp_path / "home")
        project.home = tmp_path / "home"
        files = sum(kind == "file" for kind, _, _ in described(project.root / "tree").values())
        assert files == 6869 if whole else files > 25

        first = project.push()
        assert first.returncode == 0, first.stderr
        assert sent(first) == files
        assert described(project.local / "tree") == described(project.root / "tree")
        assert "nothing to do" in project.push().stderr

        changed = sorted(path for path in (project.root / "tree").rglob("*.py") if path.stat().st_size)[:10]
        for path in changed:
            content = path.read_bytes()
            path.unlink()  # it may be another's as well
            path.write_bytes(content + b"\n# changed\n")
        third = project.push()
        assert third.returncode == 0, third.stderr
        assert sent(third) == 10
        assert described(project.local / "tree") == described(project.root / "tree")
        assert os.listdir(project.state / "incoming") == []
        assert not re.search("Traceback", first.stderr + third.stderr)
