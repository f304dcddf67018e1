"""Certificates of host keys: an authority says that a key is that of a host.

The format: PROTOCOL.certkeys of OpenSSH.
"""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

from pushkit_sftp.library import paramiko

SUFFIX = "-cert-v01@openssh.com"
HOST = 2
#: Fields of the public key, after the nonce, by its type.
FIELDS = {"ssh-ed25519": 1, "ssh-rsa": 2, "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2, "ecdsa-sha2-nistp521": 2}


class Certificate(NamedTuple):
    """What an authority has signed. ``authority`` is its public key, ``since`` and ``until`` are seconds since 1970."""

    type: int
    principals: tuple[str, ...]
    since: int
    until: int
    critical: bytes
    authority: bytes
    signed: bytes
    signature: bytes

    def fault(self, host: str, now: float | None = None) -> str:
        """Why this does not say that its key is that of ``host``; empty when it does.

        Whether the authority is one to believe is not asked.
        """
        moment = time.time() if now is None else now
        # First of all: what nobody has signed is not looked at.
        if not self.is_signed():
            return "its signature is wrong"
        if self.type != HOST:
            return "it is none of a host"
        if host not in self.principals:  # ssh takes no pattern here
            return f"it is for {', '.join(self.principals) or 'no host'}, and not for {host}"
        if moment < self.since:
            return "it is not valid yet"
        if moment >= self.until:
            return "it has expired"
        return "it has a condition that is not known" if self.critical else ""

    def is_signed(self) -> bool:
        """Whether the authority has signed it."""
        try:
            key_type = paramiko.Message(self.authority).get_text()
            algorithm = paramiko.Message(self.signature).get_text()
            # Whoever signs with SHA-1 can be imitated.
            if key_type not in FIELDS or algorithm == "ssh-rsa":
                return False
            key = paramiko.PKey.from_type_string(key_type, self.authority)
            return bool(key.verify_ssh_sig(self.signed, paramiko.Message(self.signature)))
        except Exception:  # what a stranger sends may break a library in many ways, and is no signature then
            return False


def parse(blob: bytes) -> Certificate | None:
    """The certificate in a key as a server shows it; None when it is none that can be understood."""
    try:
        return parsed(blob)
    except (ValueError, struct.error, paramiko.SSHException):
        return None


def parsed(blob: bytes) -> Certificate | None:
    """As `parse`. Raises errors of several kinds for what cannot be read."""
    message = paramiko.Message(blob)
    kind = message.get_text()
    if not kind.endswith(SUFFIX) or kind.removesuffix(SUFFIX) not in FIELDS:
        return None
    for _nonce_and_key in range(1 + FIELDS[kind.removesuffix(SUFFIX)]):
        message.get_string()
    message.get_int64()  # its serial number
    purpose = message.get_int()
    message.get_string()  # its name
    names = paramiko.Message(message.get_binary())
    principals = []
    while names.get_remainder():
        principals.append(names.get_text().lower())
    since, until = message.get_int64(), message.get_int64()
    critical = message.get_binary()
    message.get_string()  # extensions, which may be ignored
    message.get_string()  # reserved
    authority = message.get_binary()
    signed = blob[: len(blob) - len(message.get_remainder())]
    signature = message.get_binary()
    return Certificate(purpose, tuple(principals), since, until, critical, authority, signed, signature)
