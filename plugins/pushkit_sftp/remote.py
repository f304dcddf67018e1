"""`SftpRemote`: the primitives, and many of them at once, over SFTP alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeVar

from pushkit import Entry, Finding, Kind, Severity, Step
from pushkit.files import (
    Capabilities,
    Found,
    Operation,
    Primitive,
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteFull,
    Stat,
    Transfer,
)
from pushkit_sftp import requests
from pushkit_sftp.client import Client
from pushkit_sftp.errands import Errands
from pushkit_sftp.job import Job
from pushkit_sftp.requests import explained
from pushkit_sftp.sending import send, take
from pushkit_sftp.sessions import Sessions
from pushkit_sftp.transport import Transport
from pushkit_sftp.trees import collect, encoded, kinds, listing, remove_tree, sizes

T = TypeVar("T")
#: So many machines with one host key are named.
TWINS = 3


class SftpRemote(Remote):
    """A directory on a server that speaks SFTP and nothing else, reached by ``connect``.

    ``transport`` is the connection that is there already. ``path`` is absolute, or relative to the directory that the
    login starts in. Once ``cancelled`` is set, a server that does not answer is not waited for. Without a ``home`` it
    is asked for; ``said`` is what the account answered to a command, for the error when it may not use SFTP either.
    """

    def __init__(
        self,
        transport: Transport,
        connect: Callable[[], Transport],
        path: str,
        cancelled: threading.Event,
        home: str = "",
        *,
        said: str = "",
    ) -> None:
        self.transport = transport
        self._connect = connect
        self._cancelled = cancelled
        self.where = transport.where
        self.round_trips = 0
        self._sessions = Sessions(transport, cancelled)
        self.root = absolute(path, home or self._home(said, wanted=not path.startswith("/")))

    def _home(self, said: str, *, wanted: bool) -> str:
        """Where the login starts, if that is ``wanted``. Finds out too what the server can do beyond the protocol."""
        try:
            with self._sessions.one() as client:
                home = client.run(requests.real(b".")) if wanted else b""
                copies, links = b"copy-data" in client.extensions, b"hardlink@openssh.com" in client.extensions
                self.capabilities = Capabilities(copies=copies, links=links)
        except RemoteError as error:
            if self.transport.lost():
                raise
            why = error.message.removeprefix(f"{self.where}: ").removeprefix("the connection was lost: ")
            why = f"it said: {said}" if said else why
            raise RemoteError(
                f"{self.where}: the server lets us in, but this account may neither run commands nor use SFTP ({why})",
                hint="let it use SFTP: with `Subsystem sftp internal-sftp` in the server's sshd_config its login shell "
                "does not matter; or take another account",
            ) from error
        return home.decode("utf-8", "surrogateescape")

    def stat(self, path: str) -> Stat | None:
        """What lies at ``path``."""
        found: Stat | None = self._call("stat", path)
        return found

    def list(self, path: str) -> Sequence[Stat]:
        """What a directory holds."""
        return self._do(path, lambda _client, full: listing(full))

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file."""
        content: bytes = self._call("read", path, limit)
        return content

    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        """Make a file, or replace its content."""
        self._call("write", path, chunks, mode)

    def append(self, path: str, data: bytes) -> None:
        """Add to a file; some servers (ProFTPD) let nobody do so, and it is written anew."""
        try:
            self._call("append", path, data)
        except RemoteDenied:
            super().append(path, data)

    def make_directory(self, path: str, mode: int) -> None:
        """Make one directory."""
        self._call("make_directory", path, mode)

    def make_symlink(self, link: str, path: str) -> None:
        """Make a symlink."""
        self._call("make_symlink", link, path)

    def read_link(self, path: str) -> str:
        """The text of a symlink."""
        text: str = self._call("read_link", path)
        return text

    def rename(self, old: str, new: str) -> None:
        """Rename, in place of what is at ``new``."""
        self._call("rename", old, new)

    def set_mode(self, path: str, mode: int) -> None:
        """Set the permission bits."""
        self._call("set_mode", path, mode)

    def set_time(self, path: str, mtime: float) -> None:
        """Set when a file was last modified, in whole seconds."""
        self._do(path, lambda _client, full: requests.set_time(full, mtime))

    def remove(self, path: str) -> None:
        """Remove a file or symlink."""
        self._call("remove", path)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        self._call("remove_directory", path)

    def free_space(self) -> int | None:
        """What this user can still write, when the server can say."""
        try:
            free = self._do("", lambda client, full: requests.free(full, client))
        except RemoteError:
            return None
        return free.size if free else None

    def findings(self) -> Sequence[Finding]:
        """Who answered, and what the account cannot do."""
        return [
            Finding(Severity.OK, self.where, self.transport.greeting),
            *(
                Finding(Severity.WARNING, self.where, f"the server uses {what}, which is weak", "let it offer better")
                for what in self.transport.weaknesses
            ),
            *self._copied(),
            *self.limits(),
        ]

    def _copied(self) -> Iterator[Finding]:
        """That other machines are known to have its host key: one line also for a fleet that was made of one image."""
        twins = self.transport.twins
        if twins:
            more = f" and {len(twins) - TWINS} more" if len(twins) > TWINS else ""
            yield Finding(
                Severity.WARNING,
                self.where,
                f"its host key is also that of {', '.join(twins[:TWINS])}{more}: was one copied from the other?",
                "who has the key of one can pose as the other: make new ones on each (ssh-keygen -A, after the "
                "old /etc/ssh/ssh_host_* are removed)",
            )

    def limits(self) -> Sequence[Finding]:
        """What is missing for fast and fully verified pushes."""
        unchanged = "copies unchanged files itself" if self.capabilities.copies else "is sent every file by each push"
        return [
            Finding(
                Severity.WARNING,
                self.where,
                f"the account has SFTP and no shell: the server {unchanged}, and only sizes are compared",
                "with a shell, files are sent in one stream, and all are compared by sha256",
            )
        ]

    # Many at once: the requests about all of them are on their way before the first is answered.

    def collect(
        self,
        trees: Sequence[str],
        *,
        listed: Sequence[str] = (),
        looked: Sequence[str] = (),
        pointed: tuple[str, str] | None = None,
        known: tuple[str, Collection[str]] = ("", ()),
        limit: int,
    ) -> dict[str, Found]:
        """What lies at several paths: a few round trips for each level of directories."""
        with self._client() as client:
            return collect(client, self._place, trees, listed=listed, looked=looked, pointed=pointed, limit=limit)

    def kinds(self, paths: Sequence[str]) -> dict[str, Kind | None]:
        """What lies at several paths."""
        with self._client() as client:
            return kinds(client, self._place, paths)

    def together(
        self, operations: Sequence[Operation], reported: Callable[[Step], AbstractContextManager[None]]
    ) -> None:
        """Do several operations at once."""
        with self._client() as client:
            Errands(client, self.root).run(operations, reported)

    def put(self, directory: str, transfer: Transfer) -> None:
        """Send many files at once."""
        self.round_trips += 1
        with self._sessions.one() as client:
            send(client, self._place(directory), transfer)

    def copy(self, source: str, directory: str, entries: Sequence[Entry], *, link: bool = False) -> None:
        """Copy within the server, times kept."""
        old, new = self._place(source), self._place(directory)
        with self._client() as client:
            below = ((entry, b"/" + encoded(entry.path)) for entry in entries)
            client.flow(take(client, old + path, new + path, entry, link=link) for entry, path in below)

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare sizes: one listing for each directory, in place of a request for each file."""
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        with self._client() as client:
            there = sizes(client, self._place, directory, [entry.path for entry in files])
        return [entry for entry in files if there.get(entry.path) != entry.size]

    def remove_tree(self, path: str) -> None:
        """Remove what is there, and all in it."""
        with self._client() as client:
            remove_tree(client, self._place(path))

    def renew(self) -> None:
        """Hang up, and connect as before."""
        self.close()
        self.transport = self._connect()
        self._sessions = Sessions(self.transport, self._cancelled)

    def close(self) -> None:
        """Hang up."""
        with suppress(Exception):
            self._sessions.close()
        self.transport.close()

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """A session. Of several failures that are the remote's the one that says most is raised."""
        self.round_trips += 1
        try:
            with self._sessions.one() as client:
                yield client
        except ExceptionGroup as group:
            errors = [error for error in group.exceptions if isinstance(error, RemoteError)]
            if len(errors) < len(group.exceptions):
                raise
            raise next((each for each in errors if isinstance(each, RemoteFull)), errors[0]) from None

    def _do(self, path: str, job: Callable[[Client, bytes], Job[T]]) -> T:
        """The result of a job about one path."""
        full = self._place(path)
        with self._client() as client:
            return client.run(explained(job(client, full), full, client))

    def _call(self, name: str, *arguments: object) -> Any:
        """The result of a primitive."""
        with self._client() as client:
            return client.run(Errands(client, self.root).primitive(Primitive(name, arguments)))

    def _place(self, path: str) -> bytes:
        return encoded(f"{self.root}/{path}" if path else self.root)


def from_home(path: str) -> str:
    """``path`` without the ``~`` that it may begin with: absolute, or relative to where the login starts."""
    return "" if path == "~" else path.removeprefix("~/")


def absolute(path: str, home: str) -> str:
    """``path`` on the server, which may be relative to ``home``."""
    path = from_home(path)
    whole = path if path.startswith("/") else f"{home}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in {"", "."})
