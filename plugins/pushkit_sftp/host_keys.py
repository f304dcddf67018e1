"""Is the server the one it should be? The host key is checked before anything is said to it.

Formats: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; fingerprints as ssh-keygen(1) prints them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from pushkit import TargetError
from pushkit_sftp.certificate import SUFFIX, parse
from pushkit_sftp.destination import USER_FILES, Destination

#: Bits of an RSA key that is not called weak (NIST SP 800-57: 128 bits of security).
STRONG_RSA = 3072
REVOKED, AUTHORITY = "@revoked", "@cert-authority"


class HostKey(NamedTuple):
    """A public host key: the name of its type, and its bytes as in RFC 4253, section 6.6.

    ``certificate`` is what came with it, as bytes; it is no part of the key.
    """

    type: str
    blob: bytes
    certificate: bytes = b""

    @property
    def bare(self) -> HostKey:
        """The key without its certificate."""
        return self._replace(certificate=b"")

    @property
    def rsa_bits(self) -> int:
        """How long an RSA key is; 0 for another type."""
        parts, rest = [], self.blob
        while self.type == "ssh-rsa" and len(rest) >= 4:
            end = 4 + int.from_bytes(rest[:4], "big")
            parts.append(rest[4:end])
            rest = rest[end:]
        return int.from_bytes(parts[2], "big").bit_length() if len(parts) == 3 else 0

    @property
    def fingerprint(self) -> str:
        """``SHA256:...``, as OpenSSH prints it."""
        return "SHA256:" + b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


class KnownKey(NamedTuple):
    """A line of a known_hosts file.

    ``marker`` is empty, ``@revoked`` or ``@cert-authority``; ``names`` is the field that says of which hosts it speaks.
    """

    key: HostKey
    marker: str
    names: str
    file: Path
    line: int


class UnknownHostKey(TargetError):
    """Nothing is known of a server's host key."""


class HostKeys:
    """What is known of the host keys of one server: by the files, or by a fingerprint from the Pushfile alone."""

    def __init__(self, there: Destination) -> None:
        self._there = there
        self._pin = there.pin.rstrip("=")
        # As ssh does: what is said of the host without a port is good for every port, where nothing else is said.
        host = there.host_name
        self.known = self._read(there.name)
        self._portless = [] if self._pin or there.name == host else self._read(host)

    def _read(self, name: str) -> list[KnownKey]:
        found = []
        for file in self._there.known_hosts:
            try:
                found += keys_of(name, file)
            except TargetError:
                # A pin needs no file, so that one that cannot be read does no harm; a key that is revoked stays so.
                if not self._pin:
                    raise
        return [key for key in found if key.marker == REVOKED] if self._pin else found

    def sort_types(self, algorithms: Iterable[str]) -> list[str]:
        """``algorithms``, those first whose keys are known: a server shows only one of its keys.

        Where an authority is known, certificates go before all.
        """
        types = {known.key.type for known in self.known if not known.marker}
        # rsa-sha2-512 and rsa-sha2-256 are signatures by a key of the type ssh-rsa (RFC 8332).
        plain = sorted(algorithms, key=lambda a: ("ssh-rsa" if a.startswith("rsa-sha2-") else a) not in types)
        certified = any(known.marker == AUTHORITY for known in (*self.known, *self._portless))
        return [*(name + SUFFIX for name in plain if certified), *plain]

    def check(self, shown: HostKey) -> None:
        """Raise `TargetError` unless ``shown`` is the server's key."""
        where, key = self._there.where, shown.bare
        certificate = parse(shown.certificate) if shown.certificate else None
        authority = certificate.authority if certificate else None
        said = (*self.known, *self._portless)
        for known in said:
            if known.marker == REVOKED and (known.key == key or known.key.blob == authority):
                what = "server's host key" if known.key == key else "authority of the server's host key"
                raise TargetError(
                    f"{where}: the {what} {known.key.fingerprint} is revoked by {known.file}, line {known.line}; "
                    "nothing was sent to it",
                    hint="do not push to this server until you know who runs it",
                )
        if self._pin:
            self._check_pin(where, key)
            return
        fault = ""
        if certificate and any(known.marker == AUTHORITY and known.key.blob == authority for known in said):
            fault = certificate.fault(self._there.host_name)
            if not fault:
                return
        expected = [known for known in self.known if not known.marker]
        if any(known.key == key for known in expected):
            return
        if not expected:
            if any(known.key == key for known in self._portless if not known.marker):
                return
            raise self._unknown(where, key, fault)
        same = next((known for known in expected if known.key.type == key.type), expected[0])
        name = self._there.name
        raise TargetError(
            f"{where}: THE HOST KEY HAS CHANGED. It was {same.key.type} {same.key.fingerprint} "
            f"({same.file}, line {same.line}) and is now {key.type} {key.fingerprint}; nothing was sent to the server",
            hint="the server was installed anew, or somebody is between you and it. Find out which; "
            f"if the new key is right: ssh-keygen -R {quote(name)} -f {quote(str(same.file))}, then push again",
        )

    def twins(self, fingerprint: str) -> list[KnownKey]:
        """What is known of other hosts with this key, each a machine of its own by its addresses."""
        ours = addresses(self._there.host_name)
        return [
            known
            for file in self._there.known_hosts
            for known in lines_of(file)
            if not known.marker
            and known.key.fingerprint == fingerprint
            and ours
            and any(ours.isdisjoint(theirs) for name in plain_names(known.names) if (theirs := addresses(name)))
        ]

    def _check_pin(self, where: str, key: HostKey) -> None:
        if self._pin != key.fingerprint:
            raise TargetError(
                f"{where}: the server's host key is {key.type} {key.fingerprint}, and the target's `host_key` "
                f"is {self._pin}; nothing was sent to the server",
                hint="the server was installed anew, or somebody is between you and it; "
                "change `host_key` only when you know which",
            )

    def _unknown(self, where: str, key: HostKey, fault: str) -> TargetError:
        short = key.type.removeprefix("ssh-").partition("-")[0]
        pin = "" if self._there.hop else f'write host_key = "{key.fingerprint}" into the target, or '
        because = f", and its certificate is not good: {fault}" if fault else ""
        return UnknownHostKey(
            f"{where}: the server's host key is not known{because}; nothing was sent to it. "
            f"It is {key.type} {key.fingerprint}",
            hint="compare the fingerprint with the one that the server's owner gives you "
            f"(on the server: ssh-keygen -l -f /etc/ssh/ssh_host_{short}_key.pub). If it is the same, "
            f"{pin}accept it with: {trusting(self._there)}",
        )


