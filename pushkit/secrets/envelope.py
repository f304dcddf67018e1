"""`Envelope`: what is encrypted, a secret with its name and scope, so that no other can be put in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from pushkit.secrets.name import Name

# The size in bytes that an envelope is a multiple of: how long a value is, is nobody's business either.
BLOCK = 128
FORMAT = 1


class Envelope(Struct, frozen=True):
    """The secret ``value`` of ``name``.

    ``readers`` are the fingerprints of those whom it is encrypted for. ``seen`` are, by fingerprint, the names of all
    who have ever been able to read this value: who left keeps what they know.
    """

    name: Name
    value: str
    readers: Sequence[str]
    seen: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """JSON, filled up with spaces."""
        document = {
            "pushkit": FORMAT,
            "target": self.name.target,
            "name": self.name.name,
            "value": self.value,
            "readers": sorted(self.readers),
            "seen": dict(sorted(self.seen.items())),
        }
        data = json.dumps(document, ensure_ascii=False).encode()
        return data + b" " * (-len(data) % BLOCK)


def from_bytes(data: bytes) -> Envelope:
    """What `Envelope.to_bytes` made. Raises ValueError without the content, which is secret."""
    document: Any = None
    # The decoder's errors hold what it read: none of them is chained.
    with suppress(ValueError, RecursionError):
        document = json.loads(data)
    if isinstance(document, dict) and document.get("pushkit", FORMAT) != FORMAT:
        raise ValueError("it was written by a newer pushkit")
    found = _read(document) if isinstance(document, dict) else None
    if found is None:
        raise ValueError("it holds no secret of pushkit")
    return found


def _read(document: dict[str, Any]) -> Envelope | None:
    target, name, value, readers, seen = (document.get(key) for key in ("target", "name", "value", "readers", "seen"))
    if not isinstance(readers, list) or not isinstance(seen, dict):
        return None
    if not all(isinstance(text, str) for text in (target, name, value, *readers, *seen.values())):
        return None
    if not set(readers) <= set(seen):
        return None
    return Envelope(Name(str(target), str(name)), str(value), tuple(readers), seen)
