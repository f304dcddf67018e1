"""`Control`: the conversation with a server, in commands and answers, several of which may be on their way at once."""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

from pushkit import excerpt
from pushkit.files import RemoteLost
from pushkit_ftp.replies import Reply, error_of
from pushkit_ftp.server import Server
from pushkit_ftp.steps import Steps, doing, through

T = TypeVar("T")
#: So many commands are sent before the first is answered; their answers have to fit into the buffers on the way.
AHEAD = 32
#: The most that is sent in one record of TLS, in bytes.
RECORD = 1000
#: The most that a line of an answer may have, in bytes, and all of its lines; and what is taken of them at once.
LINE, LINES, PIECE = 64 * 1024, 1024 * 1024, 16 * 1024
#: The digits that an answer begins with.
CODE = re.compile(r"[1-5]\d\d(?:[ -]|$)")


class Control:
    """What is said to ``server``, and what it says.

    Text is bytes here, each as the letter of its number (latin-1), whatever they mean: `Server.wired` and
    `Server.named` know that. ``broken`` is true while it is not known what the server will say next: such a connection
    is of no use any more. ``sock`` never waits; who waits does so for at most ``patience`` seconds.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sock: socket.socket | None = None
        self.patience = server.options.connect_timeout
        self.broken = True
        self._forget()

    def _forget(self) -> None:
        """Nothing was heard yet."""
        #: The answers that were not asked for yet; then the lines of one that goes on, their size, and part of a line.
        self._answers: deque[str] = deque()
        self._lines: list[str] = []
        self._size = 0
        self._heard = b""

    @property
    def stale(self) -> bool:
        """Whether the server has ended an idle connection, or said something that nobody asked for."""
        if self.broken or self.sock is None or self._heard or self._lines or self._answers:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def ask(self, *commands: str, heard: list[Reply] | None = None) -> list[Reply]:
        """The answers to commands, several of which are on their way at once.

        They are added to those ``heard`` one by one. Raises `RemoteLost`, `Dropped` when the server hung up before it
        did anything.
        """
        ahead = AHEAD if self.server.options.pipelining else 1
        replies: list[Reply] = [] if heard is None else heard
        for start in range(0, len(commands), ahead):
            batch = commands[start : start + ahead]
            with self.speaking():
                self.send(batch)
                for _ in batch:
                    replies.append(self.answer())  # noqa: PERF401  (what was heard before the line is cut stays)
        return replies

    def send(self, commands: Sequence[str]) -> None:
        """Send commands in one go; each is to be answered: see `answer`.

        Over TLS in records of at most so many bytes: ProFTPD waits for the network while the rest of a larger one,
        which it has decrypted already, lies in its own memory.
        """
        record = b""
        for command in commands:
            line = command.encode("latin-1") + b"\r\n"
            if record and len(record) + len(line) > RECORD and isinstance(self.sock, ssl.SSLSocket):
                self._say(record)
                record = b""
            record += line
        self._say(record)

    def _say(self, record: bytes) -> None:
        assert self.sock
        while record:
            send = partial(self.sock.send, record)
            record = record[through(doing(send, self.sock, self.patience, writing=True)) :]

    def answer(self) -> Reply:
        """What the server says next. Raises `RemoteLost` where it hangs up, or says what is no answer."""
        text = self.text()
        reply = reply_of(text)
        if reply is None:
            raise RemoteLost(f"{self.server.where}: the server said what is no answer: {excerpt(text, 80)!r}")
        if reply.code == 421:
            raise error_of(reply, self.server.where)
        return reply

    def text(self) -> str:
        """The lines of the next answer, whatever they say."""
        if not self._answers:
            through(self.expecting(1))
            if not self._answers:
                raise EOFError
        return self._answers.popleft()

    def expecting(self, count: int) -> Steps[None]:
        """Until so many answers are there, or all that there will be; `answer` waits for what is missing."""
        assert self.sock
        while len(self._answers) < count:
            piece = yield from doing(partial(self.sock.recv, PIECE), self.sock, self.patience)
            if not piece:
                return
            *lines, self._heard = (self._heard + piece).split(b"\n")
            for line in lines:
                self._hear(line.rstrip(b"\r").decode("latin-1"))
            if len(self._heard) > LINE:
                raise RemoteLost(f"{self.server.where}: the server says a line without an end")

    def _hear(self, line: str) -> None:
        """Take one line. One that begins with no code is no answer of several lines."""
        if not self._lines and (line[3:4] != "-" or not line[:3].isdigit()):
            self._answers.append(line)
            return
        self._lines.append(line)
        self._size += len(line) + 1
        if len(self._lines) > 1 and line[:3] == self._lines[0][:3] and line[3:4] != "-":
            self._answers.append("\n".join(self._lines))
            self._lines, self._size = [], 0
        elif self._size > LINES:
            raise RemoteLost(f"{self.server.where}: the server gives an answer without an end")

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """While a command is under way: what fails leaves the connection broken."""
        was, self.broken = self.broken, True
        try:
            yield
        except TimeoutError as error:
            hint = "push again; a server that is lost by it may need pipelining = false"
            raise RemoteLost(f"{self.server.where}: no answer in time", hint=hint) from error
        except (OSError, EOFError) as error:
            why = str(error) or "the server hung up"
            raise RemoteLost(f"{self.server.where}: the connection was lost: {why}", hint="push again") from error
        # While somebody logs in it stays so.
        self.broken = was

    def secured(self, sock: ssl.SSLSocket) -> None:
        """Talk over TLS from now on. What somebody slipped in before the handshake is forgotten."""
        self.sock = sock
        self._forget()

    def hang_up(self) -> None:
        """End it. Never raises."""
        self.broken = True
        sock, self.sock = self.sock, None
        with suppress(Exception):
            if sock:
                sock.shutdown(socket.SHUT_RDWR)
        with suppress(Exception):
            if sock:
                sock.close()


def reply_of(text: str) -> Reply | None:
    """What the lines of an answer say, None when they are none."""
    if not CODE.match(text):
        return None
    first, *more = text.split("\n")
    return Reply(int(first[:3]), (first[4:], *more))


def batches(items: Sequence[T]) -> list[Sequence[T]]:
    """``items`` in parts whose commands are sent at once."""
    return [items[start : start + AHEAD] for start in range(0, len(items), AHEAD)]
