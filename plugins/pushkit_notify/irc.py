"""The observer ``irc``: a line in a channel, one-way: only the server's own words are read, never what people say.

RFC 2812; SASL PLAIN as IRCv3 has it.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from pushkit import Observer, Secret, TargetError, checks, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import LIMIT, Notifier, NotifierOptions

# Bytes of a line with its end, less what the server puts before it for others (RFC 2812, 2.3).
LONGEST = 512 - 100
# Lines of one message: more at once is a flood.
MOST = 8
CHANNEL = re.compile(r"[#&+!][^\s,:\x00-\x20]{1,49}")
NICK = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}-]{0,29}")
WELCOME, IN_USE, NO_MORE = "001", "433", ("432", "464", "465", "ERROR")
SASL_DONE, SASL_REFUSED, SASL_PIECE = "903", ("902", "904", "905"), 400
# What a channel answers to one who may not speak or join.
REFUSED = ("403", "404", "405", "471", "473", "474", "475", "476", "477")


class IrcOptions(NotifierOptions):
    """The table of an ``irc``."""

    host: Annotated[str, Meta(min_length=1, description="The server.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 6697
    tls: Annotated[Literal["implicit", "none"], Meta(description="How the connection is made safe.")] = "implicit"
    ca_file: Annotated[str, Meta(description="Trust the certificates of this file alone.")] = ""
    channel: Annotated[str, Meta(description="The channel.")]
    nick: Annotated[str, Meta(description="What to be called there.")] = "push"
    password: Annotated[Secret | None, Meta(description="The password of the server.")] = None
    user: Annotated[str, Meta(description="The account to log in to (SASL).")] = ""
    account_password: Annotated[Secret | None, Meta(description="The password of the account.")] = None

    @checks("channel")
    @classmethod
    def _channel(cls, value: str) -> str:
        if not CHANNEL.fullmatch(value):
            raise ValueError("expected a channel, #name")
        return value

    @checks("nick")
    @classmethod
    def _nick(cls, value: str) -> str:
        if not NICK.fullmatch(value):
            raise ValueError("expected a nick: letters, digits and -_[]\\`^{|}, not a digit first")
        return value

    @checks()
    def _account(self) -> None:
        if bool(self.user) != (self.account_password is not None):
            raise ValueError("`user` and `account_password` go together")


class Irc(Notifier[IrcOptions]):
    """Says it in a channel."""

    name: ClassVar[str] = "irc"
    Options = IrcOptions

    def send(self, message: Message) -> None:
        """Come, say it, go. Raises `TargetError`."""
        said = list(lines(self.text(message)))
        try:
            with connected(self.options) as connection:
                Talk(connection, self.options).say(said)
        except OSError as error:
            raise TargetError(f"{self.options.host} could not be told: {type(error).__name__}") from None


def connected(options: IrcOptions) -> socket.socket:
    """A connection with the server."""
    plain = socket.create_connection((options.host, options.port), LIMIT)
    if options.tls == "none":
        return plain
    context = ssl.create_default_context(cafile=options.ca_file or None)
    try:
        return context.wrap_socket(plain, server_hostname=options.host)
    except BaseException:
        plain.close()
        raise


class Talk:
    """One visit: registers, joins, speaks, and leaves when the server has heard it all."""

    def __init__(self, connection: socket.socket, options: IrcOptions) -> None:
        self._connection = connection
        self._options = options
        self._nick = options.nick
        self._buffer = b""
        self._end = time.monotonic() + LIMIT

    def say(self, said: list[str]) -> None:
        """Say each line in the channel. Raises `TargetError` when the server does not let us, OSError."""
        self._register()
        self._write(f"JOIN {self._options.channel}")
        for line in said:
            self._write(f"PRIVMSG {self._options.channel} :{line}")
        # What it answers to this comes after its complaints about what was before.
        self._write("PING :said")
        for command, words in self._heard():
            if command in REFUSED:
                raise TargetError(f"{self._options.host} does not let {self._nick} speak in {self._options.channel}")
            if command == "PONG" and words and words[-1] == "said":
                break
        self._write("QUIT")

    def _register(self) -> None:
        options = self._options
        account = options.account_password if options.user else None
        if account:
            self._write("CAP REQ :sasl")
        if options.password:
            self._write(f"PASS :{one_line(options.password.reveal())}")
        self._write(f"NICK {self._nick}")
        self._write(f"USER {options.nick} 0 * :pushes")
        logged_in = not account
        for command, words in self._heard():
            if command == WELCOME:
                if not logged_in:
                    raise TargetError(f"{options.host} has no accounts to log in to")
                return
            if command == IN_USE:
                self._nick = f"{self._nick[:28]}_"
                self._write(f"NICK {self._nick}")
            elif command in NO_MORE:
                raise TargetError(f"{options.host} does not take {self._nick}: {command}")
            elif account:
                logged_in = self._log_in(command, words, account.reveal()) or logged_in

    def _log_in(self, command: str, words: list[str], password: str) -> bool:
        """Answer what the server says on the way to the account; whether it says that we are there."""
        host, user = self._options.host, self._options.user
        if command == "CAP" and "NAK" in words:
            raise TargetError(f"{host} has no accounts to log in to")
        if command in SASL_REFUSED:
            raise TargetError(f"{host} does not take the password of {user}")
        if command == "CAP" and "ACK" in words:
            self._write("AUTHENTICATE PLAIN")
        elif command == "AUTHENTICATE":
            for piece in plain(user, password):
                self._write(f"AUTHENTICATE {piece}")
        elif command == SASL_DONE:
            self._write("CAP END")
        return command == SASL_DONE

    def _heard(self) -> Iterator[tuple[str, list[str]]]:
        """What the server says, each as its command and words; a PING is answered. Ends after `LIMIT` seconds."""
        while True:
            while b"\n" not in self._buffer:
                left = self._end - time.monotonic()
                if left <= 0 or len(self._buffer) > 1 << 16:
                    raise TimeoutError
                self._connection.settimeout(left)
                data = self._connection.recv(4096)
                if not data:
                    raise ConnectionError
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\n")
            words = line.decode("utf-8", "replace").strip().split(" ")
            if words[0].startswith(":"):
                words = words[1:]
            if words and words[0] == "PING":
                self._write(f"PONG {' '.join(words[1:])}")
            elif words:
                yield words[0], [word.removeprefix(":") for word in words[1:]]

    def _write(self, line: str) -> None:
        self._connection.sendall(one_line(line).encode() + b"\r\n")


def plain(user: str, password: str) -> Iterator[str]:
    """The answer of SASL PLAIN (RFC 4616), in pieces of at most 400 characters, the last of which is shorter."""
    encoded = base64.b64encode(f"{user}\0{user}\0{password}".encode()).decode()
    for start in range(0, len(encoded) + 1, SASL_PIECE):
        yield encoded[start : start + SASL_PIECE] or "+"


def lines(text: str) -> Iterator[str]:
    """``text`` as lines of a channel, none too long, and not too many."""
    told = [line for line in text.splitlines() if line.strip()]
    for line in told[:MOST]:
        yield one_line(line).encode()[:LONGEST].decode("utf-8", "ignore")
    if len(told) > MOST:
        yield f"and {len(told) - MOST} lines more"


def one_line(text: str) -> str:
    """``text`` without what would end the line or be obeyed: another command could follow (RFC 2812, 2.3.1)."""
    return "".join(char for char in text if char.isprintable())


@hookimpl
def pushkit_observer() -> type[Observer[IrcOptions]]:
    """The observer."""
    return Irc
