"""What is asked of an SFTP server, each as a job of `Client`. Paths are absolute, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from pushkit.files import RemoteDenied, RemoteError, RemoteExists, RemoteFull, RemoteMissing
from pushkit_sftp.client import Client
from pushkit_sftp.job import Asked, Job, ask, ask_all, post
from pushkit_sftp.packets import (
    APPENDING,
    ATTRS,
    CLOSE,
    CREATING,
    DATA,
    END,
    EXCLUSIVE,
    EXTENDED,
    EXTENDED_REPLY,
    FSETSTAT,
    FSTAT,
    HANDLE,
    LSTAT,
    MKDIR,
    NAME,
    OPEN,
    OPENDIR,
    READ,
    READDIR,
    READING,
    READLINK,
    REALPATH,
    REMOVE,
    RENAME,
    RMDIR,
    SETSTAT,
    SIZE,
    STATUS,
    SYMLINK,
    TRUNCATING,
    WRITE,
    WRITING,
    Attributes,
    Body,
    Listed,
    RemoteFailure,
    Request,
    permissions,
    text,
    times,
)

T = TypeVar("T")
# A file system that has less free than this is full: some of it is out of reach for small files.
FULL = 64 * 1024
# A flag in the answer to statvfs@openssh.com.
READ_ONLY = 1
# The number of inodes of a file system that has no table of them.
NO_TABLE = 1 << 62
# Names that a directory may hold, and bytes of all answers that list it.
MOST = 1_000_000
MOST_BYTES = 256 * 1024 * 1024
# Bytes that a server copies at a time.
SLICE = 64 * 1024 * 1024
# READs of one file, and READDIRs of one directory, that wait for their answers together.
AHEAD, LISTS = 64, 16


class Free(NamedTuple):
    """What a user can still take of a file system, in bytes and inodes."""

    size: int
    inodes: int
    read_only: bool


def look(path: bytes) -> Job[Attributes | None]:
    """What lies at ``path``, symlinks not followed; None where there is nothing."""
    try:
        reply = yield from ask(Request(LSTAT, text(path), ATTRS, path))
    except RemoteMissing:
        return None
    return reply.attributes()


def names(path: bytes) -> Job[list[Listed]]:
    """What a directory holds, without ``.`` and ``..``."""
    handle = (yield from ask(Request(OPENDIR, text(path), HANDLE, path))).text()
    more = Request(READDIR, text(handle), NAME, path)
    found: list[Listed] = []
    heard, at_once = 0, 2
    try:
        while True:
            replies = yield from ask_all([more] * at_once)
            for reply in replies:
                heard += reply.left
                count = reply.number() if reply is not END else 0
                found += [reply.listed() for _ in range(count)]
            if len(found) > MOST or heard > MOST_BYTES:
                raise RemoteError(
                    f"{path.decode('utf-8', 'replace')}: the server lists over {MOST:,} names in it, or over "
                    f"{MOST_BYTES:,} bytes of them, which cannot be right"
                )
            # An answer without a name is none of the protocol's, and could come for ever.
            if not count:
                break
            at_once = min(2 * at_once, LISTS)
    finally:
        yield from post(Request(CLOSE, text(handle), STATUS, path))
    return [each for each in found if each.name not in {b".", b".."}]


def read(path: bytes, limit: int, size: int) -> Job[bytes]:
    """The content of a file of at most ``limit`` bytes, asked for in pieces of ``size``."""
    where = path.decode("utf-8", "replace")
    handle = text((yield from opened(path, READING)).text())
    content = bytearray()

    def piece(number: int = 0) -> Request:
        return Request(READ, handle + struct.pack(">QI", len(content) + number * size, size), DATA, path)

    try:
        first, *pieces = yield from ask_all([Request(FSTAT, handle, ATTRS, path), piece()])
        whole = first.attributes().size
        if whole > limit:
            raise RemoteError(f"{where}: more than {limit:,} bytes, which cannot be right")
        while True:
            before = len(content)
            for each in pieces:
                found = each.text() if each is not END else b""
                content += found
                if len(found) < size:
                    break  # what was asked for after it is not what follows it
            if len(content) > limit:
                raise RemoteError(f"{where}: it grew past {limit:,} bytes, which cannot be right")
            # A file of /proc says that it is empty.
            if len(content) in {whole, before}:
                return bytes(content)
            ahead = min(AHEAD, max(1, -((len(content) - whole) // size)))
            pieces = list((yield from ask_all([piece(number) for number in range(ahead)])))
    finally:
        # A server has only so many handles.
        yield from post(Request(CLOSE, handle, STATUS, path))


def write(path: bytes, chunks: Iterable[bytes], mode: int, client: Client, mtime: float | None = None) -> Job[None]:
    """Make a file, or replace its content."""
    handle = text((yield from opened(path, WRITING | CREATING | TRUNCATING, mode)).text())
    closing = Request(CLOSE, handle, STATUS, path)
    try:
        # Before the content: a file that is whole has its mode.
        yield from post(Request(FSETSTAT, handle + permissions(mode), STATUS, path))
        at = 0
        for chunk in chunks:
            for start in range(0, len(chunk), client.writes):
                piece = chunk[start : start + client.writes]
                head = handle + struct.pack(">QI", at, len(piece))
                yield from post(Request(WRITE, head + piece, STATUS, path))
                at += len(piece)
    except Exception:
        # What follows a piece that did not arrive may have: half a file must not have the size of a whole one.
        yield from post(Request(FSETSTAT, handle + struct.pack(">IQ", SIZE, 0), STATUS, path), closing)
        raise
    yield from ask(closing)
    if mtime is not None:
        yield from set_time(path, mtime)


def append(path: bytes, data: bytes) -> Job[None]:
    """Add to a file, which is made where there is none; all of ``data``, or nothing."""
    handle = text((yield from opened(path, WRITING | CREATING | APPENDING, 0o600)).text())
    closing = Request(CLOSE, handle, STATUS, path)
    try:
        size = (yield from ask(Request(FSTAT, handle, ATTRS, path))).attributes().size
        try:
            # A server that appends does not heed the place; to one that does not know how, it says all.
            yield from ask(Request(WRITE, handle + struct.pack(">Q", size) + text(data), STATUS, path))
        except Exception:
            yield from post(Request(FSETSTAT, handle + struct.pack(">IQ", SIZE, size), STATUS, path))
            raise
    except Exception:
        yield from post(closing)
        raise
    yield from ask(closing)


def copy(old: bytes, new: bytes, found: Attributes) -> Job[None]:
    """Copy a file to ``new``, where there is nothing, on the server; ``found`` is what is known of it."""
    mode = found.mode & 0o777
    source = text((yield from opened(old, READING)).text())
    leaving = Request(CLOSE, source, STATUS, old)
    try:
        target = text((yield from opened(new, WRITING | CREATING | EXCLUSIVE, mode)).text())
    except RemoteError:
        yield from post(leaving)
        raise
    closing = Request(CLOSE, target, STATUS, new)
    try:
        # A server says nothing while it copies, and is not to be taken for one that hangs.
        for at in range(0, found.size, SLICE):
            size = min(SLICE, found.size - at)
            copying = source + struct.pack(">QQ", at, size) + target + struct.pack(">Q", at)
            yield from ask(Request(EXTENDED, text(b"copy-data") + copying, STATUS, new))
        yield from ask_all(
            [
                Request(FSETSTAT, target + permissions(mode), STATUS, new),
                Request(FSETSTAT, target + times(found.mtime), STATUS, new),
            ]
        )
    except Exception:
        yield from post(leaving, closing)
        raise
    yield from post(leaving)
    yield from ask(closing)


def link(old: bytes, new: bytes) -> Job[None]:
    """Make a hard link."""
    yield from ask(Request(EXTENDED, text(b"hardlink@openssh.com") + text(old) + text(new), STATUS, new))


def make_directory(path: bytes, mode: int) -> Job[None]:
    """Make one directory."""
    making = Request(MKDIR, text(path) + permissions(mode), STATUS, path)
    made, found = yield Asked((making, Request(LSTAT, text(path), ATTRS, path)))
    if isinstance(made, RemoteFailure) and not isinstance(found, RemoteError):
        raise RemoteExists(f"{path.decode('utf-8', 'replace')}: there is something already") from made
    if isinstance(made, RemoteError):
        raise made
    if isinstance(found, RemoteError) or found.attributes().mode & 0o777 != mode:
        yield from set_mode(path, mode)  # past the server's umask


def make_symlink(content: bytes, path: bytes) -> Job[None]:
    """Make a symlink. OpenSSH, and who follows it, has the two the other way round than the draft."""
    try:
        yield from ask(Request(SYMLINK, text(content) + text(path), STATUS, path))
    except RemoteFailure as error:
        raise (yield from in_the_way(path, error)) from error


def read_link(path: bytes) -> Job[bytes]:
    """The text of a symlink."""
    return (yield from named(Request(READLINK, text(path), NAME, path)))


def real(path: bytes) -> Job[bytes]:
    """``path`` without what is relative in it."""
    return (yield from named(Request(REALPATH, text(path), NAME, path)))


def rename(old: bytes, new: bytes, *, replaces: bool) -> Job[None]:
    """Rename, in place of what is at ``new`` when the server ``replaces``."""
    if replaces:
        yield from ask(Request(EXTENDED, text(b"posix-rename@openssh.com") + text(old) + text(new), STATUS, old))
        return
    if (yield from look(new)) is not None:
        where = new.decode("utf-8", "replace")
        raise RemoteExists(f"{where}: this server cannot rename over what is there (it lacks posix-rename)")
    yield from ask(Request(RENAME, text(old) + text(new), STATUS, old))


def replaces(client: Client) -> bool:
    """Whether the server renames in place of what is there."""
    return b"posix-rename@openssh.com" in client.extensions


def set_mode(path: bytes, mode: int) -> Job[None]:
    """Set the permission bits."""
    yield from ask(Request(SETSTAT, text(path) + permissions(mode), STATUS, path))


def set_time(path: bytes, mtime: float) -> Job[None]:
    """Set when a file was last modified, in whole seconds."""
    yield from ask(Request(SETSTAT, text(path) + times(mtime), STATUS, path))


def remove(path: bytes) -> Job[None]:
    """Remove a file or a symlink."""
    yield from ask(Request(REMOVE, text(path), STATUS, path))


def remove_directory(path: bytes) -> Job[None]:
    """Remove an empty directory."""
    yield from ask(Request(RMDIR, text(path), STATUS, path))


def free(path: bytes, client: Client) -> Job[Free | None]:
    """What this user can still take, or None when the server cannot say."""
    if b"statvfs@openssh.com" not in client.extensions:
        return None
    reply = yield from ask(Request(EXTENDED, text(b"statvfs@openssh.com") + text(path), EXTENDED_REPLY, path))
    _bsize, frsize, _blocks, _bfree, bavail, files, _ffree, favail, _id, flags, _longest = struct.unpack(
        ">11Q", reply.take(88)
    )
    return Free(frsize * bavail, favail if files else NO_TABLE, bool(flags & READ_ONLY))


def explained(job: Job[T], path: bytes, client: Client) -> Job[T]:
    """``job``, with a reason where the server has none: SFTP 3 has no word for a full disk."""
    try:
        return (yield from job)
    except RemoteFailure as error:
        above = path.rpartition(b"/")[0] or b"/"
        where = path.decode("utf-8", "replace")
        found = None
        for place in (path, above):
            with suppress(RemoteError):
                found = yield from free(place, client)
                break
        if found and found.read_only:
            raise RemoteDenied(f"{where}: the file system is read-only") from error
        if found and (found.size < FULL or not found.inodes):
            raise RemoteFull(f"{where}: no space left on the target") from error
        raise


def opened(path: bytes, flags: int, mode: int | None = None) -> Job[Body]:
    """The handle of a file."""
    attributes = permissions(mode) if mode is not None else struct.pack(">I", 0)
    return (yield from ask(Request(OPEN, text(path) + struct.pack(">I", flags) + attributes, HANDLE, path)))


def named(request: Request) -> Job[bytes]:
    """The one name in the answer to a request."""
    reply = yield from ask(request)
    return reply.text() if reply.number() else b""


def in_the_way(path: bytes, error: RemoteError) -> Job[RemoteError]:
    """What kept something from being made: what is there, or ``error``."""
    if (yield from look(path)) is None:
        return error
    return RemoteExists(f"{path.decode('utf-8', 'replace')}: there is something already")
