"""`FtpOptions`: what a Pushfile may say of a target with the strategy ``ftp``."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from pushkit import Secret, checks
from pushkit.files import FileOptions

HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^:@\[\]/\s]+))(?::(?P<port>\d{1,5}))?")
#: What ``openssl x509 -fingerprint -sha256`` prints.
FINGERPRINT = re.compile(
    r"(?:SHA256:|sha256 Fingerprint=)?((?:[0-9A-F]{2}:){31}[0-9A-F]{2}|[0-9A-F]{64})", re.IGNORECASE
)


BREAK = re.compile(r"[\r\n\0]")


class Address(NamedTuple):
    """Where a server is; ``port`` is 0 where nothing was said."""

    host: str
    port: int


def parse_host(text: str) -> Address:
    """``HOST[:PORT]``, an IPv6 address with a port in brackets. Raises `ValueError`."""
    if text.count(":") > 1 and "[" not in text and re.fullmatch(r"[0-9A-Fa-f:.%\w]+", text):
        return Address(text, 0)
    found = HOST.fullmatch(text)
    if not found or "\0" in text or int(found["port"] or 0) > 65535:
        raise ValueError('expected a host such as "ftp.example.com", "ftp.example.com:2121" or "[::1]:21"')
    return Address(found["address"] or found["name"], int(found["port"] or 0))


def parse_fingerprint(text: str) -> bytes:
    """The sha256 of a certificate, 32 bytes. Raises `ValueError`."""
    found = FINGERPRINT.fullmatch(text)
    if not found:
        raise ValueError("expected the sha256 of a certificate, 64 hexadecimal digits with or without colons")
    return bytes.fromhex(found[1].replace(":", ""))


def one_line(text: str) -> bool:
    """Whether ``text`` is part of one line, as a command of FTP is."""
    return not BREAK.search(text)


class FtpOptions(FileOptions):
    """Options of the strategy ``ftp``. A relative ``path`` starts at the directory that the login starts in."""

    host: Annotated[str, Meta(description="The server: HOST or HOST:PORT; an IPv6 address with a port in brackets.")]
    user: Annotated[str, Meta(min_length=1, description="Who logs in.")]
    password: Annotated[
        Secret | None, Meta(description="The password of the user; without it, it is asked for on a terminal.")
    ] = None
    port: (
        Annotated[
            int, Meta(ge=1, le=65535, description='The port of the server; by default 21, with tls = "implicit" 990.')
        ]
        | None
    ) = None
    tls: Annotated[
        Literal["explicit", "implicit", "none"],
        Meta(
            description="`explicit` asks the server for TLS before anything else, `implicit` begins with it; "
            "`none` sends "
            "the password and all files for everybody on the way to read."
        ),
    ] = "explicit"
    ca_file: Annotated[
        Path | None,
        Meta(
            description="Certificates that may vouch for the server's, in place of those that this machine trusts; "
            "a relative path starts at the Pushfile's directory."
        ),
    ] = None
    fingerprint: Annotated[
        str,
        Meta(
            description="The sha256 of the server's certificate, which must be this one; then nobody has to "
            "vouch for it."
        ),
    ] = ""
    tls_max: Annotated[Literal["1.2", "1.3"], Meta(description="The newest version of TLS that is used.")] = "1.3"
    mode: Annotated[
        Literal["passive", "active"],
        Meta(description="Who opens data connections: this machine (passive), or the server (active)."),
    ] = "passive"
    connections: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=64,
                description="How many connections are used at once, fewer where the server lets in fewer; by "
                "default 2, and one more for each half millisecond that an answer takes, up to 16.",
            ),
        ]
        | None
    ) = None
    pipelining: Annotated[
        bool, Meta(description="Several commands are sent before the first is answered, which saves round trips.")
    ] = True
    encoding: Annotated[str, Meta(description="The encoding in which the server has the names of files.")] = "utf-8"
    connect_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that connecting and each step of a login may take.")
    ] = 15
    timeout: Annotated[float, Meta(gt=0, description="Seconds that any answer of the server may take.")] = 60
    layout: Annotated[
        Literal["mirror", "swap"],
        Meta(
            description="How a push lies on the target: `mirror` puts the files right into `path`, beside those "
            "that are "
            "there; `swap` puts another directory in the place of `live` by two renames."
        ),
    ] = "mirror"

    @checks("host")
    @classmethod
    def _host_is_one(cls, host: str) -> str:
        parse_host(host)
        return host

    @checks("fingerprint")
    @classmethod
    def _fingerprint_is_one(cls, fingerprint: str) -> str:
        if fingerprint:
            parse_fingerprint(fingerprint)
        return fingerprint

    @checks("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError("expected the name of an encoding, such as utf-8 or latin-1") from error
        return encoding

    @checks()
    def _is_sendable(self) -> None:
        password = self.password.reveal() if self.password else ""
        for name, value in (("user", self.user), ("password", password), ("path", self.path)):
            if not one_line(value):
                raise ValueError(f"`{name}`: FTP has no way to send one with a line break in it")
        if self.tls == "none" and (named := [name for name in ("ca_file", "fingerprint") if getattr(self, name)]):
            raise ValueError(f'`{"`, `".join(named)}`: with tls = "none" there is no certificate to check')
        if self.port and (port := parse_host(self.host).port) and port != self.port:
            raise ValueError(f"`host` says the port is {port} and `port` says {self.port}")
