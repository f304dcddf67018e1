"""`Control`: the conversation with a server, in commands and answers, several of which may be on their way at once."""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pushkit import excerpt
from pushkit.files import RemoteLost
from pushkit_ftp.replies import Reply, error_of
from pushkit_ftp.server import Server
from pushkit_ftp.steps import Steps, Wait

#: So many commands are sent before the first is answered; their answers have to fit into the buffers on the way.
AHEAD = 32
#: The most that is sent in one record of TLS, in bytes.
RECORD = 1000
#: The most that a line of an answer may have, in bytes, and all of its lines; and what is taken of them at once.
LINE, LINES, PIECE = 64 * 1024, 1024 * 1024, 16 * 1024
#: The digits that an answer begins with.
CODE = re.compile(r"[1-5]\d\d(?:[ -]|$)")
#: The last line of an answer, or one of its others that looks like it.
LAST = re.compile(rb"^[1-5]\d\d(?: [^\n]*)?\r?\n", re.MULTILINE)


class Control:
    """What is said to ``server``, and what it says.

    Text is bytes here, each as the letter of its number (latin-1), whatever they mean: `Server.wired` and
    `Server.named` know that. ``broken`` is true while it is not known what the server will say next: such a connection
    is of no use any more.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sock: socket.socket | None = None
        self.broken = True
        self._heard = b""

    @property
    def stale(self) -> bool:
        """Whether the server has ended an idle connection, or said something that nobody asked for."""
        if self.broken or self.sock is None or self._heard:
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
        assert self.sock
        record = b""
        for command in commands:
            line = command.encode("latin-1") + b"\r\n"
            if record and len(record) + len(line) > RECORD and isinstance(self.sock, ssl.SSLSocket):
                self.sock.sendall(record)
                record = b""
            record += line
        self.sock.sendall(record)

    def answer(self) -> Reply:
        """What the server says next. Raises `RemoteLost` where it hangs up, or says what is no answer."""
        line = self.lines()
        reply = reply_of(line)
        if reply is None:
            raise RemoteLost(f"{self.server.where}: the server said what is no answer: {excerpt(line, 80)!r}")
        if reply.code == 421:
            raise error_of(reply, self.server.where)
        return reply

    def expecting(self, count: int) -> Steps[None]:
        """Until about so many answers are there, or all that there will be; `answer` waits for what is missing."""
        assert self.sock
        while len(self._heard) < LINE and len(LAST.findall(self._heard)) < count:
            yield Wait(self.sock, self.server.options.timeout)
            if not self._hear():
                return

    def lines(self) -> str:
        """The lines of one answer, whatever they say: what begins with no code is no answer of several lines."""
        line = self._line()
        if line[3:4] != "-" or not line[:3].isdigit():
            return line
        lines, size = [line], 0
        while lines[-1][:3] != line[:3] or lines[-1][3:4] == "-":
            lines.append(self._line())
            size += len(lines[-1]) + 1
            if size > LINES:
                raise RemoteLost(f"{self.server.where}: the server gives an answer without an end")
        return "\n".join(lines)

    def _line(self) -> str:
        end = self._heard.find(b"\n")
        while end < 0:
            if not self._hear():
                raise EOFError
            end = self._heard.find(b"\n")
            if end < 0 and len(self._heard) > LINE:
                raise RemoteLost(f"{self.server.where}: the server says a line without an end")
        line, self._heard = self._heard[:end], self._heard[end + 1 :]
        return line.rstrip(b"\r").decode("latin-1")

    def _hear(self) -> bool:
        """Take what has come; false when the server has hung up."""
        assert self.sock
        piece = self.sock.recv(PIECE)
        self._heard += piece
        return bool(piece)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """While a command is under way: what fails leaves the connection broken."""
        was, self.broken = self.broken, True
        where = self.server.where
        try:
            yield
        except TimeoutError as error:
            hint = "push again; a server that is lost by it may need pipelining = false"
            raise RemoteLost(f"{where}: no answer in time", hint=hint) from error
        except (OSError, EOFError) as error:
            why = str(error) or "the server hung up"
            raise RemoteLost(f"{where}: the connection was lost: {why}", hint="push again") from error
        # While somebody logs in it stays so.
        self.broken = was

    def secured(self, sock: ssl.SSLSocket) -> None:
        """Talk over TLS from now on. What somebody slipped in before the handshake is forgotten."""
        self.sock = sock
        self._heard = b""

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
