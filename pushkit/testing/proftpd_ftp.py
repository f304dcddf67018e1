"""A real ProFTPD, as an FTP server."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from pushkit.testing.ftp import FtpServer


class ProFtpdFtp(FtpServer):
    """ProFTPD, for one `Account`, or for the user of this process, with a password of its own.

    By default nothing is overwritten: ``settings={"AllowOverwrite": "on"}``.
    """

    program = "proftpd"

    def _configure(self) -> None:
        uid, gid = self._uid
        users = self._directory / "users"
        users.write_text(f"{self.user}:{self._hashed()}:{uid}:{gid}::{self.files}:/bin/sh\n")
        users.chmod(0o600)

    def _command(self, program: str) -> Sequence[str]:
        own = pwd.getpwuid(os.geteuid())
        at = self._directory
        options = {
            "ServerType": "standalone",
            "UseIPv6": "off",
            "UseReverseDNS": "off",
            "WtmpLog": "off",
            "DefaultAddress": self.host,
            "SocketBindTight": "on",
            "Port": str(self.port),
            "User": own.pw_name,
            "Group": grp.getgrgid(own.pw_gid).gr_name,
            "PidFile": f"{at}/pid",
            "ScoreboardFile": f"{at}/scoreboard",
            "DelayTable": f"{at}/delay",
            "DelayEngine": "off",
            "AuthOrder": "mod_auth_file.c",
            "AuthUserFile": f"{at}/users",
            "RequireValidShell": "off",
            "ExtendedLog": f"{at}/commands ALL",
            "TransferLog": "none",
        }
        modules = [f"ModulePath {Path(program).parent.parent}/lib/proftpd"]
        if self._certificate:
            modules.append("LoadModule mod_tls.c")
            options |= {
                "TLSEngine": "on",
                "TLSRequired": "on",
                "TLSECCertificateFile": str(self._certificate),
                "TLSECCertificateKeyFile": str(self._certificate),
                "TLSLog": f"{at}/tls.log",
            }
        lines = [*modules, *(f"{key} {value}" for key, value in {**options, **self._settings}.items())]
        (at / "config").write_text("\n".join(lines) + "\n")
        return [program, "--nodaemon", "--quiet", "--config", str(at / "config")]

    @property
    def log(self) -> str:
        """What the server has logged, and every command that it was given."""
        commands = self._directory / "commands"
        return super().log + (commands.read_text(errors="replace") if commands.exists() else "")
