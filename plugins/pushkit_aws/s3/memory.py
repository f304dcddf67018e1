"""`Memory`: what a site's bucket remembers of its pushes, in two objects below ``.push/``.

``.push/site.json`` is written when a push has ended: its release, each object's fingerprint and ETag, and the last
pushes. ``.push/pending.json`` is written before a push changes anything, and removed at its end: what it is about to
put there. Without it, what a push that died has put there would be nobody's. Neither holds a secret.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from pushkit import Release, Revision, TargetError

FORMAT = 1
MANIFEST = ".push/site.json"
PENDING = ".push/pending.json"
#: Bytes of JSON that are read at most, unpacked: some two million objects.
MOST = 256 << 20
LOG = 50


class Pushed(Struct, frozen=True):
    """One push, as it is remembered."""

    id: Annotated[str, Meta(max_length=200)]
    created: datetime
    person: Annotated[str, Meta(max_length=500)] = ""
    commit: Annotated[str, Meta(max_length=100)] = ""
    dirty: bool = False
    digest: Annotated[str, Meta(max_length=100)] = ""
    previous: Annotated[str, Meta(max_length=200)] = ""

    @property
    def release(self) -> Release:
        """What it left."""
        return Release(self.id, Revision(self.commit, self.dirty, self.digest), self.created, self.person)


class Format(Struct, frozen=True):
    """The number of the format that an object is in."""

    format: int


class Remembered(Struct, frozen=True):
    """Either object. ``objects`` are fingerprint and ETag by key, the ETag empty while it is pending."""

    format: int
    push: Pushed
    objects: dict[str, tuple[str, str]]
    removed: Sequence[str] = ()
    log: Sequence[Pushed] = ()


class Memory(Struct, frozen=True):
    """What was read: None where there is nothing."""

    manifest: Remembered | None = None
    pending: Remembered | None = None
    etags: Mapping[str, str] = field(default_factory=dict)

    @property
    def objects(self) -> Mapping[str, tuple[str, str]]:
        """What pushes have put there, and finished."""
        return self.manifest.objects if self.manifest else {}

    @property
    def owned(self) -> set[str]:
        """Keys that pushes have put there, or may have."""
        return {*self.objects, *(self.pending.objects if self.pending else ()), *self.touched}

    @property
    def touched(self) -> set[str]:
        """Keys that a push which did not end may have changed."""
        return {*self.pending.objects, *self.pending.removed} if self.pending else set()


def encode(what: Remembered) -> bytes:
    """The object's content: JSON, compressed, the same bytes for the same push."""
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", 6, out, mtime=0) as stream:
        stream.write(msgspec.json.encode(what))
    return out.getvalue()


def decode(content: bytes, key: str) -> Remembered:
    """What an object holds. Raises `TargetError`: somebody else may have written it, or a newer push."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(content, MOST)
        if not unpacker.eof:
            raise ValueError("too long, or cut off")
        if msgspec.json.decode(text, type=Format).format > FORMAT:
            raise TargetError(f"{key} was written by a newer push", hint="upgrade pushkit")
        return msgspec.json.decode(text, type=Remembered)
    except (ValueError, zlib.error, RecursionError) as error:
        raise TargetError(
            f"{key} is damaged: what the last push put there is not known",
            hint="remove it: then all is compared anew, and what the project lost since stays",
        ) from error
