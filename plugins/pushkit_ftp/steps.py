"""`Steps`: what a connection does in parts, between which it waits for the server, and others may be dealt with."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Generator
from typing import NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
#: What a socket that never waits raises where it would have to.
BUSY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wait(NamedTuple):
    """There is nothing to do until ``sock`` can be read, or ``writing`` can be written, for at most ``seconds``."""

    sock: socket.socket
    seconds: float
    writing: bool = False

    @property
    def over(self) -> bool:
        """Whether that is so in time. One that another thread has closed is not waited for: who uses it is told."""
        poll = select.poll()
        try:
            poll.register(self.sock, select.POLLOUT if self.writing else select.POLLIN)
        except ValueError:
            return True
        return bool(poll.poll(self.seconds * 1000))


#: It yields what it waits for, and is resumed when that is over; where it is not in time `TimeoutError` is thrown in.
Steps: TypeAlias = Generator[Wait, None, T]


def doing(act: Callable[[], T], sock: socket.socket, seconds: float, *, writing: bool = False) -> Steps[T]:
    """What ``act`` returns, which is done with ``sock`` as soon as that can be read, or ``writing`` be written."""
    while True:
        try:
            return act()
        except BUSY as error:
            # TLS may have to do the one before it can do the other.
            other = isinstance(error, ssl.SSLWantReadError if writing else ssl.SSLWantWriteError)
        yield Wait(sock, seconds, writing is not other)


def through(steps: Steps[T]) -> T:
    """All of them, one after the other."""
    try:
        wait = next(steps)
        while True:
            wait = next(steps) if wait.over else steps.throw(TimeoutError("timed out"))
    except StopIteration as end:
        result: T = end.value
        return result
