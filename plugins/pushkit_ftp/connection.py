"""`Connection`: one control connection on which somebody is logged in, and the data connections that it opens."""

from __future__ import annotations

import ftplib
import re
import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice

from pushkit import TargetError, excerpt
from pushkit.files import RemoteLost
from pushkit_ftp.certificates import check, untrusted
from pushkit_ftp.replies import Reply, crowded, error_of
from pushkit_ftp.server import Server

#: So many commands are sent before the first is answered; their answers have to fit into the buffers on the way.
AHEAD = 32
#: The first bytes of a file are sent before the server says that it takes them, when they are no more than this.
EAGER = 32 * 1024
PIECE = 256 * 1024
#: Seconds for which a port that was asked for ahead is used; servers give them up after some time.
FRESH = 5.0
EPSV = re.compile(r"\((.)\1\1(\d{1,5})\1\)")
PASV = re.compile(r"(?:\d{1,3},){4}(\d{1,3}),(\d{1,3})")
SFTP = 'this server speaks SSH: set strategy = "sftp"'


class Refused(Exception):
    """The server does not transfer what it was asked to; the connection is as good as it was."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Crowded(TargetError):
    """The server lets in no more connections than there are."""


class Unwelcome(Crowded):
    """The server hangs up, which may mean the same, and does not say so."""


class Connection(ftplib.FTP_TLS):
    """A login at ``server``.

    Text is bytes here, each as the letter of its number (latin-1), whatever they mean: `Server.wired` and
    `Server.named` know that. ``broken`` is true while it is not known what the server will say next: such a connection
    is of no use any more.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(context=server.context, timeout=server.options.connect_timeout, encoding="latin-1")
        self.server = server
        self.broken = True
        self._options = server.options
        self._tls = server.options.tls != "none"
        self._port: tuple[int, float] | None = None

    # Logging in.

    def open(self) -> None:
        """Connect, secure the connection, log in. Raises `TargetError`, `Crowded` where there are too many."""
        try:
            self._connect()
            self._log_in()
        except BaseException:
            self.hang_up()
            raise
        assert self.sock
        self.sock.settimeout(self._options.timeout)
        self.broken = False

    def _connect(self) -> None:
        server = self.server
        try:
            self.sock = socket.create_connection((server.host, server.port), timeout=self.timeout)
        except socket.gaierror as error:
            raise TargetError(f"{server.host}: there is no host of that name", hint="check `host`") from error
        except TimeoutError as error:
            raise TargetError(
                f"{server.where}: no answer in time", hint="is it the right host, and is it on?"
            ) from error
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            hint = 'check `host` and `port`; a host may offer SFTP alone: strategy = "sftp"'
            raise TargetError(f"{server.where} cannot be reached: {why}", hint=hint) from error
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.af = self.sock.family
        self.host = server.host
        if self._options.tls == "implicit":
            self._secure()
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self._greet()
        if self._options.tls == "explicit":
            reply = self._step("AUTH TLS")
            if reply.code != 234:
                raise TargetError(
                    f"{server.where}: the server offers no TLS ({reply.text}); nobody logged in, nothing was sent",
                    hint='ask its owner for FTPS; tls = "none" would send the password for everybody to read',
                )
            # What somebody slipped in before the handshake goes with the old file.
            self._secure()
            self.file = self.sock.makefile("r", encoding=self.encoding)

    def _greet(self) -> None:
        server = self.server
        try:
            line = self.getmultiline()
        except TimeoutError as error:
            hint = 'a server that expects TLS at once says nothing: tls = "implicit"; or check `port`'
            raise TargetError(f"{server.where}: the server does not greet", hint=hint) from error
        except (OSError, EOFError, ftplib.Error) as error:
            hint = "the server may let in no more connections from here; try again, check `host` and `port`"
            raise Unwelcome(f"{server.where}: the server hangs up without a greeting", hint=hint) from error
        if line.startswith("SSH-"):
            raise TargetError(f"{server.where}: this is no FTP server", hint=SFTP)
        reply = reply_of(line)
        if reply is None:
            raise TargetError(
                f"{server.where}: this is no FTP server: {excerpt(line, 80)!r}", hint="check `host` and `port`"
            )
        if crowded(reply):
            raise self._crowded(reply)
        if not reply.good:
            raise TargetError(f"{server.where}: the server lets nobody in ({reply.text})", hint="try again later")
        server.greeting = server.greeting or " ".join(reply.lines[0].split())

    def _secure(self) -> None:
        """Wrap the control connection. Nobody has said who they are yet."""
        where = self.server.where
        assert self.sock
        try:
            sock = self.context.wrap_socket(self.sock, server_hostname=self.server.host)
        except ssl.SSLCertVerificationError as error:
            raise untrusted(error, where) from error
        except (OSError, EOFError) as error:
            hint = 'check `tls`: a server may want "explicit" on port 21 and "implicit" on port 990'
            raise TargetError(f"{where}: no TLS came about: {error}; nothing was sent", hint=hint) from error
        self.sock = sock
        check(sock, self._options, where)
        cipher = sock.cipher()
        self.server.protection = f"{sock.version()}, {cipher[0] if cipher else 'no cipher'}"

    def _log_in(self) -> None:
        server, user = self.server, self._options.user
        reply = self._step(f"USER {server.wired(user)}")
        if reply.code == 331:
            reply = self._step(f"PASS {server.wired(server.password)}")
        if crowded(reply):
            raise self._crowded(reply)
        if reply.code not in {230, 202, 232}:
            raise TargetError(
                f"{server.where}: {user} is not let in ({reply.text})", hint="check `user` and `password`"
            )
        # One round trip for all of it. What a server makes of UTF8 is its own affair: bytes stay bytes.
        protecting = ("PBSZ 0", "PROT P") if self._tls else ()
        start = time.monotonic()
        replies = self._steps(*protecting, "FEAT", "OPTS UTF8 ON", "TYPE I", "PWD")
        server.round_trip = time.monotonic() - start
        if self._tls and not replies[1].good:
            raise TargetError(
                f"{server.where}: the server does not protect data connections ({replies[1].text}); nothing was sent",
                hint="ask its owner for PROT P",
            )
        features, _utf8, binary, home = replies[-4:]
        if not binary.good:
            raise error_of(binary, f"{server.where}: TYPE I")
        if features.code == 211:
            server.features = frozenset(line.split()[0].upper() for line in features.lines[1:] if line.split())
        if found := re.search(r'"((?:[^"]|"")*)"', home.text):
            server.home = server.named(found[1].replace('""', '"'))

    def _step(self, command: str) -> Reply:
        return self._steps(command)[0]

    def _steps(self, *commands: str) -> list[Reply]:
        """As `ask`, where nothing is lost yet: what fails is that the target cannot be used."""
        try:
            return self.ask(*commands)
        except RemoteLost as error:
            words = "the server hung up, or fell silent, during the login"
            raise Unwelcome(f"{self.server.where}: {words}: {error.message}", hint=error.hint) from error

    def _crowded(self, reply: Reply) -> Crowded:
        return Crowded(
            f"{self.server.where}: the server lets in no more connections ({reply.text})",
            hint="wait until others have ended, or lower `connections`",
        )

    # Commands.

    @property
    def stale(self) -> bool:
        """Whether the server has ended an idle connection, or said something that nobody asked for."""
        if self.broken or self.sock is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def ask(self, *commands: str) -> list[Reply]:
        """The answers to commands, several of which are on their way at once.

        Raises `RemoteLost`, `Dropped` when the server hung up before it did anything.
        """
        left = iter(commands)
        replies: list[Reply] = []
        while batch := list(islice(left, AHEAD if self._options.pipelining else 1)):
            with self._speaking():
                self._send(*batch)
                replies += [self._answer() for _ in batch]
        return replies

    def _send(self, *commands: str) -> None:
        assert self.sock
        self.sock.sendall("".join(f"{command}\r\n" for command in commands).encode("latin-1"))

    def getmultiline(self) -> str:
        """The lines of one answer, whatever they say: what begins with no code is no answer of several lines."""
        lines = [self.getline()]
        code = lines[0][:3]
        if code.isdigit() and lines[0][3:4] == "-":
            while lines[-1][:3] != code or lines[-1][3:4] == "-":
                lines.append(self.getline())
        return "\n".join(lines)

    def _answer(self) -> Reply:
        line = self.getmultiline()
        reply = reply_of(line)
        if reply is None:
            raise RemoteLost(f"{self.server.where}: the server said what is no answer: {excerpt(line, 80)!r}")
        if reply.code == 421:
            raise error_of(reply, self.server.where)
        return reply

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """While a command is under way: what fails leaves the connection broken."""
        was, self.broken = self.broken, True
        where = self.server.where
        try:
            yield
        except TimeoutError as error:
            hint = "push again; a server that is lost by it may need pipelining = false"
            raise RemoteLost(f"{where}: no answer in time", hint=hint) from error
        except (OSError, EOFError, ftplib.Error) as error:
            why = str(error) or "the server hung up"
            raise RemoteLost(f"{where}: the connection was lost: {why}", hint="push again") from error
        # While somebody logs in it stays so.
        self.broken = was

    # Data.

    def store(self, command: str, chunks: Iterable[bytes], what: str, then: Sequence[str] = ()) -> list[Reply]:
        """Send a file; the answers to the commands ``then``. That all of it arrived, only its size tells.

        Raises `Refused`, `RemoteLost`.
        """
        pieces = iter(chunks)
        head = [next(pieces, b""), *islice(pieces, 1)]
        # Sent before the server says that it takes it; what it says otherwise is heard later.
        eager = not self._tls and self._options.mode == "passive" and len(head) == 1 and len(head[0]) <= EAGER
        failure: OSError | None = None
        asked: list[str] = []
        replies: list[Reply] = []
        with self._asked(command) as data:
            sock = data
            if eager:
                with suppress(OSError):
                    sock.sendall(head[0])
                    finish(sock, self._options.timeout)
                asked = self._overtake(then)
            begun = done = self._answer()
            if begun.good:
                try:
                    sock = self._secured(data)
                    for piece in () if eager else chain(head, pieces):
                        sock.sendall(piece)
                    if not eager:
                        finish(sock, self._options.timeout)
                        asked = self._overtake(then)
                except OSError as error:
                    # Why, the server says: with TLS its "disk full" comes after an end that looks like an attack.
                    failure = error
                    sock.close()
                done = self._answer()
            # The data socket stays open until then: to close it with something unread would be a reset.
            sock.close()
            replies = [self._answer() for _ in asked]
        self._check(done, what)
        if failure:
            raise RemoteLost(f"{what}: the data connection was lost: {failure}", hint="push again") from failure
        return self._ported(replies) if asked else self.ask_ahead(*then) if then else []

    def _overtake(self, then: Sequence[str]) -> list[str]:
        """Send commands while a file is under way, to a server that reads them when it is done; what was sent."""
        if not then or not self._ahead or not self.server.in_turn:
            return []
        self._send(*(asked := [*then, self._port_command]))
        return asked

    def retrieve(self, command: str, what: str, limit: int) -> tuple[bytes, Reply]:
        """What a command prints on a data connection, at most ``limit`` bytes and one, and how the server ends it."""
        with self._asked(command) as data:
            self._check(self._answer(), what)
            sock = self._secured(data)
            try:
                content = received(sock, limit + 1)
            finally:
                sock.close()
            reply = self._answer()
            if len(content) <= limit:
                self._check(reply, what)
        return content, reply

    def ask_ahead(self, *commands: str) -> list[Reply]:
        """As `ask`, and for the port of the data connection that comes next as well."""
        return self._ported(self.ask(*commands, self._port_command)) if self._ahead else self.ask(*commands)

    def _ported(self, replies: list[Reply]) -> list[Reply]:
        """The answers without the last one, which has the port of the next data connection."""
        *others, port = replies
        if found := port_of(port):
            self._port = found, time.monotonic()
        return others

    @property
    def _ahead(self) -> bool:
        """Whether a data connection may be asked for before it is needed."""
        return self._options.mode == "passive" and self._options.pipelining

    @property
    def _port_command(self) -> str:
        return "EPSV" if self._extended else "PASV"

    def _check(self, reply: Reply, what: str) -> None:
        """Raise `Refused`, or `RemoteLost`, for a transfer that has not come about: what it says next is known."""
        if not reply.good:
            self.broken = False
            error = error_of(reply, what)
            raise error if isinstance(error, RemoteLost) else Refused(reply)

    @property
    def _extended(self) -> bool:
        return self.server.epsv or self.af == socket.AF_INET6

    @contextmanager
    def _dialled(self) -> Iterator[socket.socket]:
        """A data connection, or in active mode what will accept it."""
        with self._speaking():
            data = self.makeport() if self._options.mode == "active" else self._passive()
        data.settimeout(self._options.timeout)
        try:
            yield data
        finally:
            data.close()

    def _passive(self) -> socket.socket:
        """Connect where the server says, but to no other host: behind a NAT it does not know its own address."""
        assert self.sock
        host = self.sock.getpeername()[0]
        ahead, self._port = self._port, None
        timeout = self._options.connect_timeout
        if ahead and time.monotonic() - ahead[1] < FRESH:
            with suppress(OSError):
                return socket.create_connection((host, ahead[0]), timeout)
        if self._extended:
            (reply,) = self.ask("EPSV")
            try:
                if port := port_of(reply):
                    return socket.create_connection((host, port), timeout)
            except OSError:
                if self.af == socket.AF_INET6:
                    raise
            if self.af == socket.AF_INET6:
                raise error_of(reply, f"{self.server.where}: EPSV")
        (reply,) = self.ask("PASV")
        if not (port := port_of(reply)):
            raise error_of(reply, f"{self.server.where}: PASV")
        try:
            sock = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise RemoteLost(
                f"{self.server.where}: no data connection came about (port {port}: {error})",
                hint='a firewall may be in the way: ask for its passive ports to be open, or try mode = "active"',
            ) from error
        self.server.epsv = False  # this works, and that did not
        return sock

    @contextmanager
    def _asked(self, command: str) -> Iterator[socket.socket]:
        """A data connection for ``command``, which is sent. Its TLS begins before the server has taken it up."""
        with self._dialled() as data, self._speaking():
            if not self._tls or self._options.mode == "active":
                self._send(command)
                yield data
                return
            # Now: one that the server has cut since cannot be wrapped.
            with self._wrapped(data) as sock:
                self._send(command)
                sock.settimeout(0)
                with suppress(OSError):  # it waits for the server; if it failed, that shows when it goes on
                    sock.do_handshake()
                with suppress(OSError):
                    sock.settimeout(self._options.timeout)
                yield sock

    def _secured(self, data: socket.socket) -> socket.socket:
        """The data connection once the server has taken it up."""
        if self._options.mode == "active":
            data = data.accept()[0]
            data.settimeout(self._options.timeout)
            data = self._wrapped(data) if self._tls else data
        if isinstance(data, ssl.SSLSocket):
            try:
                data.do_handshake()
                check(data, self._options, self.server.where)
            except BaseException:
                data.close()
                raise
        return data

    def _wrapped(self, data: socket.socket) -> ssl.SSLSocket:
        """``data`` with the TLS session of the control connection, as careful servers want it; nothing is sent yet."""
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.context.wrap_socket(
            data,
            server_hostname=self.server.host,
            session=self.sock.session,
            suppress_ragged_eofs=False,
            do_handshake_on_connect=False,
        )

    def hang_up(self) -> None:
        """End it. Never raises."""
        self.broken = True
        sock, self.sock = self.sock, None
        with suppress(Exception):
            if sock:
                sock.shutdown(socket.SHUT_RDWR)
        for each in (self.file, sock):
            with suppress(Exception):
                if each:
                    each.close()


def reply_of(text: str) -> Reply | None:
    """What the lines of an answer say, None when they are none."""
    first, *more = text.split("\n")
    if not re.match(r"[1-5]\d\d(?:[ -]|$)", first):
        return None
    return Reply(int(first[:3]), (first[4:], *more))


def port_of(reply: Reply) -> int:
    """The port in the answer to EPSV or PASV, 0 when there is none."""
    if reply.code == 229 and (found := EPSV.search(reply.text)):
        return int(found[2])
    if reply.code == 227 and (found := PASV.search(reply.text)):
        return int(found[1]) * 256 + int(found[2])
    return 0


def received(sock: socket.socket, limit: int) -> bytes:
    """What comes until the other side ends it, or until there are ``limit`` bytes."""
    pieces: list[bytes] = []
    while limit > 0 and (piece := sock.recv(min(PIECE, limit))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def finish(sock: socket.socket, timeout: float) -> None:
    """Say that this is all, in TLS too; what the other side says to that is not waited for."""
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(0)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                sock.unwrap()
            except ssl.SSLWantWriteError:
                select.select([], [sock], [], timeout)
                continue
            except (OSError, ValueError):
                pass  # it was said; the answer is still to come
            break
        sock.settimeout(timeout)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
