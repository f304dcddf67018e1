"""`SftpShellRemote`: SFTP for single files, the account's shell for many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from pushkit import Finding, Interrupted, Severity
from pushkit.files import Shell, ShellRemote, ShellResult
from pushkit_sftp.channel import WAITING, nothing, run
from pushkit_sftp.command import stream
from pushkit_sftp.remote import SftpRemote
from pushkit_sftp.transport import Transport


class SftpShellRemote(ShellRemote, SftpRemote):
    """A directory on a server whose account has a shell.

    Its scripts end when ``cancelled`` is set; those that are begun after that clean up, and are let run.
    """

    def __init__(
        self,
        transport: Transport,
        connect: Callable[[], Transport],
        path: str,
        shell: Shell,
        cancelled: threading.Event,
    ) -> None:
        super().__init__(transport, connect, path, cancelled, shell.home)
        self.shell = shell
        self.capabilities = shell.capabilities

    @property
    def round_trip(self) -> float:
        """What the connection has measured."""
        return self.transport.round_trip

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

    def expect(self, count: int) -> None:
        """Begin to open channels for them."""
        self.transport.prepare(WAITING, count)

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        """Run a script on a channel of its own."""
        self.round_trips += 1
        check = nothing if self._cancelled.is_set() else self._check
        return run(self.transport, script, patience=patience, stdin=stdin, failed=failed, check=check)

    def stream_script(
        self, script: str, stdin: bytes, take: Callable[[bytes], object], timeout: float, cancelled: threading.Event
    ) -> int | None:
        """Run a script on a channel of its own, and pass on what it prints."""
        self.round_trips += 1
        return stream(self.transport, script, stdin, take, timeout, cancelled)

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Interrupted("stopped while the server was at work")
