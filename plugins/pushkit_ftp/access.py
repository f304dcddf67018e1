"""`Access`: what is asked of a server about one of its directories, over whichever connection is free."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pushkit import Kind, TargetError
from pushkit.files import RemoteDenied, RemoteError, RemoteLost, Transfer
from pushkit_ftp.connection import Connection
from pushkit_ftp.place import Place
from pushkit_ftp.pool import Pool
from pushkit_ftp.replies import Dropped, Reply
from pushkit_ftp.rotation import silent
from pushkit_ftp.server import Server

T = TypeVar("T")
#: A connection more is worth its login from so many exchanges on; so many bytes of a file count for one.
WORTH, EXCHANGE = 8, 256 * 1024
#: How many are opened at once to a server far away: to look at what is there takes some dozens of exchanges.
LOOKING = 4


class Access:
    """The directory of the target on ``server``, its ``place``, and the ``pool`` of connections.

    Once ``cancelled`` is set, nothing is tried again.
    """

    def __init__(self, server: Server, cancelled: threading.Event) -> None:
        self.server = server
        self.cancelled = cancelled
        self.pool = Pool(server, cancelled)
        with self.pool.one():
            # Who logs in learns where.
            self.place = Place(server, absolute(server.options.path, server.home))
        if server.is_far:
            self.pool.expect(LOOKING)

    def renew(self) -> None:
        """Hang up, and log in anew."""
        self.pool.close()
        self.pool = Pool(self.server, self.cancelled)
        with self.pool.one():
            return

    def do(self, work: Callable[[Connection], T], *, again: bool = True) -> T:
        """The result of ``work`` on a connection.

        When the server hangs up, it is done once more on another one: if it may be done ``again``, or was not begun.
        """
        try:
            with self.pool.one() as connection:
                return work(connection)
        except RemoteLost as error:
            if silent(error) or not (again or isinstance(error, Dropped)) or self.cancelled.is_set():
                raise
            lost = error
        try:
            with self.pool.one() as connection:
                return work(connection)
        except RemoteError:
            raise
        except TargetError as error:
            raise lost from error

    def ask(self, command: str) -> Reply:
        """The answer to one command."""
        return self.do(lambda connection: connection.ask(command)[0])

    def answers(
        self, commands: Sequence[Sequence[str]], *, again: bool, heard: list[Reply] | None = None
    ) -> Sequence[Sequence[Reply]]:
        """The answers to the commands of several operations, which are sent in one go. See `Control.ask`."""
        flat = [command for each in commands for command in each]
        replies = iter(self.do(lambda connection: connection.ask(*flat, heard=heard), again=again))
        return [[next(replies) for _ in each] for each in commands]

    def check(self, reply: Reply, path: str) -> None:
        """Raise the error of a command about ``path``."""
        if not reply.good:
            raise self.do(lambda connection: self.place.explained(connection, reply, path))

    def over(self, path: str, store: Callable[[Connection], object]) -> None:
        """Do what stores the file ``path``. There are servers that let nobody write over what is there.

        It may be what came of it before the line was cut.
        """
        try:
            self.do(store)
        except RemoteDenied:
            there = self.do(lambda connection: self.place.look(connection, path))
            if there is None or there.kind is not Kind.FILE:
                raise
            self.check(self.ask(self.place.command("DELE", path)), path)
            self.do(store)

    def workers(self, transfer: Transfer) -> int:
        """How many connections are used for what is to be sent."""
        files = [entry for entry in transfer.entries if entry.kind is Kind.FILE]
        return max(1, min(len(files), self.worth(sum(1 + entry.size // EXCHANGE for entry in files))))

    def worth(self, exchanges: int) -> int:
        """How many connections are used for so many exchanges: those that are there, and more where that pays."""
        return max(1, min(self.pool.most, exchanges, max(self.pool.open, exchanges // WORTH)))

    def each(self, items: Sequence[T], work: Callable[[T], object]) -> None:
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

        with ThreadPoolExecutor(self.worth(len(items)), thread_name_prefix="ftp") as threads:
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
