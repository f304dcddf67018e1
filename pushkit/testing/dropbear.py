"""A real Dropbear, the SSH server of routers and small machines."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pushkit.errors import TargetError
from pushkit.testing.account import Account
from pushkit.testing.processes import find_program
from pushkit.testing.server import SshServer


class Dropbear(SshServer):
    """Dropbear with a host key and a log of its own, for one `Account`: key and password.

    It reads keys from the home directory of who logs in and nowhere else, so it is of no use without an
    account. SFTP needs OpenSSH's ``sftp-server`` on the machine.
    """

    program = "dropbear"

    def __init__(self, directory: Path, account: Account, *, host: str = "127.0.0.1") -> None:
        super().__init__(directory, account, host=host)

    def _prepare(self) -> str:
        generator = find_program("dropbearkey")
        if generator is None:
            raise TargetError("dropbearkey is not installed")
        done = subprocess.run(
            [generator, "-t", "ed25519", "-f", str(self._directory / "host_key")],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        public = next(line for line in done.stdout.splitlines() if line.startswith("ssh-ed25519 "))
        return " ".join(public.split()[:2])

    def _command(self, program: str) -> Sequence[str]:
        key = self._directory / "host_key"
        # -F in the foreground, -E log to standard error; the pid file would be one for the whole machine.
        pid = self._directory / "pid"
        return [program, "-F", "-E", "-r", str(key), "-P", str(pid), "-p", f"{self.host}:{self.port}"]
