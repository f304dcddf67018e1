"""`Pool`: the connections to one server."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pushkit import Interrupted, TargetError
from pushkit.files import RemoteLost
from pushkit_ftp.connection import Connection
from pushkit_ftp.login import Crowded, Unwelcome
from pushkit_ftp.server import Server

#: How often, and after how many seconds each, a server that lets nobody in is asked again: it may not have noticed yet
#: that a connection has ended.
TRIES, PAUSE = 5, 1.0


class Pool:
    """Connections, each used by one thread at a time, opened as they are needed, at most as many as the server lets in.

    Once ``cancelled`` is set, nobody waits for a server that is full.
    """

    def __init__(self, server: Server, cancelled: threading.Event) -> None:
        self._server = server
        self._cancelled = cancelled
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        #: The first login tells how far away the server is, and so how many there are to be.
        self._most = 1
        self._known = False
        self._closed = False

    @property
    def most(self) -> int:
        """How many connections there may be."""
        return self._most

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection. Who waits for one gets it in turn: a sign of life must not wait for the last of many files."""
        with self.lent(self.take()) as connection:
            yield connection

    @contextmanager
    def lent(self, connection: Connection) -> Iterator[Connection]:
        """A connection that was taken, and is given back."""
        try:
            yield connection
        finally:
            self._give_back(connection)

    def spare(self) -> Connection | None:
        """A connection that is there and that nobody waits for, if there is one."""
        while True:
            with self._changed:
                if self._waiting or not self._idle:
                    return None
                connection = self._idle.pop()
                self._used.add(connection)
            if not connection.stale:
                return connection
            self._drop(connection)

    def expect(self, count: int) -> None:
        """Begin to open connections until there are ``count``, if the server lets in as many; they will be needed."""
        with self._changed:
            more = 0 if self._closed else max(0, min(count, self._most) - self._count)
            self._opening += more
        for number in range(more):
            try:
                threading.Thread(target=self._add, name="ftp", daemon=True).start()
            except RuntimeError:  # there can be no more threads: who needs a connection opens it
                with self._changed:
                    self._opening -= more - number
                    self._changed.notify_all()
                break

    def _add(self) -> None:
        # What is wrong, who needs it meets as well.
        with suppress(TargetError, Interrupted):
            if connection := self._open():
                self._give_back(connection)

    def _give_back(self, connection: Connection) -> None:
        with self._changed:
            self._used.discard(connection)
            if connection.broken or self._closed:
                connection.hang_up()
            else:
                self._idle.append(connection)
            self._changed.notify_all()

    @property
    def open(self) -> int:
        """How many there are, or will be in a moment."""
        return self._count

    def close(self) -> None:
        """End all of them, also those that are in use: who uses one, or waits for one, is told."""
        with self._changed:
            idle, self._idle = self._idle, []
            used = tuple(self._used)
            self._closed = True
            self._changed.notify_all()
        for connection in idle:
            connection.hang_up()
        for connection in used:
            connection.cut()

    def take(self) -> Connection:
        """A connection, which is to be `lent` at once."""
        while True:
            connection = self._idle_one()
            if connection is None:
                connection = self._open()
            elif connection.stale:
                # It was idle for too long; nothing was asked of it.
                self._drop(connection)
                continue
            if connection:
                return connection

    def _drop(self, connection: Connection) -> None:
        connection.hang_up()
        with self._changed:
            self._used.discard(connection)
            self._changed.notify_all()  # another may be opened, by who waits for one

    def _idle_one(self) -> Connection | None:
        """One that is there; None when another may be opened, and is counted as such."""
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(
                    lambda: self._closed or (self._waiting[0] is turn and bool(self._idle or self._count < self._most))
                )
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
            self._check_open()
            if self._idle:
                connection = self._idle.pop()
                self._used.add(connection)
                return connection
            self._opening += 1
            return None

    def _check_open(self) -> None:
        if self._closed:
            raise RemoteLost(f"{self._server.where}: the connection was lost: push hung up", hint="push again")

    @property
    def _count(self) -> int:
        return len(self._idle) + len(self._used) + self._opening

    def _open(self) -> Connection | None:
        """A new connection; None when the server lets in no more than there are. Raises `TargetError`."""
        connection = Connection(self._server)
        try:
            self._knock(connection)
        except BaseException as error:
            with self._changed:
                self._opening -= 1
                others = self._count
                if isinstance(error, Crowded) and others:
                    self._most = others
                self._changed.notify_all()
            if isinstance(error, Crowded) and others:
                return None
            raise
        with self._changed:
            self._opening -= 1
            if self._closed:
                connection.hang_up()
            self._check_open()
            self._used.add(connection)
            if not self._known:
                self._known, self._most = True, self._server.connections
                self._changed.notify_all()
        return connection

    def _knock(self, connection: Connection) -> None:
        for number in range(TRIES):
            try:
                connection.open()
            except Crowded as error:
                with self._changed:
                    alone = self._count == 1
                if not alone or number == TRIES - 1 or isinstance(error, Unwelcome):
                    raise
            else:
                return
            if self._cancelled.wait(PAUSE):
                raise Interrupted("stopped")
