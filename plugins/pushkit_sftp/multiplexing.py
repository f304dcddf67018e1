"""`Multiplexed`: a channel of a connection that an ssh process shares, asked for at its control socket.

The protocol is that of OpenSSH's PROTOCOL.mux, version 4. The master reads and writes three pipes itself, so that
no process stands between it and us.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from pushkit_sftp.transport import TICK, Channel

HELLO, NEW_SESSION = 0x00000001, 0x10000002
DENIED, FAILED, EXIT, OPENED, NO_TERMINAL = 0x80000002, 0x80000003, 0x80000004, 0x80000006, 0x80000008
VERSION = 4
#: The character that would reach ssh and not the program: none.
NO_ESCAPE = 0xFFFFFFFF
REQUEST = 1
# The code of a program of which the server does not say how it ended.
NOBODY_SAYS = -1
# In the place of a file that is closed.
CLOSED = -1
#: Bytes of the longest message that a master sends, and that a pipe is asked to hold.
LONGEST, PIPE = 256 * 1024, 1024 * 1024
# What tells Linux how much a pipe is to hold; other systems decide by themselves.
SET_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 0)


class Message(NamedTuple):
    """What a master says: of what type, and the rest."""

    kind: int
    body: bytes


class Control:
    """A connection to the control socket of a master."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._heard = b""
        try:
            self._socket.settimeout(TICK)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def say(self, kind: int, body: bytes) -> None:
        """Send one message."""
        self._socket.sendall(struct.pack(">II", len(body) + 4, kind) + body)

    def give(self, file: int) -> None:
        """Let the master have an open file."""
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
        self._socket.sendmsg([b"\0"], passed)

    def hear(self) -> Message | None:
        """One message; None at the end. Raises `TimeoutError` when `TICK` has passed."""
        while (size := self._size()) is None or len(self._heard) < 4 + size:
            try:
                piece = self._socket.recv(4096)
            except ConnectionResetError:
                return None
            if not piece:
                return None
            self._heard += piece
        message, self._heard = self._heard[4 : 4 + size], self._heard[4 + size :]
        return Message(int.from_bytes(message[:4], "big"), message[4:])

    def hear_within(self, seconds: float) -> Message:
        """One message. Raises `TimeoutError` when it does not come in so many seconds, `EOFError` at the end."""
        end = time.monotonic() + seconds
        while True:
            try:
                message = self.hear()
            except TimeoutError:
                if time.monotonic() > end:
                    raise
                continue
            if message is None:
                raise EOFError("ssh ended the connection")
            return message

    @property
    def has_more(self) -> bool:
        """Whether there is something to be heard."""
        return ready(self._socket.fileno(), select.POLLIN, 0)

    def close(self) -> None:
        """Leave. The master closes what it opened for us."""
        self._socket.close()

    def _size(self) -> int | None:
        """How long the next message is, when that is known."""
        if len(self._heard) < 4:
            return None
        size = int.from_bytes(self._heard[:4], "big")
        if not 4 <= size <= LONGEST:
            raise EOFError("ssh said what cannot be understood")
        return size


class Multiplexed(Channel):
    """A program on the server, started through the master whose control socket is at ``path``.

    ``lost`` tells whether the master's connection is at its end. Raises `TimeoutError` when the server does not start
    the program within so many seconds, `EOFError` when it refuses.
    """

    def __init__(self, path: str, command: bytes, within: float, lost: Callable[[], bool], *, subsystem: bool) -> None:
        self._lost = lost
        self._code: int | None = None
        self._files: list[int] = []
        self._control = Control(path)
        try:
            theirs = self._pipes()
            try:
                self._start(command, within, theirs, subsystem=subsystem)
            finally:
                for file in theirs:
                    os.close(file)
        except BaseException:
            self.close()
            raise

    def _pipes(self) -> list[int]:
        """Open three pipes; the ends that the master is given."""
        theirs = []
        for number in range(3):
            reading, writing = os.pipe()
            ours, other = (writing, reading) if number == 0 else (reading, writing)
            self._files.append(ours)
            theirs.append(other)
            os.set_blocking(ours, False)
            if SET_SIZE and number < 2:
                with suppress(OSError):  # above what one user may have
                    fcntl.fcntl(ours, SET_SIZE, PIPE)
        return theirs

    def _start(self, command: bytes, within: float, files: list[int], *, subsystem: bool) -> None:
        control = self._control
        control.say(HELLO, struct.pack(">I", VERSION))
        kind, body = control.hear_within(within)
        if kind != HELLO or body[:4] != struct.pack(">I", VERSION):
            raise EOFError("ssh speaks another version of its own protocol")
        # No terminal, no X11, no agent.
        flags = struct.pack(">IIIIII", REQUEST, 0, 0, 0, 0, subsystem)
        control.say(NEW_SESSION, flags + struct.pack(">II", NO_ESCAPE, 0) + struct.pack(">I", len(command)) + command)
        for file in files:
            control.give(file)
        kind, body = control.hear_within(within)
        if kind in {DENIED, FAILED}:
            size = int.from_bytes(body[4:8], "big")
            raise EOFError(body[8 : 8 + size].decode("utf-8", "replace"))
        if kind != OPENED:
            raise EOFError("ssh said what cannot be understood")

    def _send(self, data: bytes | memoryview, /) -> int:
        """Send what the pipe takes."""
        if not ready(self._files[0], select.POLLOUT, TICK):
            raise TimeoutError
        try:
            return os.write(self._files[0], data)
        except BlockingIOError:
            raise TimeoutError from None
        except BrokenPipeError:
            return 0

    def recv(self, size: int, /) -> bytes:
        """What it printed."""
        if not ready(self._files[1], select.POLLIN, TICK):
            raise TimeoutError
        return os.read(self._files[1], size)

    def recv_there(self, size: int, /) -> tuple[bytes, bytes]:
        """What is there already."""
        return there(self._files[1], size), there(self._files[2], size)

    def finish(self) -> None:
        """End its standard input."""
        if self._files[0] != CLOSED:
            os.close(self._files[0])
            self._files[0] = CLOSED

    @property
    def over(self) -> bool:
        """Whether it is known how it ended."""
        while self._code is None and self._control.has_more:
            self._listen()
        return self._code is not None

    def exit_code(self) -> int:
        """How it ended."""
        while self._code is None:
            self._listen()
        if self._code == NOBODY_SAYS and self._lost():
            raise EOFError("the server is gone")
        return self._code

    def _listen(self) -> None:
        message = self._control.hear()
        if message is None:
            self._code = NOBODY_SAYS
        elif message.kind == EXIT:
            self._code = int.from_bytes(message.body[4:8], "big")

    def close(self) -> None:
        """End it."""
        self._control.close()
        for number, file in enumerate(self._files):
            self._files[number] = CLOSED
            if file != CLOSED:
                os.close(file)


def ready(file: int, event: int, seconds: float) -> bool:
    """Whether a file can be read or written, or has come to its end, within so many seconds."""
    if file == CLOSED:
        raise EOFError("the channel is closed")
    poll = select.poll()
    poll.register(file, event)
    return bool(poll.poll(seconds * 1000))


def there(file: int, size: int) -> bytes:
    """What can be read without waiting."""
    try:
        return os.read(file, size)
    except BlockingIOError:
        return b""
