"""A real OpenSSH server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pushkit.testing.account import Account
from pushkit.testing.keypair import KeyPair
from pushkit.testing.server import SshServer


class Sshd(SshServer):
    """OpenSSH with a configuration, a host key and a log of its own.

    As root with an `Account`: key and password, through PAM. As any other user: the key only, for that user.
    With an account that has a jail: SFTP only, the home directory as ``/``, as hosting companies have it.
    """

    program = "sshd"

    def __init__(self, directory: Path, account: Account | None = None, *, host: str = "127.0.0.1") -> None:
        super().__init__(directory, account, host=host)
        self._jail = account.home if account and account.files != account.home else None

    def path_of(self, local: Path) -> str:
        """What those who log in call the file ``local`` of this machine."""
        return str(local) if self._jail is None else f"/{local.relative_to(self._jail)}"

    def _prepare(self) -> str:
        if os.geteuid() == 0:
            # sshd separates privileges there; an init script would have made it.
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
        host_key = KeyPair.generate(self._directory / "host_key")
        (self._directory / "config").write_text("\n".join(self._configuration()) + "\n")
        return host_key.public

    def _configuration(self) -> list[str]:
        """The lines of sshd_config(5). The subsystem is the internal one, which a restricted shell needs."""
        lines = [
            f"HostKey {self._directory / 'host_key'}",
            "PidFile none",
            "Subsystem sftp internal-sftp",
            "UseDNS no",
            "LogLevel VERBOSE",
            "MaxStartups 200:30:400",
            "MaxSessions 50",
            "PermitRootLogin prohibit-password",
            "KbdInteractiveAuthentication no",
        ]
        if self._account:
            lines += [f"AllowUsers {self.user}", "UsePAM yes", "PasswordAuthentication yes", "PrintMotd no"]
        else:
            keys = self._directory / "authorized_keys"
            keys.write_text(self.public_key + "\n")
            lines += [f"AuthorizedKeysFile {keys}", "StrictModes no", "UsePAM no", "PasswordAuthentication no"]
            # What this machine's user has in its shell's files would be run for each command.
            home = self._directory / "home"
            home.mkdir(exist_ok=True)
            lines += [f"SetEnv HOME={home}"]
        if self._jail:
            lines += [f"ChrootDirectory {self._jail}", f"ForceCommand internal-sftp -d {self.path_of(self.files)}"]
        return lines

    def _command(self, program: str) -> Sequence[str]:
        address = ("-o", f"ListenAddress={self.host}", "-p", str(self.port))
        return [program, "-D", "-f", str(self._directory / "config"), "-E", str(self._log), *address]
