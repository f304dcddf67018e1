"""`Steps`: what a connection does in parts, between which it waits for the server, and others may be dealt with."""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")


class Wait(NamedTuple):
    """There is nothing to do until ``sock`` can be read, or ``writing`` can be written, for at most ``seconds``."""

    sock: socket.socket
    seconds: float
    writing: bool = False


#: It yields what it waits for, and may be resumed earlier: then it waits by itself.
Steps: TypeAlias = Generator[Wait, None, T]


def through(steps: Steps[T]) -> T:
    """All of them, one after the other."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
