"""The digest of an archive in HTTP headers: RFC 9530, and what Artifactory has."""

from __future__ import annotations

import base64
import re
from email.message import Message

from pushkit import Archive

SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{44}):")


def content_headers(archive: Archive) -> dict[str, str]:
    """What tells a server which bytes it is to get, so that it can refuse others."""
    value = f"sha-256=:{base64.b64encode(archive.sha256).decode()}:"
    return {"Content-Digest": value, "Repr-Digest": value, "X-Checksum-Sha256": archive.sha256.hex()}


def has(headers: Message, archive: Archive) -> bool | None:
    """Whether an answer to HEAD is about the archive; None when it does not say."""
    if found := SHA256.search(headers.get("Repr-Digest", "")):
        return found[1] == base64.b64encode(archive.sha256).decode()
    if checksum := headers.get("X-Checksum-Sha256", "").strip():
        return checksum.lower() == archive.sha256.hex()
    return None
