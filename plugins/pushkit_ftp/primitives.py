"""`Primitives`: what a remote is built from, over FTP, each on one of several connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pushkit import Finding, Kind, Severity, TargetError
from pushkit.files import (
    Capabilities,
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteLost,
    Stat,
    Transfer,
)
from pushkit_ftp.connection import Connection
from pushkit_ftp.place import Place
from pushkit_ftp.pool import Pool
from pushkit_ftp.replies import Dropped, Reply
from pushkit_ftp.rotation import silent
from pushkit_ftp.server import Server
from pushkit_ftp.steps import through

T = TypeVar("T")
#: A connection more is worth its login from so many exchanges on; so many bytes of a file count for one.
WORTH, EXCHANGE = 8, 256 * 1024
#: How many are opened at once to a server far away: to look at what is there takes some dozens of exchanges.
LOOKING = 4


class Primitives(Remote):
    """A directory on ``server``. Once ``cancelled`` is set, nothing is tried again.

    So many connections are ``expected`` to be needed, and opened as soon as the first one has been let in.
    """

    def __init__(self, server: Server, cancelled: threading.Event, expected: int = 1) -> None:
        self.server = server
        self._cancelled = cancelled
        self._pool = Pool(server, cancelled)
        with self._pool.one():
            # Who logs in learns where.
            self.root = absolute(server.options.path, server.home)
        self._pool.expect(LOOKING if server.is_far else expected)
        self.capabilities = Capabilities(resumes=server.can_resume, digests=self._tells)
        self._place = Place(server, self.root)
        #: Of the files that were sent, the sizes that the server then gave for them.
        self._arrived: dict[str, int] = {}
        #: The directories that were made over this connection and not renamed, which nothing else can be.
        self._made: set[str] = set()
        #: The directories right below the root in which nobody but push keeps anything.
        self._own: set[str] = set()

    @property
    def _tells(self) -> bool:
        """Whether the server tells the sha256 of files."""
        return self.server.digest is not None and self.server.digest.name == "sha256"

    # Primitives.

    def stat(self, path: str) -> Stat | None:
        """What lies at ``path``. Of the root it is only known that it is there."""
        return self._do(lambda connection: self._place.look(connection, path))

    def list(self, path: str) -> Sequence[Stat]:
        """What a directory holds."""
        return self._do(lambda connection: self._place.list(connection, path))

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file."""
        return self._do(lambda connection: self._place.read(connection, path, limit))

    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        """Make a file, or replace its content."""
        content = list(chunks)  # memory has room for what is written so, and it may have to be sent again
        size = sum(map(len, content))

        def store(connection: Connection) -> None:
            through(self._place.storing(connection, path, lambda _: content, size, mode=mode))

        self._over(path, store)

    def _over(self, path: str, store: Callable[[Connection], object]) -> None:
        """Do what stores the file ``path``. There are servers that let nobody write over what is there.

        It may be what came of it before the line was cut.
        """
        try:
            self._do(store)
        except RemoteDenied:
            if (there := self.stat(path)) is None or there.kind is not Kind.FILE:
                raise
            self.remove(path)
            self._do(store)

    def append(self, path: str, data: bytes) -> None:
        """Add to a file; where the server lets nobody do so, it is written anew."""
        if self.server.appends:
            try:
                return self._do(lambda connection: self._place.append(connection, path, data), again=False)
            except RemoteDenied:
                self.server.appends = False
        return super().append(path, data)

    def make_directory(self, path: str, mode: int) -> None:
        """Make one directory."""
        self._do(lambda connection: self._place.make(connection, [(path, mode)], lambda _: None), again=False)

    def make_symlink(self, link: str, path: str) -> None:
        """Refuse: FTP has no way to make one."""
        raise RemoteError(
            f"{self._place.full(path)}: FTP has no way to make a symlink", hint="leave it out, or push by sftp"
        )

    def read_link(self, path: str) -> str:
        """Refuse: FTP has no way to read one."""
        raise RemoteError(f"{self._place.full(path)}: no push by FTP made this symlink", hint="move it away")

    def rename(self, old: str, new: str) -> None:
        """Rename, in place of what is at ``new`` where the server does that."""
        self._do(lambda connection: self._place.rename(connection, old, new), again=False)

    def set_mode(self, path: str, mode: int) -> None:
        """Set the permission bits, where the server does that."""
        if self.server.chmod:
            self.server.heed_mode(self._ask(self._place.chmod(path, mode)))

    def set_time(self, path: str, mtime: float) -> None:
        """Set when a file was last modified, in whole seconds, where the server does that."""
        if self.server.times:
            self.server.heed_time(self._ask(self._place.touch(path, mtime)))

    def remove(self, path: str) -> None:
        """Remove a file or symlink."""
        self._check(self._ask(self._place.command("DELE", path)), path)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory. There are servers that remove what is in it as well: that is looked at first."""
        if self.list(path):
            raise RemoteError(f"{self._place.full(path)}: the directory is not empty")
        self._check(self._ask(self._place.command("RMD", path)), path)

    def obstacle(self) -> str:
        """What stands in the way of the root; whether it may be written to only a push finds out."""
        if self._ask(self._place.command("CWD", "")).good:
            return ""
        above = self.root.rpartition("/")[0] or "/"
        if self._ask(f"CWD {self.server.wired(above)}").good:
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
        self._pool.close()
        self._pool = Pool(self.server, self._cancelled)
        with self._pool.one():
            return

    def close(self) -> None:
        """Hang up."""
        self._pool.close()

    # What everything is built from.

    def _do(self, work: Callable[[Connection], T], *, again: bool = True) -> T:
        """The result of ``work`` on a connection.

        When the server hangs up, it is done once more on another one: if it may be done ``again``, or was not begun.
        """
        try:
            with self._pool.one() as connection:
                return work(connection)
        except RemoteLost as error:
            if silent(error) or not (again or isinstance(error, Dropped)) or self._cancelled.is_set():
                raise
            lost = error
        try:
            with self._pool.one() as connection:
                return work(connection)
        except RemoteError:
            raise
        except TargetError as error:
            raise lost from error

    def _ask(self, command: str) -> Reply:
        return self._do(lambda connection: connection.ask(command)[0])

    def _check(self, reply: Reply, path: str) -> None:
        """Raise the error of a command about ``path``."""
        if not reply.good:
            raise self._do(lambda connection: self._place.explained(connection, reply, path))

    def _workers(self, transfer: Transfer) -> int:
        """How many connections are used for what is to be sent."""
        files = [entry for entry in transfer.entries if entry.kind is Kind.FILE]
        return max(1, min(len(files), self._worth(sum(1 + entry.size // EXCHANGE for entry in files))))

    def _worth(self, exchanges: int) -> int:
        """How many connections are used for so many exchanges: those that are there, and more where that pays."""
        return max(1, min(self._pool.most, exchanges, max(self._pool.open, exchanges // WORTH)))

    def _each(self, items: Sequence[T], work: Callable[[T], object]) -> None:
        """Do ``work`` for every item, several at a time."""
        if len(items) < 2:
            for item in items:
                work(item)
            return
        failed = threading.Event()

        def one(item: T) -> None:
            if not failed.is_set():  # each would wait as long for a server that is silent
                try:
                    work(item)
                except BaseException:
                    failed.set()
                    raise

        with ThreadPoolExecutor(self._worth(len(items)), thread_name_prefix="ftp") as threads:
            done = [threads.submit(one, item) for item in items]
        errors = [error for each in done if isinstance(error := each.exception(), Exception)]
        if errors:
            raise leading(ExceptionGroup("", errors))


def leading(group: ExceptionGroup[Exception]) -> Exception:
    """Of several failures, where all are the target's, the one that says most; else all of them."""
    errors = [error for error in group.exceptions if isinstance(error, TargetError)]
    if len(errors) < len(group.exceptions):
        return group if len(group.exceptions) > 1 else group.exceptions[0]
    return min(errors, key=says_little)


def says_little(error: TargetError) -> int:
    """How little an error says of what went wrong: that a connection was lost says less than why, and more than that
    there was no other.
    """
    return 2 if not isinstance(error, RemoteError) else int(isinstance(error, RemoteLost))


def absolute(path: str, home: str) -> str:
    """``path`` on the server, which may be relative to ``home``, or begin with ``~``."""
    path = "" if path == "~" else path.removeprefix("~/")
    whole = path if path.startswith("/") else f"{home}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in {"", "."})
