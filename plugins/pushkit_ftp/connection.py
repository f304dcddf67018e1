"""`Connection`: one control connection on which somebody is logged in, and the data connections that it opens."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice
from typing import Any

from pushkit.files import RemoteLost
from pushkit_ftp.certificates import check
from pushkit_ftp.data import connecting, finishing, port_of, receiving, sending
from pushkit_ftp.login import Login
from pushkit_ftp.replies import Reply, error_of
from pushkit_ftp.server import Server
from pushkit_ftp.steps import Steps, doing, through

#: The first bytes of a file are sent before the server says that it takes them, when they are no more than this.
EAGER = 32 * 1024
#: Seconds after which a connection has had its time: servers forget the TLS sessions of older ones, after two hours.
OLD = 3600.0
#: Seconds for which a port that was asked for ahead is used; servers give them up after some time.
FRESH = 5.0


class Refused(Exception):
    """The server does not transfer what it was asked to; the connection is as good as it was.

    ``first`` are the answers to what it was asked before.
    """

    def __init__(self, reply: Reply, first: Sequence[Reply] = ()) -> None:
        super().__init__(reply.text)
        self.reply = reply
        self.first = first


class Connection(Login):
    """A login that transfers files."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._port: tuple[int, float] | None = None
        self._data: socket.socket | None = None
        self._session: ssl.SSLSession | None = None
        self._since = time.monotonic()
        self._peer: tuple[Any, ...] = ()

    @property
    def stale(self) -> bool:
        """Whether it is of no use any more, though it may have been when it was used last."""
        return super().stale or (self._tls and time.monotonic() - self._since > OLD)

    def cut(self) -> None:
        """End it while another thread uses it, which is told that, and hangs up.

        What is closed in the hands of another may be something else by the time at which that one reads it.
        """
        for sock in (self.sock, self._data):
            if sock:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # an SSLSocket would forget that it is one

    # Data.

    def storing(  # noqa: PLR0917
        self,
        command: str,
        chunks: Iterable[bytes],
        what: str,
        then: Sequence[str] = (),
        start: int = 0,
        first: Sequence[str] = (),
    ) -> Steps[list[Reply]]:
        """Send a file; the answers to the commands ``first`` and ``then``. That all of it arrived, only its size tells.

        ``chunks`` are what comes after the byte ``start``. Raises `Refused`, `RemoteLost`.
        """
        resuming = [f"REST {start}"] if start else []
        pieces = iter(chunks)
        head = [next(pieces, b""), *islice(pieces, 1)]
        eager = not self._tls and self._options.mode == "passive" and self.server.waits_for_command
        small = eager and not start and len(head) == 1 and len(head[0]) <= EAGER
        # To a server that reads commands when it has done the last one, those that follow go with the first.
        early = [*then, self._port_command] if then and self._ahead and self.server.in_turn else []
        failure: OSError | None = None
        dialled = yield from self._dialling()
        with self._asked(dialled, *first, *resuming, command, *early, content=head[0] if small else None) as data:
            sock = data
            yield from self.expecting(len(first) + len(resuming) + 1)
            said = [self.answer() for _ in first]
            refused = [reply for reply in [self.answer() for _ in resuming] if not reply.good]
            begun = done = self.answer()
            if begun.good and refused:
                sock.close()  # it would be taken for the whole: nothing is sent
                done = self.answer()
            elif begun.good:
                try:
                    sock = yield from self._accepting(data)
                    for piece in () if small else chain(head, pieces):
                        yield from sending(sock, piece, self._options.timeout)
                    if not small:
                        yield from finishing(sock, self._options.timeout)
                except OSError as error:
                    # Why, the server says: with TLS its "disk full" comes after an end that looks like an attack.
                    failure = error
                    sock.close()
                yield from self.expecting(1 + len(early))
                done = self.answer()
            # The data socket stays open until then: to close it with something unread would be a reset.
            sock.close()
            yield from self.expecting(len(early))
            replies = self._ported([self.answer() for _ in early])
        self._check(refused[0] if refused else done, what)
        if failure:
            raise RemoteLost(f"{what}: the data connection was lost: {failure}", hint="push again") from failure
        if then and not early:
            replies = yield from self._asking_ahead(*then)
        return [*said, *replies]

    def retrieve(
        self, command: str, what: str, limit: int, first: Sequence[str] = ()
    ) -> tuple[bytes, Reply, Sequence[Reply]]:
        """What a command prints on a data connection, at most ``limit`` bytes and one.

        Then come how the server ends it, and the answers to the commands ``first``. Raises `Refused`, `RemoteLost`.
        """
        early = [self._port_command] if self._ahead and self.server.in_turn else []
        ahead = first if self._options.pipelining else ()
        answers = [] if ahead else self.ask(*first)
        with self._asked(through(self._dialling()), *ahead, command, *early) as data:
            answers += [self.answer() for _ in ahead]
            begun = done = self.answer()
            content = b""
            if begun.good:
                sock = through(self._accepting(data))
                try:
                    content = through(receiving(sock, limit + 1, self._options.timeout))
                finally:
                    sock.close()
                done = self.answer()
            self._ported([self.answer() for _ in early])
        if len(content) <= limit:
            self._check(done, what, answers)
        return content, done, answers

    def ask_ahead(self, *commands: str) -> list[Reply]:
        """As `ask`, and for the port of the data connection that comes next as well."""
        return self._ported(self.ask(*commands, self._port_command)) if self._ahead else self.ask(*commands)

    def _asking_ahead(self, *commands: str) -> Steps[list[Reply]]:
        """As `ask_ahead`, of no more commands than go at once."""
        if not self._ahead:
            return self.ask(*commands)
        asked = [*commands, self._port_command]
        with self.speaking():
            self.send(asked)
            yield from self.expecting(len(asked))
            return self._ported([self.answer() for _ in asked])

    def _ported(self, replies: list[Reply]) -> list[Reply]:
        """The answers without the last one, if there is any, which has the port of the next data connection."""
        if replies and (found := port_of(replies[-1])):
            self._port = found, time.monotonic()
        return replies[:-1]

    @property
    def _ahead(self) -> bool:
        """Whether a data connection may be asked for before it is needed."""
        return self._options.mode == "passive" and self._options.pipelining

    @property
    def _port_command(self) -> str:
        return "EPSV" if self._extended else "PASV"

    def _check(self, reply: Reply, what: str, first: Sequence[Reply] = ()) -> None:
        """Raise `Refused`, or `RemoteLost`, for a transfer that has not come about."""
        if not reply.good:
            error = error_of(reply, what)
            raise error if isinstance(error, RemoteLost) else Refused(reply, first)

    @property
    def _family(self) -> socket.AddressFamily:
        assert self.sock
        return self.sock.family

    @property
    def _extended(self) -> bool:
        return self.server.epsv or self._family == socket.AF_INET6

    @contextmanager
    def _asked(self, dialled: socket.socket, *commands: str, content: bytes | None = None) -> Iterator[socket.socket]:
        """The data connection that was ``dialled``, for ``commands``, which are sent.

        Its TLS begins before the server has taken it up. So does what is sent over it, where that is ``content``; what
        the server says otherwise is heard later.
        """
        with closing(dialled) as data, self.speaking():
            self._data = data
            if content is not None:
                with suppress(OSError):
                    through(sending(data, content, self._options.timeout))
                    data.shutdown(socket.SHUT_WR)
            if not self._tls or self._options.mode == "active":
                self.send(commands)
                yield data
                return
            # Now: one that the server has cut since cannot be wrapped.
            with self._wrapped(data) as sock:
                self._data = sock
                self.send(commands)
                with suppress(OSError):  # it waits for the server; if it failed, that shows when it goes on
                    sock.do_handshake()
                yield sock

    def _dialling(self) -> Steps[socket.socket]:
        """A data connection, or in active mode what will accept it."""
        with self.speaking():
            if self._options.mode == "active":
                return self._listening()
            return (yield from self._passive())

    def _listening(self) -> socket.socket:
        """What waits for the server to connect (RFC 959, PORT; RFC 2428, EPRT)."""
        assert self.sock
        data = socket.create_server((self.sock.getsockname()[0], 0), family=self._family, backlog=1)
        data.settimeout(0)
        try:
            host, port = data.getsockname()[:2]
            if self._family == socket.AF_INET6:
                command = f"EPRT |2|{host.partition('%')[0]}|{port}|"
            else:
                command = f"PORT {host.replace('.', ',')},{port // 256},{port % 256}"
            (reply,) = self.ask(command)
            if not reply.good:
                raise error_of(reply, f"{self.server.where}: {command[:4]}")
        except BaseException:
            data.close()
            raise
        return data

    def _passive(self) -> Steps[socket.socket]:
        """Connect where the server says, but to no other host: behind a NAT it does not know its own address."""
        ahead, self._port = self._port, None
        if ahead and time.monotonic() - ahead[1] < FRESH:
            with suppress(OSError):
                return (yield from self._reaching(ahead[0]))
        if self._extended:
            reply = yield from self._asking("EPSV")
            try:
                if port := port_of(reply):
                    return (yield from self._reaching(port))
            except OSError:
                if self._family == socket.AF_INET6:
                    raise
            if self._family == socket.AF_INET6:
                raise error_of(reply, f"{self.server.where}: EPSV")
        reply = yield from self._asking("PASV")
        if not (port := port_of(reply)):
            raise error_of(reply, f"{self.server.where}: PASV")
        try:
            sock = yield from self._reaching(port)
        except OSError as error:
            raise RemoteLost(
                f"{self.server.where}: no data connection came about (port {port}: {error})",
                hint='a firewall may be in the way: ask for its passive ports to be open, or try mode = "active"',
            ) from error
        self.server.epsv = False  # this works, and that did not
        return sock

    def _asking(self, command: str) -> Steps[Reply]:
        """The answer to one command."""
        self.send([command])
        yield from self.expecting(1)
        return self.answer()

    def _reaching(self, port: int) -> Steps[socket.socket]:
        """A connection to a port of the host that this one leads to."""
        assert self.sock
        self._peer = self._peer or self.sock.getpeername()
        host, _, *more = self._peer
        return (yield from connecting((host, port, *more), self._family, self._options.connect_timeout))

    def _accepting(self, data: socket.socket) -> Steps[socket.socket]:
        """The data connection once the server has taken it up."""
        if self._options.mode == "active":
            listening = data
            data, _ = yield from doing(listening.accept, listening, self._options.timeout)
            data.settimeout(0)
            self._data = data
            data = self._data = self._wrapped(data) if self._tls else data
        if isinstance(data, ssl.SSLSocket):
            try:
                yield from doing(data.do_handshake, data, self._options.timeout)
                check(data, self._options, self.server.where)
            except BaseException:
                data.close()
                raise
        return data

    def _wrapped(self, data: socket.socket) -> ssl.SSLSocket:
        """``data`` with the TLS session of the control connection, as careful servers want it; nothing is sent yet."""
        assert isinstance(self.sock, ssl.SSLSocket)
        # Each time that it is asked for, a copy is made, which takes as long as half a handshake.
        self._session = self._session or self.sock.session
        return self.server.context.wrap_socket(
            data,
            server_hostname=self.server.host,
            session=self._session,
            suppress_ragged_eofs=False,
            do_handshake_on_connect=False,
        )
