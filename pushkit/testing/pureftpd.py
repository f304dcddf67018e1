"""A real Pure-FTPd."""

from __future__ import annotations

from collections.abc import Sequence

from pushkit.testing.ftp import FtpServer


class PureFtpd(FtpServer):
    """Pure-FTPd, for one `Account` with its password: it needs root."""

    program = "pure-ftpd"

    def _configure(self) -> None:
        """Everything is in its command."""

    def _command(self, program: str) -> Sequence[str]:
        at = self._directory
        # No anonymous users, no names of hosts asked for, no syslog, its records in our directory.
        options = ["-S", f"{self.host},{self.port}", "-l", "unix", "-E", "-H", "-f", "none", "-g", f"{at}/pid"]
        if self._certificate:
            options += ["-Y", "3", "-2", str(self._certificate)]
        return [program, *options, *(each for pair in self._settings.items() for each in pair if each)]
