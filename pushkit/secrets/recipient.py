"""`Recipient`: whom a secret is encrypted for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from msgspec import Struct

# Bech32 (BIP 173) as age writes a public key: 32 bytes and a checksum.
X25519 = re.compile(r"age1[02-9ac-hj-np-z]{58}")
SSH = ("ssh-ed25519", "ssh-rsa")
PRIVATE = ("AGE-SECRET-KEY-", "PRIVATE KEY-----")
#: What a recipient may be called.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")


class Recipient(Struct, frozen=True):
    """A person or a machine: its ``name`` in the secrets file, and its public ``key`` as age takes it, no comment."""

    name: str
    key: str

    @property
    def fingerprint(self) -> str:
        """What a secret keeps of those who can read it: 16 hexadecimal digits of the key's SHA-256."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]


def parse(name: str, text: str) -> Recipient:
    """The recipient whose public key is ``text``: ``age1...``, or a line of a ``.pub`` file of ssh.

    Raises ValueError with what is wrong.
    """
    if not NAME.fullmatch(name):
        raise ValueError("a recipient's name has letters, digits, dots, dashes, underscores and @")
    text = text.strip()
    if any(word in text for word in PRIVATE):
        raise ValueError("that is a private key: give the public one, and change this one if others can have seen it")
    if "\n" in text:
        raise ValueError("expected one public key, found several lines")
    if X25519.fullmatch(text):
        return Recipient(name, text)
    kind, _, rest = text.partition(" ")
    if kind not in SSH:
        raise ValueError(f"expected a public key, age1... or one of {', '.join(SSH)}")
    encoded = rest.split(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    # The key's own name comes first in it (RFC 4253, 6.6).
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise ValueError(f"that is no whole key of {kind}")
    return Recipient(name, f"{kind} {encoded}")
