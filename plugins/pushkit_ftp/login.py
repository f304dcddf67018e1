"""`Login`: a control connection on which somebody logs in, once it is secured."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Sequence

from pushkit import TargetError, excerpt
from pushkit.files import RemoteLost
from pushkit_ftp.certificates import check, untrusted
from pushkit_ftp.control import Control, reply_of
from pushkit_ftp.digest import offered
from pushkit_ftp.handshake import shake_hands
from pushkit_ftp.replies import Reply, crowded, error_of
from pushkit_ftp.server import Server
from pushkit_ftp.steps import through

MAYBE_TLS = "check `user` and `password`; a server may want TLS: leave `tls` out"
SFTP = 'this server speaks SSH: set strategy = "sftp"'


class Crowded(TargetError):
    """The server lets in no more connections than there are."""


class Unwelcome(Crowded):
    """The server hangs up, which may mean the same, and does not say so."""


class Login(Control):
    """A login at ``server``."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._options = server.options
        self._tls = server.options.tls != "none"

    # Logging in.

    def open(self) -> None:
        """Connect, secure the connection, log in. Raises `TargetError`, `Crowded` where there are too many."""
        try:
            self._connect()
            self._log_in()
        except BaseException:
            self.hang_up()
            raise
        self.patience = self._options.timeout
        self.broken = False

    def _connect(self) -> None:
        server = self.server
        try:
            self.sock = socket.create_connection((server.host, server.port), timeout=self._options.connect_timeout)
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
        self.sock.settimeout(0)
        if self._options.tls == "implicit":
            self._secure()
        self._greet()
        if self._options.tls == "explicit":
            reply = self._step("AUTH TLS")
            if reply.code != 234:
                raise TargetError(
                    f"{server.where}: the server offers no TLS ({reply.text}); nobody logged in, nothing was sent",
                    hint='ask its owner for FTPS; tls = "none" would send the password for everybody to read',
                )
            self._secure()

    def _greet(self) -> None:
        server = self.server
        try:
            line = self.text()
        except TimeoutError as error:
            hint = 'a server that expects TLS at once says nothing: tls = "implicit"; or check `port`'
            raise TargetError(f"{server.where}: the server does not greet", hint=hint) from error
        except (OSError, EOFError) as error:
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
            context = self.server.context
            sock = context.wrap_socket(self.sock, server_hostname=self.server.host, do_handshake_on_connect=False)
            self.sock = sock  # from here on, to hang up is to close this one
            wanted = through(shake_hands(sock, self.patience))
            if wanted:
                context.set_ecdh_curve(wanted)  # for each connection from now on
        except ssl.SSLCertVerificationError as error:
            raise untrusted(error, where) from error
        except (OSError, EOFError) as error:
            hint = 'check `tls`: a server may want "explicit" on port 21 and "implicit" on port 990'
            raise TargetError(f"{where}: no TLS came about: {error}; nothing was sent", hint=hint) from error
        self.secured(sock)
        check(sock, self._options, where)
        cipher = sock.cipher()
        self.server.protection = f"{sock.version()}, {cipher[0] if cipher else 'no cipher'}"

    def _log_in(self) -> None:
        server, user = self.server, self._options.user
        name, word = f"USER {server.wired(user)}", f"PASS {server.wired(server.password)}"
        protecting = ("PBSZ 0", "PROT P") if self._tls else ()
        if server.known and self._options.pipelining:
            # The one before was asked for a password, and what the server can do it has said.
            first, *replies = self._steps(name, word, *protecting, "OPTS UTF8 ON", "TYPE I")
            self._check_let_in(first if crowded(first) or first.code != 331 else replies[0])
            self._check_protected(replies[2 : 2 + len(protecting) // 2])
            self._check_binary(replies[-1])
            return
        reply = self._step(name)
        asked = reply.code == 331
        if asked:
            reply = self._step(word)
        self._check_let_in(reply)
        # One round trip for all of it. What a server makes of UTF8 is its own affair: bytes stay bytes.
        start = time.monotonic()
        replies = self._steps(*protecting, "FEAT", "OPTS UTF8 ON", "TYPE I", "PWD")
        server.round_trip = time.monotonic() - start
        self._check_protected(replies[1 : 1 + len(protecting) // 2])
        features, _utf8, binary, home = replies[-4:]
        self._check_binary(binary)
        if features.code == 211:
            words = [line.strip().partition(" ") for line in features.lines[1:] if line.strip()]
            server.features = {name.upper(): more for name, _, more in words}
            server.digest = offered(server.features)
        if found := re.search(r'"((?:[^"]|"")*)"', home.text):
            server.home = server.named(found[1].replace('""', '"'))
        server.known = asked

    def _check_let_in(self, reply: Reply) -> None:
        if crowded(reply):
            raise self._crowded(reply)
        if reply.code not in {230, 202, 232}:
            raise TargetError(
                f"{self.server.where}: {self._options.user} is not let in ({reply.text})",
                hint="check `user` and `password`" if self._options.tls != "none" else MAYBE_TLS,
            )

    def _check_protected(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            if not reply.good:
                raise TargetError(
                    f"{self.server.where}: the server does not protect data connections ({reply.text}); "
                    "nothing was sent",
                    hint="ask its owner for PROT P",
                )

    def _check_binary(self, reply: Reply) -> None:
        if not reply.good:
            raise error_of(reply, f"{self.server.where}: TYPE I")

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
