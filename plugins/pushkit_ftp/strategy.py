"""`FtpStrategy`: a target that is a directory on an FTP server."""

from __future__ import annotations

from pushkit import Kind, Plan, PushRefused, Snapshot
from pushkit.files import FileStrategy, Remote
from pushkit_ftp.options import FtpOptions, one_line, parse_host


class FtpStrategy(FileStrategy[FtpOptions]):
    """An FTP server, over TLS: shared hosting and the like."""

    name = "ftp"
    Options = FtpOptions

    def plan(self, snapshot: Snapshot) -> Plan:
        """Compare with what was pushed last. Refuses what FTP cannot carry."""
        links = [entry.path for entry in snapshot.entries if entry.kind is Kind.SYMLINK]
        if links:
            raise PushRefused(
                f"the project holds symlinks ({len(links):,}, {links[0]!r} first), which FTP has no way to make; "
                "nothing was sent",
                hint="add them to `ignore`, put what they lead to in their place, or push by sftp",
            )
        for entry in snapshot.entries:
            if not self._can_be_named(entry.path):
                raise PushRefused(
                    f"{entry.path!r} cannot be named on a server by FTP (encoding {self.options.encoding}); "
                    "nothing was sent",
                    hint="rename it, or add it to `ignore`",
                )
        return super().plan(snapshot)

    def open_remote(self) -> Remote:
        """Connect, secure the connection, log in."""
        # ssl takes a while to import, and `push explain ftp` needs none of it.
        from pushkit_ftp.certificates import context_for  # noqa: PLC0415
        from pushkit_ftp.remote import FtpRemote  # noqa: PLC0415
        from pushkit_ftp.server import Server  # noqa: PLC0415

        options = self.options
        context = context_for(options, self.run.project.root)
        if options.password is not None:
            password = options.password.reveal()
        else:
            password = self.run.ask(f"password of {options.user} on {parse_host(options.host).host}")
        return FtpRemote(Server(options, context, password, self.run.warn), self.run.cancelled)

    def _can_be_named(self, path: str) -> bool:
        try:
            path.encode(self.options.encoding, "surrogateescape")
        except UnicodeEncodeError:
            return False
        return one_line(path)
