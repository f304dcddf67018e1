"""A TCP relay that breaks as it is told: what lies between a client and a server of the tests."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

PIECE = 1024 * 1024
# <asm-generic/socket.h> and <linux/bpf_common.h>.
SO_ATTACH_FILTER, SO_DETACH_FILTER, BPF_RETURN = 26, 27, 6


class Fault(Enum):
    """How a connection ends: reset (RST), closed (FIN), or silent, as when a cable is pulled.

    Silent, not even the system acknowledges what comes; that takes Linux, elsewhere it only is not passed on.
    """

    RESET = "reset"
    CLOSE = "close"
    SILENCE = "silence"


class Way(Enum):
    """From the client to the server, or back."""

    UP = "up"
    DOWN = "down"


class FaultProxy:
    """Relays connections on ``host`` and ``port``, both its own, to the server at ``to``, from `start` to `stop`.

    ``delay`` is how many seconds it holds each piece back, ``rate`` how many bytes a second it relays in one way of one
    connection, 0 for any number; both may be set at any time. `cut` breaks it, `heal` makes it whole again.
    """

    def __init__(self, to: tuple[str, int], *, delay: float = 0.0, rate: float = 0.0) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.delay = delay
        self.rate = rate
        #: How many bytes went each way since it was last whole, and whether it has broken since then.
        self.carried = dict.fromkeys(Way, 0)
        self.broken = threading.Event()
        self._to = to
        self._lock = threading.Condition()
        self._listener: socket.socket | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._over = False
        self._plan: Fault | None = None
        self._fault: Fault | None = None
        self._left = 0
        self._way = Way.UP
        self._then: Callable[[], object] | None = None
        self._once = False
        self._behind = b""

    def start(self) -> None:
        """Listen."""
        self._listener = socket.create_server((self.host, 0), backlog=50)
        self.port = self._listener.getsockname()[1]
        self._begin(self._accept, self._listener)

    def stop(self) -> None:
        """End every connection."""
        with self._lock:
            self._over = True
            self._lock.notify_all()
        if self._listener:
            # A thread that waits in accept() is not woken by close(2) alone.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._end(Fault.CLOSE)
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def cut(
        self,
        fault: Fault,
        after: int = 0,
        way: Way = Way.UP,
        then: Callable[[], object] | None = None,
        *,
        once: bool = False,
        behind: bytes = b"",
    ) -> None:
        """Break once ``after`` more bytes went one ``way``: all connections, and every new one, until `heal`.

        The byte after that is never sent on. They are counted from ``behind`` on, which comes in one piece. ``then`` is
        called once it is broken. With ``once`` new connections are let through; not for `Fault.SILENCE`.
        """
        with self._lock:
            self._plan, self._left, self._way, self._then, self._once = fault, after, way, then, once
            self._behind = behind
            if after or behind:
                return
            self._fault = fault
        self._break()

    def heal(self) -> None:
        """Relay again. Connections that are silent end; `carried` and `broken` begin anew."""
        with self._lock:
            silent = self._fault is Fault.SILENCE
            self._plan = self._fault = self._then = None
            self.carried = dict.fromkeys(Way, 0)
            self.broken = threading.Event()
            pairs = self._pairs if silent else []
            self._pairs = [] if silent else self._pairs
            self._lock.notify_all()
        if silent and self._listener:
            heard(self._listener)
        for pair in pairs:
            for sock in pair:
                heard(sock)
                ended(sock, Fault.RESET)

    # How.

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if self._over:
                    client.close()
                    return
                fault = self._fault
            if fault in {Fault.RESET, Fault.CLOSE}:
                ended(client, Fault.RESET)
                continue
            try:
                server = socket.create_connection(self._to, timeout=20)
                server.settimeout(None)
            except OSError:
                ended(client, Fault.RESET)
                continue
            with self._lock:
                self._pairs.append((client, server))
            self._begin(self._relay, (client, server), Way.UP)
            self._begin(self._relay, (client, server), Way.DOWN)

    def _relay(self, pair: tuple[socket.socket, socket.socket], way: Way) -> None:
        source, sink = pair if way is Way.UP else reversed(pair)
        try:
            while piece := source.recv(PIECE):
                if self.delay or self.rate:
                    time.sleep(self.delay + (len(piece) / self.rate if self.rate else 0))
                allowed, last = self._allowed(piece, way, pair)
                sink.sendall(allowed)
                if last:
                    self._break()
                if len(allowed) < len(piece):
                    return
            with self._lock:
                if self._fault is None:
                    sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One of the two has gone: so does the other.
            ended(source, Fault.CLOSE)
            ended(sink, Fault.CLOSE)

    def _allowed(self, piece: bytes, way: Way, pair: tuple[socket.socket, socket.socket]) -> tuple[bytes, bool]:
        """As much of ``piece`` as may pass, and whether the cut is right behind it."""
        with self._lock:
            while self._fault is Fault.SILENCE and not self._over:
                self._lock.wait()
            if self._fault or self._over or pair not in self._pairs:
                return b"", False
            if self._plan is None or way is not self._way or self._behind not in piece:
                last = False
            else:
                self._left += piece.find(self._behind) + len(self._behind)
                self._behind = b""
                last = len(piece) >= self._left
                piece = piece[: self._left]
                self._left -= len(piece)
            self.carried[way] += len(piece)
            if last:
                # From here on nothing passes, in no way.
                self._fault = self._plan
            return piece, last

    def _break(self) -> None:
        with self._lock:
            fault, then, broken = self._fault, self._then, self.broken
            pairs = self._pairs
            if fault is not Fault.SILENCE:
                self._pairs = []
            if self._once:
                self._plan = self._fault = None
        if fault is Fault.SILENCE and self._listener:
            for sock in (self._listener, *(each for pair in pairs for each in pair)):
                silenced(sock)
        elif fault:
            for pair in pairs:
                for sock in pair:
                    ended(sock, fault)
        if then:
            then()
        broken.set()

    def _end(self, fault: Fault | None) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for sock in pair:
                ended(sock, fault)


def silenced(sock: socket.socket) -> None:
    """Drop all that comes for a socket before the system sees it: a filter of one instruction (socket(7))."""
    if sys.platform == "linux":
        instruction = struct.pack("HBBI", BPF_RETURN, 0, 0, 0)
        buffer = ctypes.create_string_buffer(instruction)
        with suppress(OSError):  # It is closed already.
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(buffer)))


def heard(sock: socket.socket) -> None:
    """Undo `silenced`."""
    if sys.platform == "linux":
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def ended(sock: socket.socket, fault: Fault | None) -> None:
    """End a connection, with RST or with FIN."""
    with suppress(OSError):
        if fault is Fault.RESET:
            # A close with nothing to linger for is a reset (socket(7), SO_LINGER), once nobody waits in recv(2).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.shutdown(socket.SHUT_RD)
        else:
            sock.shutdown(socket.SHUT_RDWR)
    sock.close()
