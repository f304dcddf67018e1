"""`SftpShellRemote`: SFTP for single files, the account's shell for many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import paramiko
from pushkit.files import Shell, ShellRemote, ShellResult

from pushkit_sftp.channel import run
from pushkit_sftp.remote import SftpRemote


class SftpShellRemote(ShellRemote, SftpRemote):
    """A directory on a server whose account has a shell."""

    def __init__(self, transport: paramiko.Transport, where: str, path: str, shell: Shell) -> None:
        super().__init__(transport, where, path)
        self.shell = shell
        self.capabilities = shell.capabilities

    def run_script(self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool]) -> ShellResult:
        """Run a script on a channel of its own."""
        return run(self.transport, self.where, script, stdin=stdin, failed=failed)
