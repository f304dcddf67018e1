"""`Sessions`: the SFTP sessions of one connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pushkit.files import RemoteError
from pushkit_sftp.client import Client
from pushkit_sftp.transport import PATIENCE, Transport, connection_told

# OpenSSH lets ten sessions share a connection; some are left for commands.
MOST = 4


class Sessions:
    """SFTP sessions, each used by one thread at a time, opened as they are needed.

    One is enough for what is done at once; another lets a heartbeat go on meanwhile.
    """

    def __init__(self, transport: Transport, cancelled: threading.Event) -> None:
        self._transport = transport
        self._cancelled = cancelled
        self._idle: list[Client] = []
        self._changed = threading.Condition()
        self._count = 0
        self._most = MOST

    @contextmanager
    def one(self) -> Iterator[Client]:
        """A session. Waits when all are in use. One that has ended is not used again."""
        client = self._take()
        try:
            yield client
        finally:
            with self._changed:
                if client.ended:
                    self._count -= 1
                else:
                    self._idle.append(client)
                self._changed.notify_all()

    def close(self) -> None:
        """End the sessions that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Client:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._idle or self._count < self._most)
                if self._idle:
                    return self._idle.pop()
                self._count += 1
            try:
                return self._open()
            except BaseException as error:
                with self._changed:
                    self._count -= 1
                    self._changed.notify_all()
                    # Without any, or without a server, there is no hope.
                    if not isinstance(error, RemoteError) or not self._count or not self._transport.active:
                        raise
                    # The server allows no more than there are.
                    self._most = self._count

    def _open(self) -> Client:
        channel = self._transport.open(b"sftp", PATIENCE, subsystem=True)
        try:
            return Client(channel, lambda: connection_told(self._transport.where), PATIENCE, self._cancelled)
        except BaseException:
            channel.close()
            raise
