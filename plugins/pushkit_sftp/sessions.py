"""`Sessions`: the SFTP sessions of one connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pushkit import PushkitError
from pushkit_sftp.library import paramiko

# OpenSSH lets ten sessions share a connection; some are left for commands.
MOST = 6
# Seconds for the answer to one request.
PATIENCE = 60


@contextmanager
def answered(channel: paramiko.Channel, within: float) -> Iterator[None]:
    """Raise `TimeoutError` when the server does not answer the request of a channel that is made here.

    paramiko itself would wait for ever; a channel that is closed ends its wait.
    """
    late = threading.Event()

    def give_up() -> None:
        late.set()
        channel.close()

    timer = threading.Timer(within, give_up)
    timer.start()
    try:
        yield
    except paramiko.SSHException as error:
        if late.is_set():
            raise TimeoutError("the server did not answer the request of a channel") from error
        raise
    finally:
        timer.cancel()
        timer.join()


class Sessions:
    """SFTP sessions, each used by one thread at a time, opened as they are needed.

    paramiko's client mixes up answers when several threads wait for one; and a round trip that one thread waits
    for is time that another can use.
    """

    def __init__(self, transport: paramiko.Transport, window: int) -> None:
        self._transport = transport
        self._window = window
        self._idle: list[paramiko.SFTPClient] = []
        self._changed = threading.Condition()
        self._count = 0
        self._most = MOST

    @contextmanager
    def one(self) -> Iterator[paramiko.SFTPClient]:
        """A session for one request or a few that belong together. Waits when all are in use."""
        client = self._take()
        try:
            yield client
        except PushkitError:
            # Raised between two requests.
            self._give_back(client)
            raise
        except BaseException as error:
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                if not ended(client):
                    # The answer to the request.
                    self._give_back(client)
                    raise
                self._drop(client)
                raise EOFError("the server ended the SFTP session") from error
            # An answer may still come, and would be taken for that of another request.
            self._drop(client)
            raise
        self._give_back(client)

    def close(self) -> None:
        """End the sessions that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> paramiko.SFTPClient:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._idle or self._count < self._most)
                if self._idle:
                    return self._idle.pop()
                self._count += 1
            try:
                return self._open()
            except (paramiko.SSHException, EOFError, OSError):
                with self._changed:
                    self._count -= 1
                    # The server allows no more than there are; without any, or without a server, there is no hope.
                    self._most = max(1, self._count)
                    self._changed.notify_all()
                    if self._count == 0 or not self._transport.is_active():
                        raise

    def _give_back(self, client: paramiko.SFTPClient) -> None:
        with self._changed:
            self._idle.append(client)
            self._changed.notify()

    def _open(self) -> paramiko.SFTPClient:
        channel = self._transport.open_session(window_size=self._window, timeout=PATIENCE)
        try:
            channel.settimeout(PATIENCE)
            with answered(channel, PATIENCE):
                channel.invoke_subsystem("sftp")
            return paramiko.SFTPClient(channel)
        except BaseException:
            channel.close()
            raise

    def _drop(self, client: paramiko.SFTPClient) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()
        with suppress(paramiko.SSHException, EOFError, OSError):
            client.close()


def ended(client: paramiko.SFTPClient) -> bool:
    """Whether the server has ended a session, so that what failed was no request of its own."""
    channel = client.get_channel()
    return channel is None or bool(channel.closed or channel.eof_received)
