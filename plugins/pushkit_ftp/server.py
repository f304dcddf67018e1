"""`Server`: where a target's server is, who logs in there, and what has been learned of it on the way."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from functools import cached_property

from msgspec import Struct, field

from pushkit.files import RemoteError
from pushkit_ftp.digest import Digest
from pushkit_ftp.options import FtpOptions, one_line, parse_host
from pushkit_ftp.replies import Reply

#: Seconds from which on an answer takes long.
FAR = 0.005
#: How many connections there are to a server near by, and to any; for so many seconds that an answer takes there is one
#: more.
NEARBY, MOST, LONGER = 2, 16, 0.0005
#: Codes of a server that does not know a command, or not for this user.
UNKNOWN = {500, 501, 502, 503, 504}


class Server(Struct, dict=True):
    """One server, shared by all connections to it.

    ``warn`` tells a person something. What is learned: the ``features`` it names (RFC 2389), in capitals, with
    what follows each; the best ``digest`` of files that it gives; the directory
    ``home`` that a login starts in; ``epsv``, whether that command leads to data connections; ``chmod`` and ``times``,
    whether it sets modes and times; ``appends`` to files and ``resumes`` them; ``tells`` what directories hold;
    ``greeting``, who answered; ``protection``, how the connection is
    secured; ``round_trip``, the seconds that an answer takes; ``known``, that there was a login, with a
    password. What a person was ``told``, they are not told again.
    """

    options: FtpOptions
    context: ssl.SSLContext
    password: str
    warn: Callable[[str], None]
    features: Mapping[str, str] = field(default_factory=dict)
    digest: Digest | None = None
    home: str = "/"
    epsv: bool = True
    chmod: bool = True
    times: bool = True
    appends: bool = True
    resumes: bool = True
    tells: bool = True
    greeting: str = ""
    protection: str = "no TLS"
    round_trip: float = 0.0
    known: bool = False
    told: set[str] = field(default_factory=set)

    @cached_property
    def host(self) -> str:
        """Its name, or its address."""
        return parse_host(self.options.host).host

    @cached_property
    def port(self) -> int:
        """Its port."""
        usual = 990 if self.options.tls == "implicit" else 21
        return parse_host(self.options.host).port or self.options.port or usual

    @cached_property
    def where(self) -> str:
        """What it is called in messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def wired(self, path: str) -> str:
        """``path`` as it stands in a command: the server's bytes, each as one letter."""
        if not one_line(path):
            raise RemoteError(f"{path!r}: FTP has no way to name a file with a line break in its name")
        return path.encode(self.options.encoding, "surrogateescape").decode("latin-1")

    def named(self, wired: str) -> str:
        """The reverse of `wired`."""
        return wired.encode("latin-1").decode(self.options.encoding, "surrogateescape")

    @property
    def can_resume(self) -> bool:
        """Whether it may go on with a file of which a beginning is there (RFC 3659, 5)."""
        return self.resumes and "REST" in self.features

    @property
    def in_turn(self) -> bool:
        """Whether it reads no command before it has done the last one. Others answer some while they take a file."""
        return "vsFTPd" in self.greeting

    @property
    def states(self) -> bool:
        """Whether it tells what a directory holds in its answer to STAT (RFC 959, 4.1.3), as it does to LIST.

        Others do so too, and have MLSD, which says more.
        """
        return self.tells and "vsFTPd" in self.greeting

    @property
    def waits_for_command(self) -> bool:
        """Whether it leaves a data connection alone until it is told what comes on it.

        pyftpdlib reads what comes before, and may then say nothing any more. What others do nobody knows.
        """
        return any(name in self.greeting for name in ("vsFTPd", "ProFTPD", "Pure-FTPd"))

    @property
    def connections(self) -> int:
        """How many connections are used at once, if it lets in as many: who waits for answers can wait for more."""
        return self.options.connections or min(MOST, NEARBY + int(self.round_trip / LONGER))

    @property
    def is_far(self) -> bool:
        """Whether an answer takes long."""
        return self.round_trip >= FAR

    @property
    def has_facts(self) -> bool:
        """Whether it lists files in the way that is written down: MLST and MLSD (RFC 3659)."""
        return "MLST" in self.features

    def heed_mode(self, reply: Reply) -> None:
        """When a mode was not set, say so, once; where none can be, do without from now on."""
        if not reply.good:
            self.chmod = self.chmod and reply.code not in UNKNOWN
            self._warn(
                f"{self.where} does not set all modes of files ({reply.text}): they are what the server makes them"
            )

    def heed_time(self, reply: Reply) -> None:
        """When a time was not set, say so, once; where none can be, do without from now on."""
        if not reply.good:
            self.times = self.times and reply.code not in UNKNOWN
            self._warn(f"{self.where} does not set all times of files ({reply.text}): they are those of the push")

    def _warn(self, message: str) -> None:
        about = message.partition(" (")[0]
        if about not in self.told:
            self.told.add(about)
            self.warn(message)
