"""`SftpShellRemote`: SFTP for single files, the account's shell for many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import paramiko

from pushkit import Finding, Severity
from pushkit.files import Shell, ShellRemote, ShellResult
from pushkit_sftp.channel import run
from pushkit_sftp.remote import SftpRemote


class SftpShellRemote(ShellRemote, SftpRemote):
    """A directory on a server whose account has a shell."""

    def __init__(self, transport: paramiko.Transport, where: str, path: str, shell: Shell) -> None:
        super().__init__(transport, where, path)
        self.shell = shell
        self.capabilities = shell.capabilities

    def limits(self) -> Sequence[Finding]:
        """The tools that the server lacks."""
        missing = (
            ("tar", self.shell.unpacks, "files are sent one by one"),
            ("xargs -0 and cp", self.shell.copies, "each push sends every file"),
            ("xargs -0 and sha256sum", bool(self.shell.sha256), "what arrived is compared by size only"),
        )
        return [
            Finding(Severity.WARNING, self.where, f"the server lacks {tool}: {result}", "install it there")
            for tool, there, result in missing
            if not there
        ]

    def run_script(self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool]) -> ShellResult:
        """Run a script on a channel of its own."""
        return run(self.transport, self.where, script, stdin=stdin, failed=failed)
