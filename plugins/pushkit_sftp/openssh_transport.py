"""`OpensshTransport`: a connection of the system's ssh program, which every channel shares.

One ssh process, the master, keeps the connection: one that was started for it (`OpensshLogin`), or one that a push
before this has left (`KeptLogin`). See `Multiplexed` for its channels.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pushkit_sftp.destination import Destination
from pushkit_sftp.kept_login import SHORT, KeptLogin
from pushkit_sftp.multiplexing import Multiplexed
from pushkit_sftp.openssh_login import OpensshLogin
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.ssh_words import found_last, last_words
from pushkit_sftp.transport import Channel, Transport

#: Seconds that a connection of before has for its first answer: the network may be another one since.
SOON = 3.0


class Master(Protocol):
    """An ssh process that keeps a connection. Its control ``socket`` is the path of one."""

    socket: str

    @property
    def active(self) -> bool:
        """Whether it lasts."""

    def said(self) -> str:
        """What ssh wrote up to now."""

    def close(self) -> None:
        """Hang up, or let go of it. Never raises."""


class OpensshTransport(Transport):
    """A connection to ``there``, made by the ``program`` ssh. Raises `TargetError` when it cannot be made.

    A passphrase that nobody gave is what ``ask`` says. With ``kept``, one of before is taken where there is one, and
    this one is kept.
    """

    def __init__(
        self,
        program: str,
        there: Destination,
        options: SftpOptions,
        project: Path,
        local_user: str,
        *,
        ask: Callable[[str], str] | None = None,
        kept: KeptLogin | None = None,
    ) -> None:
        super().__init__(there.where, options.rate_limit)
        self._there = there
        self._kept = kept
        #: Where the files of a connection are that is not kept.
        self._own: Path | None = None

        def log_in(directory: Path, seconds: int) -> OpensshLogin:
            return OpensshLogin(
                program, there, options, project, local_user, directory=directory, ask=ask, kept=seconds
            )

        self._log_in = log_in
        found = kept.find() if kept else None
        #: Whether it is one of before, of which nobody knows yet whether its server still answers.
        self._of_before = found is not None
        self._master: Master = found or self._made()

    @property
    def active(self) -> bool:
        """Whether it lasts."""
        return self._master.active

    def said(self) -> str:
        """What ssh wrote up to now."""
        return self._master.said()

    @property
    def greeting(self) -> str:
        """Who answered."""
        said = self.said()
        software = found_last(r"remote software version (\S+)", said)
        key = found_last(r"Server host key: \S+ (SHA256:\S+)", said)
        return f"SSH-2.0-{software}, host key {key}"

    @property
    def weaknesses(self) -> Sequence[str]:
        """What of it is weaker than it need be."""
        # What knows host keys imports paramiko, and a push does not ask.
        from pushkit_sftp.host_keys import STRONG_RSA, HostKeys  # noqa: PLC0415

        said = self.said()
        shown = found_last(r"Server host key: \S+ (SHA256:\S+)", said)
        bits = next((each.key.rsa_bits for each in HostKeys(self._there).known if each.key.fingerprint == shown), 0)
        found = [f"a host key of {bits} bits RSA"] if 0 < bits < STRONG_RSA else []
        mac = found_last(r"kex: client->server cipher: \S+ MAC: (\S+)", said)
        if "sha1" in mac:
            found.append(f"the MAC {mac}")
        return found

    @property
    def twins(self) -> Sequence[str]:
        """Other machines that are known to have its host key."""
        from pushkit_sftp.host_keys import HostKeys, told  # noqa: PLC0415  (as above)

        shown = found_last(r"Server host key: \S+ (SHA256:\S+)", self.said())
        return told(HostKeys(self._there).twins(shown))

    def _made(self) -> Master:
        """A new connection."""
        if self._kept is not None:
            with suppress(OSError, EOFError):
                return self._kept.made(self._log_in)
        self._own = Path(tempfile.mkdtemp(prefix="push-", dir=short_directory()))
        try:
            return self._log_in(self._own, 0)
        except BaseException:
            shutil.rmtree(self._own, ignore_errors=True)
            raise

    def _close(self) -> None:
        """Hang up, unless it is kept."""
        self._master.close()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _open(self, command: bytes, within: float, *, subsystem: bool) -> Channel:
        if self._of_before:
            self._of_before = False
            try:
                return self._multiplexed(command, min(within, SOON), subsystem=subsystem)
            except (EOFError, OSError):
                self._master.close()
                self._master = self._made()
        try:
            return self._multiplexed(command, within, subsystem=subsystem)
        except (EOFError, OSError) as error:
            # A master that has lost its server takes its socket away before it ends.
            if isinstance(error, TimeoutError) or not self.lost():
                raise
            raise EOFError(last_words(self.said()) or "the server is gone") from error

    def _multiplexed(self, command: bytes, within: float, *, subsystem: bool) -> Channel:
        with self._round_trip():
            return Multiplexed(self._master.socket, command, within, self.lost, subsystem=subsystem)


def short_directory() -> str | None:
    """Where a directory is made that a socket goes into; None for the usual place. Its name must not be long."""
    return None if len(tempfile.gettempdir()) < SHORT else "/tmp"  # noqa: S108  (it is made with mkdtemp)
