"""A real ProFTPD with mod_sftp: an SSH server that is no kin of OpenSSH's, and gives SFTP alone."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pushkit.errors import TargetError
from pushkit.testing.account import Account
from pushkit.testing.keypair import KeyPair
from pushkit.testing.processes import find_program
from pushkit.testing.server import SshServer


class ProFtpd(SshServer):
    """ProFTPD's mod_sftp, for one `Account`, or for the user of this process: the key only.

    Without ``replaces`` it has no ``posix-rename@openssh.com``, so that a rename replaces nothing.
    """

    program = "proftpd"

    def __init__(
        self, directory: Path, account: Account | None = None, *, host: str = "127.0.0.1", replaces: bool = True
    ) -> None:
        super().__init__(directory, account, host=host)
        self._replaces = replaces

    def _prepare(self) -> str:
        found = find_program("ssh-keygen")
        if found is None:
            raise TargetError("ssh-keygen is not installed, so ProFTPD cannot be told of a key")
        host_key = KeyPair.generate(self._directory / "host_key")
        # It knows keys only as RFC 4716 writes them.
        (self._directory / "client_key.pub").write_text(self.public_key + "\n")
        command = [found, "-e", "-m", "RFC4716", "-f", str(self._directory / "client_key.pub")]
        keys = self._directory / "authorized_keys"
        keys.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        keys.chmod(0o644)
        entry = pwd.getpwnam(self.user)
        users = self._directory / "users"
        users.write_text(f"{self.user}:*:{entry.pw_uid}:{entry.pw_gid}::{self.files}:/bin/sh\n")
        users.chmod(0o600)
        return host_key.public

    def _command(self, program: str) -> Sequence[str]:
        (self._directory / "config").write_text("\n".join(self._configuration(Path(program))) + "\n")
        return [program, "--nodaemon", "--quiet", "--config", str(self._directory / "config")]

    def _configuration(self, program: Path) -> list[str]:
        """The directives. The modules lie beside the program, wherever it was unpacked."""
        own = pwd.getpwuid(os.geteuid())
        at = self._directory
        return [
            f"ModulePath {program.parent.parent}/lib/proftpd",
            "LoadModule mod_sftp.c",
            "ServerType standalone",
            "UseIPv6 off",
            "UseReverseDNS off",
            "WtmpLog off",
            f"DefaultAddress {self.host}",
            "SocketBindTight on",
            f"Port {self.port}",
            f"User {own.pw_name}",
            f"Group {grp.getgrgid(own.pw_gid).gr_name}",
            f"PidFile {at}/pid",
            f"ScoreboardFile {at}/scoreboard",
            f"DelayTable {at}/delay",
            "AuthOrder mod_auth_file.c",
            f"AuthUserFile {at}/users",
            "RequireValidShell off",
            "AllowOverwrite on",
            "SFTPEngine on",
            f"SFTPLog {at}/sftp.log",
            f"SFTPHostKey {at}/host_key",
            "SFTPAuthMethods publickey",
            f"SFTPAuthorizedUserKeys file:{at}/authorized_keys",
            f"SFTPExtensions {'+' if self._replaces else '-'}posixRename",
        ]
