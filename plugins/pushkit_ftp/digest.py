"""`Digest`: how a server is asked for the digest of a file, where it has one to give."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pushkit_ftp.replies import Reply

#: What servers call them in the line of HASH (draft-bryan-ftpext-hash), the commands that older ones have, the name
#: that hashlib knows, and how many hexadecimal digits each has. The best come first.
KINDS = (
    ("SHA-256", "XSHA256", "sha256", 64),
    ("SHA-512", "XSHA512", "sha512", 128),
    ("SHA-1", "XSHA1", "sha1", 40),
    ("MD5", "XMD5", "md5", 32),
    ("CRC32", "XCRC", "crc32", 8),
)


class Digest(NamedTuple):
    """The digest ``name``, of so many ``digits``, asked for by ``verb``; before that, ``select`` is said, if any."""

    name: str
    verb: str
    digits: int
    select: str = ""

    def read(self, reply: Reply) -> str:
        """The digest that an answer gives, in hexadecimal digits; empty when it gives none."""
        # A name that looks like one comes after it.
        found = re.search(rf"(?<![0-9A-Za-z])([0-9A-Fa-f]{{{self.digits}}})(?![0-9A-Za-z])", " ".join(reply.lines))
        return found[1].lower() if found and reply.good else ""

    def of(self, chunks: Iterable[bytes]) -> str:
        """The digest of a content, as `read` gives it."""
        if self.name == "crc32":
            value = 0
            for chunk in chunks:
                value = zlib.crc32(chunk, value)
            return f"{value:08x}"
        digest = hashlib.new(self.name, usedforsecurity=False)
        for chunk in chunks:
            digest.update(chunk)
        return digest.hexdigest()


def offered(features: Mapping[str, str]) -> Digest | None:
    """The best digest that a server offers; ``features`` are those it names, in capitals, with what follows each."""
    hashes: Sequence[str] = [name.strip("* ").upper() for name in features.get("HASH", "").split(";")]
    for called, verb, name, digits in KINDS:
        if called in hashes:
            return Digest(name, "HASH", digits, f"OPTS HASH {called}")
        if verb in features:
            return Digest(name, verb, digits)
    return None
