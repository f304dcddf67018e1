"""The packets of SFTP: what a request and a reply are as bytes.

The protocol is draft-ietf-secsh-filexfer-02, version 3; the extensions are described in OpenSSH's PROTOCOL file,
section 4.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pushkit.files import RemoteDenied, RemoteError, RemoteExists, RemoteFull, RemoteMissing

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, RENAME, READLINK, SYMLINK = 11, 12, 13, 14, 15, 16, 18, 19, 20
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
OK, END_OF_FILE = 0, 1
# Flags of attributes, section 5 of the draft.
SIZE, OWNERS, PERMISSIONS, TIMES, EXTENSIONS = 1, 2, 4, 8, 0x80000000
# Flags of OPEN, section 6.3.
READING, WRITING, APPENDING, CREATING, TRUNCATING, EXCLUSIVE = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20


class Broken(RemoteError):
    """What a server sent is no SFTP."""


class RemoteFailure(RemoteError):
    """The server said "failure", which is what SFTP 3 has to say of all but a missing file and a missing permission."""


class Request(NamedTuple):
    """One request about ``path``: the type of its packet, what follows the number, and the type of a good answer."""

    kind: int
    body: bytes
    answer: int
    path: bytes


class Attributes(NamedTuple):
    """What a server says of a file. ``mode`` is as in ``st_mode``; all is 0 that it does not say."""

    mode: int
    size: int
    mtime: int


class Listed(NamedTuple):
    """One name of a directory, and what the server says of it."""

    name: bytes
    attributes: Attributes


class Body:
    """The content of a packet, taken piece by piece."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._content) - self._at

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if self.left < size:
            raise Broken("the SFTP server sent a packet that is cut off")
        self._at += size
        return self._content[self._at - size : self._at]

    def number(self, size: int = 4) -> int:
        """The next unsigned number."""
        return int.from_bytes(self.take(size), "big")

    def text(self) -> bytes:
        """The next string, as its bytes."""
        return self.take(self.number())

    def attributes(self) -> Attributes:
        """The next attributes."""
        flags = self.number()
        size = self.number(8) if flags & SIZE else 0
        self.take(8 if flags & OWNERS else 0)
        mode = self.number() if flags & PERMISSIONS else 0
        self.take(4 if flags & TIMES else 0)
        mtime = self.number() if flags & TIMES else 0
        if flags & EXTENSIONS:
            for _ in range(2 * self.number()):
                self.text()
        return Attributes(mode, size, mtime)

    def listed(self) -> Listed:
        """The next name of a directory."""
        name = self.text()
        self.text()  # the line that `ls -l` would print
        return Listed(name, self.attributes())


#: The answer of a request that has nothing to answer, and of one that has come to an end.
DONE, END = Body(b""), Body(b"")


def text(content: bytes) -> bytes:
    """A string with its length before it."""
    return struct.pack(">I", len(content)) + content


def permissions(mode: int) -> bytes:
    """Attributes that hold the permission bits alone."""
    return struct.pack(">II", PERMISSIONS, mode)


def times(mtime: float) -> bytes:
    """Attributes that hold the times alone, in whole seconds."""
    return struct.pack(">III", TIMES, int(mtime) & 0xFFFFFFFF, int(mtime) & 0xFFFFFFFF)


def error_of(reply: Body, path: bytes) -> RemoteError:
    """The error that a status which is not good stands for."""
    status = reply.number()
    where = path.decode("utf-8", "replace")
    match status:
        case 2:
            return RemoteMissing(f"{where}: there is no such file or directory")
        case 3:
            return RemoteDenied(f"{where}: permission denied")
        case 11:
            return RemoteExists(f"{where}: there is something already")
        case 14 | 15:  # no space, and no quota; like 11 of later versions, but some servers of version 3 say them
            return RemoteFull(f"{where}: no space left on the target")
    said = reply.text().decode("utf-8", "replace") if reply.left else ""
    return RemoteFailure(f"{where}: the server said: {said or f'status {status}'}")
