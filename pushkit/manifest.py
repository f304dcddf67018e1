"""The entries of a snapshot as data: what a target remembers of its last push.

One head line, ``pushkit-manifest 1 DIGEST``, then the body, whose sha256 in hex is ``DIGEST``. The body is
four fields an entry, each ended by a NUL, the one byte that no path holds::

    KIND MODE     PATH     SIZE, or a symlink's text     SHA256

``KIND`` is the first letter of the entry's kind, ``MODE`` three octal digits right after it, ``SHA256`` is in
hex and, like the third field, empty where an entry has none. Paths and links are the bytes they are on disk.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from io import BytesIO
from itertools import islice

from pushkit.model import Entry, Kind

MAGIC = b"pushkit-manifest 1 "
HEAD = len(MAGIC) + 65

#: Records that are written at once.
PART = 5000
OCTAL = [f"{mode:03o}" for mode in range(0o1000)]
KINDS = {kind[0]: kind for kind in Kind}
MODE = re.compile(r"[fds][0-7]{3}").fullmatch
SIZE = re.compile(r"0|[1-9][0-9]{0,18}").fullmatch
SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
#: The longest path, in characters: no file system has a longer one (PATH_MAX of Linux).
LONGEST = 4096
#: A component that is empty, ``.`` or ``..``, which also covers paths that are absolute.
UNSAFE = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)").search
RECORD = re.compile(r"(?:[^\0]*\0){4}")
COMPLETE = re.compile(r"(?:(?:[^\0]*\0){4})*+").fullmatch


def encode(entries: Iterable[Entry]) -> bytes:
    """The manifest of ``entries``, in their order."""
    todo = iter(entries)
    digest = hashlib.sha256()
    # In parts, so that the text of all records is never there at once, nor all of them twice.
    written = BytesIO(bytes(HEAD))
    written.seek(HEAD)
    for part in iter(lambda: list(islice(todo, PART)), []):
        some = body(part)
        digest.update(some)
        written.write(some)
    written.seek(0)
    written.write(head(digest.hexdigest()))
    return written.getvalue()


def sealed(content: bytes) -> bytes:
    """The manifest that has this body."""
    return head(hashlib.sha256(content).hexdigest()) + content


def head(digest: str) -> bytes:
    """The head line of a manifest whose body has this digest."""
    return MAGIC + digest.encode() + b"\n"


def digest(data: bytes) -> str:
    """The sha256 of the body, in hex, as a manifest's head line gives it: the same wherever the entries come from."""
    return data[len(MAGIC) : HEAD - 1].decode("ascii")


def body(entries: Iterable[Entry]) -> bytes:
    """What follows the head line."""
    # A kind is a string, and its first character is much cheaper to reach than its value.
    records = [
        f"{kind[0]}{OCTAL[mode]}\0{path}\0{size if kind is Kind.FILE else link}\0{sha256.hex()}\0"
        for path, kind, mode, size, sha256, link in entries
    ]
    return "".join(records).encode("utf-8", "surrogateescape")


def claims(data: bytes, digest: str) -> bool:
    """Whether a manifest says of itself that its body has this digest."""
    return data[:HEAD] == head(digest)


def decode(data: bytes) -> list[Entry]:
    """The entries of a manifest.

    Raises ValueError, with the reason, when it is damaged, is not a manifest, or holds a path that would lead
    out of the tree: absolute, with an empty, ``.`` or ``..`` component, twice the same, or below a file or link.
    """
    check_digest(data)
    text = str(memoryview(data)[HEAD:], "utf-8", "surrogateescape")
    if not COMPLETE(text):
        raise ValueError("incomplete: the last entry is cut off")
    entries = [entry(found) for found in RECORD.findall(text)]
    check_tree(entries)
    return entries


def check_digest(data: bytes) -> None:
    """Raise ValueError, with the reason, when ``data`` is no manifest, or not what it was."""
    if not data.startswith(MAGIC):
        raise ValueError("not a manifest of a version that this pushkit knows")
    if not claims(data, hashlib.sha256(memoryview(data)[HEAD:]).hexdigest()):
        raise ValueError("damaged: the content does not have the digest that the first line gives")


def entry(found: str) -> Entry:
    """The entry that a record tells of. Raises ValueError, with the reason, when it tells of none."""
    mode, path, detail, sha256, _ = found.split("\0")
    check_record(mode, path, detail, sha256)
    kind, bits = KINDS[mode[0]], int(mode[1:], 8)
    if kind is Kind.FILE:
        return Entry(path, kind, bits, int(detail), bytes.fromhex(sha256))
    return Entry(path, kind, bits, link=detail)


def check_record(mode: str, path: str, detail: str, sha256: str) -> None:
    """Raise ValueError, with the reason, when the four fields are no entry."""
    if not MODE(mode):
        raise ValueError(f"{path!r}: {mode!r} is no kind and mode")
    if len(path) > LONGEST:
        raise ValueError(f"{path[:80]!r}...: a path of {len(path):,} characters is too long")
    if UNSAFE(path):
        raise ValueError(f"{path!r}: not a path inside the tree")
    kind = KINDS[mode[0]]
    if kind is Kind.FILE:
        if not SIZE(detail) or not SHA256(sha256):
            raise ValueError(f"{path!r}: a file without a size and a digest")
    elif sha256 or bool(detail) is not (kind is Kind.SYMLINK):
        raise ValueError(f"{path!r}: fields that a {kind} does not have")


def check_tree(entries: list[Entry]) -> None:
    """Raise ValueError when a path is there twice, or lies below what is no directory."""
    kinds = {entry.path: entry.kind for entry in entries}
    if len(kinds) != len(entries):
        raise ValueError("the same path twice")
    for path in {entry.path.rpartition("/")[0] for entry in entries}:
        parent = path
        while parent:
            if kinds.get(parent, Kind.DIRECTORY) is not Kind.DIRECTORY:
                raise ValueError(f"{parent!r}: holds other paths and is no directory")
            parent = parent.rpartition("/")[0]