def trusting(there: Destination) -> str:
    """The command that accepts the host key of a server."""
    user, host, port = there.address
    bracketed = f"[{host}]" if ":" in host else host
    words = ["push", "trust"]
    if there.known_hosts[:1] != (Path(USER_FILES[0]).expanduser(),):
        words += ["--known-hosts", str(there.known_hosts[0])] if there.known_hosts else []
    if there.jumps:
        words += ["--jump", ",".join(there.jumps)]
    return " ".join(map(quote, [*words, f"{user}@{bracketed}" + (f":{port}" if port != 22 else "")]))


def keys_of(name: str, file: Path) -> list[KnownKey]:
    """The lines of ``file`` that speak of ``name``, as `lines_of`."""
    return [known for known in lines_of(file) if names_host(known.names, name)]


def lines_of(file: Path) -> list[KnownKey]:
    """The lines of ``file``. A missing file knows nothing; lines that make no sense are skipped."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TargetError(f"{file}: cannot be read: {error.strerror}", hint="the host key cannot be checked") from error
    found = []
    for number, line in enumerate(lines, 1):
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#") or marker not in {"", REVOKED, AUTHORITY}:
            continue
        try:
            key = HostKey(fields[1], b64decode(fields[2], validate=True))
        except ValueError:
            continue
        found.append(KnownKey(key, marker, fields[0], file, number))
    return found


def plain_names(names: str) -> list[str]:
    """The hosts of the first field of a known_hosts line, without ports; neither patterns nor what is hashed."""
    plain = [name for name in names.split(",") if not re.search(r"[*?!|]", name)]
    return [name[1:].partition("]")[0] if name.startswith("[") else name for name in plain]


def told(keys: Iterable[KnownKey]) -> list[str]:
    """Each key as the hosts that have it, and where that is said."""
    return [f"{', '.join(plain_names(key.names))} ({key.file}, line {key.line})" for key in keys]


def addresses(host: str) -> frozenset[str]:
    """Where a host is; empty when nobody says."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return frozenset()


def names_host(patterns: str, name: str) -> bool:
    """Whether the first field of a known_hosts line means the host ``name``."""
    if patterns.startswith("|1|"):
        return hashed_name_is(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        plain = pattern.removeprefix("!")
        if matches(plain, name):
            if pattern != plain:
                return False
            matched = True
    return matched


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern with ``*`` and ``?`` means ``name``."""
    first, *others = (re.escape(part).replace(r"\?", ".") for part in pattern.split("*"))
    # What is between two stars is looked for once: where it is found first it stays, so that no pattern takes long.
    last = [".*" + others.pop()] if others else []
    return re.fullmatch("".join([first, *(f"(?>.*?{part})" for part in others), *last]), name) is not None


def hashed_name_is(field: str, name: str) -> bool:
    """Whether ``|1|SALT|HASH`` is the hash of ``name``: HMAC-SHA1, both in base64."""
    try:
        salt, digest = (b64decode(part, validate=True) for part in field[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)


def remember(there: Destination, key: HostKey) -> Path:
    """Add the host key of a server to the first of its files, as ssh does; the file. Raises `TargetError`."""
    if not there.known_hosts:
        raise TargetError(f"{there.where}: there is no file of known hosts to write to", hint="name one: --known-hosts")
    file = there.known_hosts[0]
    line = f"{hashed(there.name) if there.hashes else there.name} {key.type} {b64encode(key.blob).decode()}\n"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "rb+") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 1))
            # What lacks the end of its last line would get ours on it.
            stream.write(("\n" if size and stream.read(1) != b"\n" else "").encode() + line.encode())
    except OSError as error:
        raise TargetError(f"{file}: cannot be written: {error.strerror}", hint="who may write it?") from error
    return file


def hashed(name: str) -> str:
    """A host's name as ``HashKnownHosts`` has it: nobody who reads the file learns where somebody goes."""
    salt = os.urandom(20)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{b64encode(salt).decode()}|{b64encode(digest).decode()}"
