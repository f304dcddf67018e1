"""`SftpStrategy`: a target that is a directory on an SSH server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkit import Run, Strategy
from pushkit.files import FileStrategy
from pushkit_sftp.options import SftpOptions

if TYPE_CHECKING:
    from pushkit.files import Remote


#: Seconds that a connection is kept for a person.
KEPT = 60


class SftpStrategy(FileStrategy[SftpOptions]):
    """An SSH server: SFTP, and its shell where there is one."""

    name = "sftp"
    Options = SftpOptions

    @classmethod
    def of(cls, options: SftpOptions, run: Run) -> Strategy[Any]:
        """Many servers are a fleet."""
        if not options.many:
            return cls(options, run)
        from pushkit.fleet import Fleet, Pools  # noqa: PLC0415  (one host does without)

        kind = Pools if options.pools else Fleet
        return kind(options, run, lambda host, own: cls(options.for_host(host), own))

    def open_remote(self) -> Remote:
        """Connect, check the host key, log in, look at what the account may do."""
        # paramiko takes a quarter of a second to import, and `push explain sftp` needs none of it.
        from pushkit_sftp.session import open_remote  # noqa: PLC0415

        root = self.run.project.root
        local_user = self.run.person.rpartition("@")[0]
        return open_remote(
            self.options,
            root,
            local_user,
            self.run.cancelled,
            lambda: self.opening,
            ask=self.run.ask,
            ahead=self.supply is None,
            kept=self._kept,
            runtime=self.run.environment.get("XDG_RUNTIME_DIR", ""),
        )

    @property
    def _kept(self) -> int:
        """Seconds that a connection is kept: a person pushes again soon, and a job in CI leaves nothing behind."""
        said = self.options.keep_connection
        return said if said is not None else KEPT * self.run.attended
