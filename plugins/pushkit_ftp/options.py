"""`FtpOptions`: what a Pushfile may say of a target with the strategy ``ftp``."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from pushkit.files import FileOptions

HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^:@\[\]/\s]+))(?::(?P<port>\d{1,5}))?")
#: What ``openssl x509 -fingerprint -sha256`` prints.
FINGERPRINT = re.compile(
    r"(?:SHA256:|sha256 Fingerprint=)?((?:[0-9A-F]{2}:){31}[0-9A-F]{2}|[0-9A-F]{64})", re.IGNORECASE
)


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
    return not any(letter in text for letter in "\r\n\0")


class FtpOptions(FileOptions):
    """Options of the strategy ``ftp``. A relative ``path`` starts at the directory that the login starts in."""

    host: str = Field(description="The server: HOST or HOST:PORT; an IPv6 address with a port in brackets.")
    user: str = Field(min_length=1, description="Who logs in.")
    password: SecretStr | None = Field(
        default=None, description="The password of the user; without it, it is asked for on a terminal."
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description='The port of the server; by default 21, with tls = "implicit" 990.'
    )
    tls: Literal["explicit", "implicit", "none"] = Field(
        default="explicit",
        description="`explicit` asks the server for TLS before anything else, `implicit` begins with it; `none` sends "
        "the password and all files for everybody on the way to read.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates that may vouch for the server's, in place of those that this machine trusts; "
        "a relative path starts at the Pushfile's directory.",
    )
    fingerprint: str = Field(
        default="",
        description="The sha256 of the server's certificate, which must be this one; then nobody has to vouch for it.",
    )
    tls_max: Literal["1.2", "1.3"] = Field(default="1.3", description="The newest version of TLS that is used.")
    mode: Literal["passive", "active"] = Field(
        default="passive", description="Who opens data connections: this machine (passive), or the server (active)."
    )
    connections: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="How many connections are used at once, fewer where the server lets in fewer; by default 2, and 16 "
        "where an answer takes 5 ms or more.",
    )
    pipelining: bool = Field(
        default=True, description="Several commands are sent before the first is answered, which saves round trips."
    )
    encoding: str = Field(default="utf-8", description="The encoding in which the server has the names of files.")
    connect_timeout: float = Field(
        default=15, gt=0, allow_inf_nan=False, description="Seconds that connecting and each step of a login may take."
    )
    timeout: float = Field(
        default=60, gt=0, allow_inf_nan=False, description="Seconds that any answer of the server may take."
    )
    layout: Literal["mirror", "swap"] = Field(
        default="mirror",
        description="How a push lies on the target: `mirror` puts the files right into `path`, beside those that are "
        "there; `swap` puts another directory in the place of `live` by two renames.",
    )

    @field_validator("host")
    @classmethod
    def _host_is_one(cls, host: str) -> str:
        parse_host(host)
        return host

    @field_validator("fingerprint")
    @classmethod
    def _fingerprint_is_one(cls, fingerprint: str) -> str:
        if fingerprint:
            parse_fingerprint(fingerprint)
        return fingerprint

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError("expected the name of an encoding, such as utf-8 or latin-1") from error
        return encoding

    @model_validator(mode="after")
    def _is_sendable(self) -> Self:
        password = self.password.get_secret_value() if self.password else ""
        for name, value in (("user", self.user), ("password", password), ("path", self.path)):
            if not one_line(value):
                raise ValueError(f"`{name}`: FTP has no way to send one with a line break in it")
        if self.tls == "none" and (named := [name for name in ("ca_file", "fingerprint") if getattr(self, name)]):
            raise ValueError(f'`{"`, `".join(named)}`: with tls = "none" there is no certificate to check')
        if self.port and (port := parse_host(self.host).port) and port != self.port:
            raise ValueError(f"`host` says the port is {port} and `port` says {self.port}")
        return self
