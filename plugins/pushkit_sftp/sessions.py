"""`Sessions`: the SFTP sessions of one connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

import paramiko

# OpenSSH lets ten sessions share a connection; some are left for commands.
MOST = 6
# Seconds for the answer to one request.
PATIENCE = 60


class Sessions:
    """SFTP sessions, each used by one thread at a time, opened as they are needed.

    paramiko's client mixes up answers when several threads wait for one; and a round trip that one thread waits
    for is time that another can use.
    """

    def __init__(self, transport: paramiko.Transport, window: int) -> None:
        self._transport = transport
        self._window = window
        self._idle: SimpleQueue[paramiko.SFTPClient] = SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._most = MOST

    @contextmanager
    def one(self) -> Iterator[paramiko.SFTPClient]:
        """A session for one request or a few that belong together. Waits when all are in use."""
        client = self._take()
        try:
            yield client
        except (TimeoutError, paramiko.SSHException, EOFError):
            # An answer may still come, and would be taken for that of another request.
            self._drop(client)
            raise
        except BaseException:
            self._idle.put(client)
            raise
        self._idle.put(client)

    def close(self) -> None:
        """End the sessions that are idle."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _take(self) -> paramiko.SFTPClient:
        with suppress(Empty):
            return self._idle.get_nowait()
        with self._lock:
            if self._count < self._most:
                try:
                    client = self._open()
                except (paramiko.SSHException, EOFError, OSError):
                    if self._count == 0:
                        raise
                    # The server allows no more.
                    self._most = self._count
                else:
                    self._count += 1
                    return client
        return self._idle.get()

    def _open(self) -> paramiko.SFTPClient:
        channel = self._transport.open_session(window_size=self._window, timeout=PATIENCE)
        try:
            channel.settimeout(PATIENCE)
            channel.invoke_subsystem("sftp")
            return paramiko.SFTPClient(channel)
        except BaseException:
            channel.close()
            raise

    def _drop(self, client: paramiko.SFTPClient) -> None:
        with self._lock:
            self._count -= 1
        with suppress(paramiko.SSHException, EOFError, OSError):
            client.close()
