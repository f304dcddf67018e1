"""`Wire`: the two SFTP requests that paramiko has no public way for.

Names of a directory as the bytes that they are (paramiko decodes them strictly), and the free space of a file
system (``statvfs@openssh.com``). The protocol is draft-ietf-secsh-filexfer-02; the extension is described in OpenSSH's
PROTOCOL file, section 4.2. One request at a time.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import NamedTuple

from pushkit.files import RemoteDenied, RemoteError, RemoteMissing
from pushkit_sftp.library import paramiko
from pushkit_sftp.sessions import answered

INIT, VERSION, CLOSE, OPENDIR, READDIR = 1, 2, 4, 11, 12
STATUS, HANDLE, NAME, EXTENDED, EXTENDED_REPLY = 101, 102, 104, 200, 201
END_OF_FILE, NO_SUCH_FILE, PERMISSION_DENIED = 1, 2, 3
# A flag in the answer to statvfs@openssh.com.
READ_ONLY = 1
# OpenSSH's own limit for a packet.
LONGEST = 256 * 1024
# Names that a directory may hold, and bytes of all answers that list it.
MOST = 1_000_000
MOST_BYTES = 256 * 1024 * 1024


class Listed(NamedTuple):
    """One name of a directory. ``mode`` is as in ``st_mode``, 0 when the server did not say, as is ``mtime``."""

    name: bytes
    mode: int
    size: int
    mtime: int


class Free(NamedTuple):
    """What a user can still take of a file system, in bytes and inodes."""

    size: int
    inodes: int
    read_only: bool


class Wire:
    """An SFTP session of its own on a connection, for requests of this module only."""

    def __init__(self, transport: paramiko.Transport, timeout: float) -> None:
        self._channel = transport.open_session(timeout=timeout)
        self._channel.settimeout(timeout)
        self._number = 0
        try:
            with answered(self._channel, timeout):
                self._channel.invoke_subsystem("sftp")
            self._send(INIT, struct.pack(">I", 3))
            kind, body = self._receive()
            if kind != VERSION:
                raise paramiko.SSHException("the SFTP server did not introduce itself")
            body.skip(4)
            self._extensions = set()
            while body.left:
                self._extensions.add(body.text())
                body.text()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the session."""
        self._channel.close()

    def names(self, path: bytes) -> list[Listed]:
        """What a directory holds, without ``.`` and ``..``. Raises subclasses of `RemoteError`."""
        handle = self._request(OPENDIR, packed(path), HANDLE, path).text()
        found: list[Listed] = []
        heard = 0
        try:
            while (reply := self._request(READDIR, packed(handle), NAME, path)) is not END:
                heard += reply.left
                count = reply.number()
                found += [listed(reply) for _ in range(count)]
                if len(found) > MOST or heard > MOST_BYTES:
                    raise RemoteError(
                        f"{path.decode('utf-8', 'replace')}: the server lists over {MOST:,} names in it, or over "
                        f"{MOST_BYTES:,} bytes of them, which cannot be right"
                    )
                if not count:  # an answer without a name is none of the protocol's, and could come for ever
                    break
        except RemoteError:
            # The session goes on, and a server has only so many handles.
            with suppress(RemoteError):
                self._request(CLOSE, packed(handle), STATUS, path)
            raise
        self._request(CLOSE, packed(handle), STATUS, path)
        return [each for each in found if each.name not in {b".", b".."}]

    def free(self, path: bytes) -> Free | None:
        """What this user can still take, or None when the server cannot say."""
        if b"statvfs@openssh.com" not in self._extensions:
            return None
        reply = self._request(EXTENDED, packed(b"statvfs@openssh.com") + packed(path), EXTENDED_REPLY, path)
        _bsize, frsize, _blocks, _bfree, bavail, files, _ffree, favail = struct.unpack(">8Q", reply.take(64))
        reply.skip(8)
        # A file system without a table of inodes says 0 of 0.
        return Free(frsize * bavail, favail if files else LONGEST, bool(reply.number(8) & READ_ONLY))

    def _request(self, kind: int, body: bytes, expected: int, path: bytes) -> Body:
        self._number += 1
        self._send(kind, struct.pack(">I", self._number) + body)
        got, reply = self._receive()
        if reply.number() != self._number:
            raise paramiko.SSHException("the SFTP server answered another request")
        if got == STATUS:
            status = reply.number()
            if status == END_OF_FILE:
                return END
            if status:
                raise error_of(status, reply, path)
        if got != expected:
            raise paramiko.SSHException("the SFTP server gave an answer of the wrong kind")
        return reply

    def _send(self, kind: int, body: bytes) -> None:
        self._channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def _receive(self) -> tuple[int, Body]:
        (size,) = struct.unpack(">I", self._read(4))
        if not 0 < size <= LONGEST:
            raise paramiko.SSHException("the SFTP server sent a packet of an impossible size")
        packet = self._read(size)
        return packet[0], Body(packet[1:])

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._channel.recv(size - len(data))
            if not piece:
                raise EOFError("the SFTP server ended the session")
            data += piece
        return data


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
            raise paramiko.SSHException("the SFTP server sent a packet that is cut off")
        self._at += size
        return self._content[self._at - size : self._at]

    def skip(self, size: int) -> None:
        """Leave out ``size`` bytes."""
        self.take(size)

    def number(self, size: int = 4) -> int:
        """The next unsigned number."""
        return int.from_bytes(self.take(size), "big")

    def text(self) -> bytes:
        """The next string, as its bytes."""
        return self.take(self.number())


END = Body(b"")


def packed(text: bytes) -> bytes:
    """A string with its length before it."""
    return struct.pack(">I", len(text)) + text


def listed(body: Body) -> Listed:
    """The next name of a reply to READDIR, with its attributes (section 5 of the draft)."""
    name = body.text()
    body.text()  # the line that `ls -l` would print
    flags = body.number()
    size = body.number(8) if flags & 1 else 0
    body.skip(8 if flags & 2 else 0)
    mode = body.number() if flags & 4 else 0
    body.skip(4 if flags & 8 else 0)
    mtime = body.number() if flags & 8 else 0
    if flags & 0x80000000:
        for _ in range(2 * body.number()):
            body.text()
    return Listed(name, mode, size, mtime)


def error_of(status: int, reply: Body, path: bytes) -> RemoteError:
    """The error that a status stands for."""
    where = path.decode("utf-8", "replace")
    if status == NO_SUCH_FILE:
        return RemoteMissing(f"{where}: there is no such file or directory")
    if status == PERMISSION_DENIED:
        return RemoteDenied(f"{where}: permission denied")
    return RemoteError(f"{where}: the server said: {reply.text().decode('utf-8', 'replace')}")
