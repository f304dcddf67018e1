"""`Primitives`: what a remote is built from, over FTP, each on one of several connections."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from pushkit import Finding, Severity
from pushkit.files import (
    Capabilities,
    Remote,
    RemoteDenied,
    RemoteError,
    Stat,
)
from pushkit_ftp.access import Access
from pushkit_ftp.connection import Connection
from pushkit_ftp.server import Server
from pushkit_ftp.steps import through


class Primitives(Remote):
    """A directory on ``server``. ``cancelled`` is as in `Access`."""

    def __init__(self, server: Server, cancelled: threading.Event) -> None:
        self.server = server
        self._access = Access(server, cancelled)
        self._place = self._access.place
        self.root = self._place.root
        self.capabilities = Capabilities(resumes=server.can_resume, digests=self._tells)

    @property
    def _tells(self) -> bool:
        """Whether the server tells the sha256 of files."""
        return self.server.digest is not None and self.server.digest.name == "sha256"

    # Primitives.

    def stat(self, path: str) -> Stat | None:
        """What lies at ``path``. Of the root it is only known that it is there."""
        return self._access.do(lambda connection: self._place.look(connection, path))

    def list(self, path: str) -> Sequence[Stat]:
        """What a directory holds."""
        return self._access.do(lambda connection: self._place.list(connection, path))

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file."""
        return self._access.do(lambda connection: self._place.read(connection, path, limit))

    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        """Make a file, or replace its content."""
        content = list(chunks)  # memory has room for what is written so, and it may have to be sent again
        size = sum(map(len, content))

        def store(connection: Connection) -> None:
            through(self._place.storing(connection, path, lambda _: content, size, mode=mode))

        self._access.over(path, store)

    def append(self, path: str, data: bytes) -> None:
        """Add to a file; where the server lets nobody do so, it is written anew."""
        if self.server.appends:
            try:
                return self._access.do(lambda connection: self._place.append(connection, path, data), again=False)
            except RemoteDenied:
                self.server.appends = False
        return super().append(path, data)

    def make_directory(self, path: str, mode: int) -> None:
        """Make one directory."""
        self._access.do(lambda connection: self._place.make(connection, [(path, mode)], lambda _: None), again=False)

    def make_symlink(self, link: str, path: str) -> None:
        """Refuse: FTP has no way to make one."""
        self._place.refuse_symlink(path)

    def read_link(self, path: str) -> str:
        """Refuse: FTP has no way to read one."""
        raise RemoteError(f"{self._place.full(path)}: no push by FTP made this symlink", hint="move it away")

    def rename(self, old: str, new: str) -> None:
        """Rename, in place of what is at ``new`` where the server does that."""
        self._access.do(lambda connection: self._place.rename(connection, old, new), again=False)

    def set_mode(self, path: str, mode: int) -> None:
        """Set the permission bits, where the server does that."""
        if self.server.chmod:
            self.server.heed_mode(self._access.ask(self._place.chmod(path, mode)))

    def set_time(self, path: str, mtime: float) -> None:
        """Set when a file was last modified, in whole seconds, where the server does that."""
        if self.server.times:
            self.server.heed_time(self._access.ask(self._place.touch(path, mtime)))

    def remove(self, path: str) -> None:
        """Remove a file or symlink."""
        self._access.check(self._access.ask(self._place.command("DELE", path)), path)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory. There are servers that remove what is in it as well: that is looked at first."""
        if self.list(path):
            raise RemoteError(f"{self._place.full(path)}: the directory is not empty")
        self._access.check(self._access.ask(self._place.command("RMD", path)), path)

    def obstacle(self) -> str:
        """What stands in the way of the root; whether it may be written to only a push finds out."""
        if self._access.ask(self._place.command("CWD", "")).good:
            return ""
        above = self.root.rpartition("/")[0] or "/"
        if self._access.ask(f"CWD {self.server.wired(above)}").good:
            return ""
        return f"it does not exist, and neither does {above}, which it would be made in"

    def findings(self) -> Sequence[Finding]:
        """Who answered, how the connection is protected, and what cannot be done over it."""
        server = self.server
        found = [Finding(Severity.OK, server.where, f"{server.greeting} ({server.protection})")]
        if server.options.tls == "none":
            words = "the password and all files travel for everybody on the way to read"
            found.append(Finding(Severity.WARNING, server.where, words, 'leave out tls = "none"'))
        words = f"{'compares digests' if self._tells else 'compares sizes and no contents'}, and carries no symlinks"
        return [*found, Finding(Severity.OK, server.where, words)]

    def renew(self) -> None:
        """Hang up, and log in anew."""
        self._access.renew()

    def close(self) -> None:
        """Hang up."""
        self._access.pool.close()
