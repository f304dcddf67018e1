"""A snapshot as the input of git-fast-import(1): the blobs that are new, then one commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pushkit import Entry, Kind, Snapshot
from pushkit_git.commit import Header

PIECE = 1 << 18
#: Where the imported commit is kept, so that a gc leaves its objects alone.
MADE = "refs/push/made"


def stream(
    snapshot: Snapshot, entries: Sequence[Entry], header: Header, known: Mapping[bytes, str], marks: dict[bytes, int]
) -> Iterator[bytes]:
    """The input, in pieces, for ``entries`` of ``snapshot``. ``known`` are the ids of blobs that are there, by sha256.

    Marks for what is not known are added to ``marks``; the commit's mark is 1. Raises `SnapshotChanged`.
    """
    yield b"feature done\n"
    names: list[tuple[bytes, bytes, bytes]] = []
    links: dict[bytes, int] = {}
    mark = 1
    for entry in entries:
        if entry.kind is Kind.SYMLINK:
            text = entry.link.encode("utf-8", "surrogateescape")
            if text not in links:
                mark += 1
                links[text] = mark
                yield b"blob\nmark :%d\ndata %d\n%b\n" % (mark, len(text), text)
            names.append((b"120000", b":%d" % links[text], quoted(entry.path)))
            continue
        if entry.sha256 not in known and entry.sha256 not in marks:
            mark += 1
            marks[entry.sha256] = mark
            yield b"blob\nmark :%d\ndata %d\n" % (mark, entry.size)
            yield from read(snapshot, entry)
            yield b"\n"
        blob = known.get(entry.sha256)
        name = blob.encode() if blob else b":%d" % marks[entry.sha256]
        names.append((b"100755" if entry.mode & 0o100 else b"100644", name, quoted(entry.path)))
    yield commit(header)
    yield from map(b"M %b %b %b\n".__mod__, names)
    yield b"\ndone\n"


def commit(header: Header) -> bytes:
    """The head of the commit, which begins with an empty tree."""
    message = header.message.encode("utf-8", "surrogateescape")
    who = header.who.encode("utf-8", "surrogateescape")
    parent = f"from {header.parent}\ndeleteall\n" if header.parent else ""
    return b"commit %b\nmark :1\ncommitter %b %d +0000\ndata %d\n%b\n%b" % (
        MADE.encode(),
        who,
        int(header.time.timestamp()),
        len(message),
        message,
        parent.encode(),
    )


def read(snapshot: Snapshot, entry: Entry) -> Iterator[bytes]:
    """The content of a file, in pieces."""
    if entry.size <= PIECE:
        yield snapshot.read(entry)
        return
    with snapshot.open(entry) as file:
        while piece := file.read(PIECE):
            yield piece


def quoted(path: str) -> bytes:
    """A path as fast-import takes it, whatever is in it."""
    name = path.encode("utf-8", "surrogateescape")
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
