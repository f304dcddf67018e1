"""`Envelope`: what is encrypted, a secret with its name and scope, so that no other can be put in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushkit.secrets.name import Name

# The size in bytes that an envelope is a multiple of: how long a value is, is nobody's business either.
BLOCK = 128
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Envelope:
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
    try:
        document = json.loads(data)
        if document["pushkit"] != FORMAT:
            raise ValueError("it was written by a newer pushkit")
        texts = (document["target"], document["name"], document["value"], *document["readers"])
        if not all(isinstance(text, str) for text in (*texts, *document["seen"], *document["seen"].values())):
            raise TypeError
        name = Name(document["target"], document["name"])
        return Envelope(name, document["value"], tuple(document["readers"]), document["seen"])
    except json.JSONDecodeError:
        problem = "it holds no secret of pushkit"  # and the decoder's own words hold what it does
    except (LookupError, TypeError, AttributeError, UnicodeDecodeError):
        problem = "it holds no secret of pushkit"
    raise ValueError(problem)
