"""A tar stream of chosen entries: the same bytes for the same entries, in constant memory.

Source: "Basic Tar Format" in the manual of GNU tar. GNU's format, since names and links are the bytes they are on
disk, of any length, and every ``tar`` of today reads it. Written by hand, because `tarfile` takes longer for a
header than the rest of a push does for a small file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import NamedTuple

from pushkit.errors import SnapshotChanged
from pushkit.model import Entry, Kind

BLOCK = 512
#: GNU tar reads whole records of twenty blocks, and waits for the rest of one on a pipe.
RECORD = 20 * BLOCK
PIECE = 1 << 18
LARGEST_OCTAL = 0o77777777777
TYPES = {Kind.FILE: b"0", Kind.SYMLINK: b"2", Kind.DIRECTORY: b"5"}
KINDS = {**{letter: kind for kind, letter in TYPES.items()}, b"\0": Kind.FILE}
#: Where the mode, the size, the time and the checksum stand in a header.
NUMBERS = ((100, 108), (124, 136), (136, 148), (148, 156))
LONG_NAME, LONG_LINK = b"L", b"K"
NAME_LENGTH = 100
OWNER = b"0000000\0" * 2
MAGIC = b"ustar  \0"
PADDING = bytes(BLOCK)
#: What the fields that never change add to a header's checksum, which counts its own eight bytes as spaces.
CONSTANT = sum(OWNER) + sum(MAGIC) + 8 * ord(" ")


def epoch(_: Entry) -> float:
    """The time of every entry in an archive that is always the same."""
    return 0


class Part(NamedTuple):
    """Entries of an archive, below a directory: ``below`` ends in a slash, or is empty.

    ``content`` gives the bytes of a file, in pieces, ``time`` when an entry was last modified, in seconds since 1970.
    """

    entries: Iterable[Entry]
    content: Callable[[Entry], Iterable[bytes]]
    time: Callable[[Entry], float] = epoch
    below: str = ""


def tar(*parts: Part, before: int = 0, end: bool = True) -> Iterator[bytes]:
    """The stream, in pieces of about 256 KiB; with its ``end``, or with more to follow.

    ``before`` is how many bytes of it there were already.

    Owner and group are 0 and have no names. Raises `SnapshotChanged` when a file is shorter or longer than its entry
    says, before anything follows it.
    """
    buffer: list[bytes] = []
    held, total = 0, before
    for piece in chain.from_iterable(map(pieces, parts)):
        buffer.append(piece)
        held += len(piece)
        if held >= PIECE:
            yield b"".join(buffer)
            total += held
            buffer, held = [], 0
    if end:
        ending = 2 * BLOCK
        buffer.append(bytes(ending + -(total + held + ending) % RECORD))
    yield b"".join(buffer)


def pieces(part: Part) -> Iterator[bytes]:
    """The stream up to its end mark, in pieces of any size."""
    below = os.fsencode(part.below)
    for entry in part.entries:
        head = headers(below, entry, max(0, int(part.time(entry))))
        if entry.kind is not Kind.FILE or not entry.size:
            yield head
            continue
        left = entry.size
        for data in filter(None, part.content(entry)):
            left -= len(data)
            if left < 0:
                break
            if left == 0 and head:
                # Most files are one piece, and go out as one with what belongs to them.
                data = b"".join((head, data, PADDING[: -entry.size % BLOCK]))  # noqa: PLW2901
                head = b""
            elif head:
                yield head
                head = b""
            elif left == 0:
                data += PADDING[: -entry.size % BLOCK]  # noqa: PLW2901
            yield data
        if left:
            raise changed(entry)


class Member(NamedTuple):
    """What stands in an archive. ``kind`` is none of a device or the like; ``mtime`` is in seconds since 1970.

    ``link`` is the text of a symlink. Where the archive says no more of a member than that it is the same file as one
    before it, a hard link, ``kind`` is none, and ``link`` the name of that.
    """

    name: str
    kind: Kind | None
    mode: int
    size: int
    mtime: int
    link: str
    content: bytes


def members(archive: bytes, start: int = 0) -> list[Member]:
    """What stands in an archive of small files that begins at ``start``. Raises ValueError when it cannot be read.

    Most headers are plain, and read here. `tarfile` reads all others: it takes a tenth of a millisecond for each.
    """
    found: list[Member] = []
    at = start
    while header := archive[at : at + BLOCK].rstrip(b"\0"):
        member = plain(header.ljust(BLOCK, b"\0"), archive, at + BLOCK)
        if member is None:
            return by_library(archive, start)
        found.append(member)
        at += BLOCK + -(-len(member.content) // BLOCK) * BLOCK
    return found


def plain(header: bytes, archive: bytes, at: int) -> Member | None:
    """The member of a header, whose content is at ``at``; None when it takes more to read than this."""
    kind = KINDS.get(header[156:157])
    # Behind the names of the owners nothing stands but in headers that hold more.
    if kind is None or header[257:262] != MAGIC[:5] or header[345]:
        return None
    try:
        mode, size, mtime, checksum = (int(header[a:b].strip(b" \0"), 8) for a, b in NUMBERS)
    except ValueError:
        return None
    if checksum != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        return None
    content = archive[at : at + size] if kind is Kind.FILE else b""
    if kind is Kind.FILE and len(content) < size:
        raise ValueError("it is cut off")
    name, link = (header[a:b].rstrip(b"\0").decode("utf-8", "surrogateescape") for a, b in ((0, 100), (157, 257)))
    return Member(name.rstrip("/"), kind, mode & 0o777, size, mtime, link if kind is Kind.SYMLINK else "", content)


def by_library(archive: bytes, start: int) -> list[Member]:
    """As `members`, whatever headers there are."""
    import tarfile  # noqa: PLC0415  (few need it)

    found = []
    stream = BytesIO(archive)
    stream.seek(start)
    try:
        with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as opened:
            for each in opened:
                # What Python's own reader goes along with: one that it reads for ever, one that is all holes.
                if each.size < 0 or each.issparse():
                    raise ValueError(f"{each.name!r} has no size")
                kind = KINDS.get(each.type)
                file = opened.extractfile(each) if kind is Kind.FILE else None
                link = each.linkname if kind is Kind.SYMLINK or each.islnk() else ""
                content = file.read() if file else b""
                found.append(Member(each.name, kind, each.mode & 0o777, each.size, int(each.mtime), link, content))
            # Python's own reader takes a damaged header for the end, unless it is that of a file's first byte.
            if archive[opened.offset : opened.offset + BLOCK].strip(b"\0"):
                raise ValueError("it has a header that is none")
    except (tarfile.TarError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return found


def changed(entry: Entry) -> SnapshotChanged:
    """The error that names the entry."""
    return SnapshotChanged(
        f"{entry.path} is not the {entry.size} bytes that it was when the project was read",
        hint="something is writing to the project: push again when it is done",
    )


def headers(below: bytes, entry: Entry, mtime: int) -> bytes:
    """The header of an entry, after those that hold what is too long for it."""
    name = below + os.fsencode(entry.path)
    if entry.kind is Kind.DIRECTORY:
        name += b"/"
    link = os.fsencode(entry.link) if entry.link else b""
    last = header(name, TYPES[entry.kind], link, mode=entry.mode, size=entry.size, mtime=mtime)
    blocks = []
    if len(link) > NAME_LENGTH:
        blocks += long(LONG_LINK, link)
    if len(name) > NAME_LENGTH:
        blocks += long(LONG_NAME, name)
    return b"".join((*blocks, last)) if blocks else last


def long(kind: bytes, text: bytes) -> list[bytes]:
    """The blocks that give the next header a longer name or link."""
    size = len(text) + 1
    return [header(b"././@LongLink", kind, b"", mode=0o644, size=size, mtime=0), text, bytes(1 + -size % BLOCK)]


def header(name: bytes, kind: bytes, link: bytes, *, mode: int, size: int, mtime: int) -> bytes:
    """One block: what comes next, and a checksum over itself."""
    # Above 8 GiB: the highest bit set, and the number in base 256.
    length = b"%011o\0" % size if size <= LARGEST_OCTAL else b"\x80" + size.to_bytes(11, "big")
    fields = b"%07o\0%s%s%011o\0" % (mode, OWNER, length, mtime)
    name, link = name[:NAME_LENGTH], link[:NAME_LENGTH]
    checksum = sum(name) + sum(fields) - sum(OWNER) + sum(kind) + sum(link) + CONSTANT
    return b"%s%s%06o\0 %s%s%s%s" % (
        name.ljust(NAME_LENGTH, b"\0"),
        fields,
        checksum,
        kind,
        link.ljust(NAME_LENGTH, b"\0"),
        MAGIC,
        bytes(247),
    )
