"""The files of this machine over SFTP, for `EmbeddedSsh`: what OpenSSH's sftp-server does, over paramiko's protocol.

The error codes are those of OpenSSH (sftp-server.c, errno_to_portable), which clients have learnt to read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paramiko import Message, ServerInterface, SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface
from paramiko.sftp import (
    SFTP_BAD_MESSAGE,
    SFTP_FAILURE,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
)

CODES = {
    errno.ENOENT: SFTP_NO_SUCH_FILE,
    errno.ENOTDIR: SFTP_NO_SUCH_FILE,
    errno.EBADF: SFTP_NO_SUCH_FILE,
    errno.ELOOP: SFTP_NO_SUCH_FILE,
    errno.EPERM: SFTP_PERMISSION_DENIED,
    errno.EACCES: SFTP_PERMISSION_DENIED,
    errno.EFAULT: SFTP_PERMISSION_DENIED,
    errno.ENAMETOOLONG: SFTP_BAD_MESSAGE,
    errno.EINVAL: SFTP_BAD_MESSAGE,
    errno.ENOSYS: SFTP_OP_UNSUPPORTED,
}
LARGEST_READ = 256 * 1024


def code_of(error: OSError) -> int:
    """The SFTP status that says what ``error`` says."""
    return CODES.get(error.errno or 0, SFTP_FAILURE)


def status(act: Callable[[], object]) -> int:
    """Do ``act``; return the SFTP status of how it went."""
    try:
        act()
    except OSError as error:
        return code_of(error)
    return SFTP_OK


def change(path: str | int, attributes: SFTPAttributes) -> None:
    """Set what ``attributes`` has of a file, by its path or its descriptor."""
    if attributes.st_size is not None:
        os.truncate(path, attributes.st_size)
    if attributes.st_mode is not None:
        os.chmod(path, attributes.st_mode & 0o7777)
    if attributes.st_atime is not None and attributes.st_mtime is not None:
        os.utime(path, (attributes.st_atime, attributes.st_mtime))
    if attributes.st_uid is not None and attributes.st_gid is not None:
        os.chown(path, attributes.st_uid, attributes.st_gid)


class ListedAttributes(SFTPAttributes):
    """A line of a directory listing. paramiko would refuse to send a name that is not UTF-8."""

    @classmethod
    def of(cls, name: str, found: os.stat_result) -> ListedAttributes:
        """The line for the file ``name``."""
        attributes = cls.from_stat(found, name)
        attributes._line = os.fsencode(str(attributes))
        attributes.filename = os.fsencode(name)  # type: ignore[assignment]  # It is sent as it is.
        return attributes

    def asbytes(self) -> bytes:
        """The line as ``ls -l`` has it."""
        return self._line

    _line = b""


class OpenFile(SFTPHandle):
    """A file that a client has open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes | int:
        """At most ``length`` bytes from ``offset`` on; empty at the end."""
        try:
            return os.pread(self._descriptor, min(length, LARGEST_READ), offset)
        except OSError as error:
            return code_of(error)

    def write(self, offset: int, data: Any) -> int:
        """Write all of ``data`` at ``offset``."""
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, offset)
                rest, offset = rest[written:], offset + written
        except OSError as error:
            return code_of(error)
        return SFTP_OK

    def stat(self) -> SFTPAttributes | int:
        """What the file is."""
        return SFTPAttributes.from_stat(os.fstat(self._descriptor))

    def chattr(self, attr: SFTPAttributes) -> int:
        """Set size, mode, times or owner."""
        return status(lambda: change(self._descriptor, attr))


class Files(SFTPServerInterface):
    """The file system of this machine, relative paths taken from ``home``."""

    def __init__(self, server: ServerInterface, home: Path) -> None:
        super().__init__(server)
        self._home = home

    def _at(self, path: str) -> str:
        return os.path.join(self._home, path)

    def _attributes(self, look: Callable[[str], os.stat_result], path: str) -> SFTPAttributes | int:
        try:
            return SFTPAttributes.from_stat(look(self._at(path)))
        except OSError as error:
            return code_of(error)

    def stat(self, path: str) -> SFTPAttributes | int:
        """What lies at ``path``, symlinks followed."""
        return self._attributes(os.stat, path)

    def lstat(self, path: str) -> SFTPAttributes | int:
        """What lies at ``path``, symlinks not followed."""
        return self._attributes(os.lstat, path)

    def list_folder(self, path: str) -> list[SFTPAttributes] | int:
        """What the directory holds; ``.`` and ``..`` are left to the client's imagination."""
        listed: list[SFTPAttributes] = []
        try:
            with os.scandir(self._at(path)) as entries:
                for entry in entries:
                    try:
                        listed.append(ListedAttributes.of(entry.name, entry.stat(follow_symlinks=False)))
                    except FileNotFoundError:  # Removed since the directory was read.
                        continue
        except OSError as error:
            return code_of(error)
        return listed

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> SFTPHandle | int:
        """Open or make a file."""
        mode = 0o666 if attr.st_mode is None else attr.st_mode & 0o7777
        try:
            return OpenFile(os.open(self._at(path), flags, mode))
        except OSError as error:
            return code_of(error)

    def remove(self, path: str) -> int:
        """Remove a file or a symlink."""
        return status(lambda: os.unlink(self._at(path)))

    def rename(self, oldpath: str, newpath: str) -> int:
        """Rename, never in place of anything (draft-ietf-secsh-filexfer-02, section 6.5)."""
        if os.path.lexists(self._at(newpath)):
            return SFTP_FAILURE
        return self.posix_rename(oldpath, newpath)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Rename atomically, in place of what is at ``newpath`` (OpenSSH's PROTOCOL, section 4.3)."""
        return status(lambda: os.rename(self._at(oldpath), self._at(newpath)))

    def mkdir(self, path: str, attr: SFTPAttributes) -> int:
        """Make a directory."""
        mode = 0o777 if attr.st_mode is None else attr.st_mode & 0o7777
        return status(lambda: os.mkdir(self._at(path), mode))

    def rmdir(self, path: str) -> int:
        """Remove an empty directory."""
        return status(lambda: os.rmdir(self._at(path)))

    def chattr(self, path: str, attr: SFTPAttributes) -> int:
        """Set size, mode, times or owner."""
        return status(lambda: change(self._at(path), attr))

    def canonicalize(self, path: str) -> str:
        """The absolute path, without symlinks as far as it exists."""
        return os.path.realpath(self._at(path))

    def readlink(self, path: str) -> str | int:
        """The text of a symlink."""
        try:
            return os.readlink(self._at(path))
        except OSError as error:
            return code_of(error)

    def symlink(self, target_path: str, path: str) -> int:
        """Make a symlink at ``path`` with the text ``target_path``."""
        return status(lambda: os.symlink(target_path, self._at(path)))


class FileProtocol(SFTPServer):
    """paramiko's side of the protocol, taught that a path is bytes that need not be UTF-8."""

    def _process(self, kind: int, number: int, message: Message) -> None:
        super()._process(kind, number, FileMessage(message.get_remainder()))  # type: ignore[misc]

    def _response(self, number: int, kind: int, *values: object) -> None:
        encoded = [os.fsencode(value) if isinstance(value, str) else value for value in values]
        super()._response(number, kind, *encoded)  # type: ignore[misc]


class FileMessage(Message):
    """A message whose texts are paths."""

    def get_text(self) -> str:
        """The next string, with surrogate escapes for what is not UTF-8."""
        return os.fsdecode(self.get_string())
