"""What every FTP server of the tests has."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pushkit.testing.account import Account
from pushkit.testing.server import Server


class FtpServer(Server):
    """A real FTP server. ``certificate`` is a file with a certificate and its key: with one, TLS is demanded.

    ``authority`` is the file of who vouches for it.

    ``settings`` are more lines of its configuration, or other values of those that it has anyway.
    """

    def __init__(
        self,
        directory: Path,
        account: Account | None = None,
        *,
        host: str = "127.0.0.1",
        certificate: Path | None = None,
        authority: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(directory, account, host=host)
        self.password = self.password or secrets.token_urlsafe(12)
        self.authority = authority
        self._certificate = certificate
        self._settings = dict(settings or {})

    @property
    def _uid(self) -> tuple[int, int]:
        """The numbers of who logs in, and of their group."""
        entry = pwd.getpwnam(self.user) if self._account else pwd.getpwuid(os.geteuid())
        return entry.pw_uid, entry.pw_gid

    def _hashed(self) -> str:
        """The password as crypt(3) has it."""
        command = ["openssl", "passwd", "-6", "-stdin"]
        done = subprocess.run(command, input=self.password, check=True, capture_output=True, text=True)
        return done.stdout.strip()
