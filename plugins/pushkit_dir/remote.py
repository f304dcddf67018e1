"""`LocalRemote`: a directory of this machine as a remote."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from pushkit import Command, Entry, Kind, Run
from pushkit.files import (
    Capabilities,
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteExists,
    RemoteFull,
    RemoteMissing,
    Stat,
    pieces,
)

KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
ERRORS: dict[int, tuple[type[RemoteError], str]] = {
    errno.ENOENT: (RemoteMissing, "there is no such file or directory"),
    errno.ENOTDIR: (RemoteMissing, "part of the path is not a directory"),
    errno.ELOOP: (RemoteMissing, "a symlink is in its place"),
    errno.EEXIST: (RemoteExists, "there is something already"),
    errno.EACCES: (RemoteDenied, "permission denied"),
    errno.EPERM: (RemoteDenied, "permission denied"),
    errno.EROFS: (RemoteDenied, "the file system is read-only"),
    errno.ENOSPC: (RemoteFull, "no space left"),
    errno.EDQUOT: (RemoteFull, "the quota is used up"),
}


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what the operating system says about ``path`` into an error of a remote."""
    try:
        yield
    except OSError as error:
        kind, words = ERRORS.get(error.errno or 0, (RemoteError, error.strerror or str(error)))
        raise kind(f"{path}: {words}") from error


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A regular file, to be read. Anything else that bears its name is an error, and not waited for."""
    with told(path), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RemoteError(f"{path}: this is no file")
        yield file


class LocalRemote(Remote):
    """A directory of this machine. A symlink at the end of a path is never followed."""

    capabilities = Capabilities(copies=True, links=True, digests=True, commands=True)

    def __init__(self, root: Path) -> None:
        self.root = os.path.normpath(root)

    def stat(self, path: str) -> Stat | None:
        """What lies at ``path``."""
        try:
            with told(full := self._full(path)):
                found = os.lstat(full)
        except RemoteMissing:
            return None
        return described(os.path.basename(full), found)

    def list(self, path: str) -> Sequence[Stat]:
        """What a directory holds."""
        found: list[Stat] = []
        with told(full := self._full(path)), os.scandir(full) as entries:
            for each in entries:
                # What goes away meanwhile is not there, and hides nothing else.
                with suppress(FileNotFoundError):
                    found.append(described(each.name, each.stat(follow_symlinks=False)))
        return found

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file."""
        with opened(full := self._full(path)) as file:
            # Python would make room for as much as is asked for.
            if os.fstat(file.fileno()).st_size > limit:
                raise RemoteError(f"{full}: more than {limit:,} bytes, which cannot be right")
            return file.read()

    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        """Make a file, or replace its content."""
        full = self._full(path)
        with told(full):
            file = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(file, "wb", buffering=0) as stream:
            # Before the content: a file that is whole has its mode.
            with told(full):
                os.fchmod(stream.fileno(), mode)
            for chunk in chunks:
                rest = memoryview(chunk)
                with told(full):
                    while rest:
                        rest = rest[stream.write(rest) :]

    def append(self, path: str, data: bytes) -> None:
        """Add to a file."""
        full = self._full(path)
        with told(full):
            file = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            try:
                if (written := os.write(file, data)) < len(data):
                    # Half a line would spoil the next one as well.
                    os.ftruncate(file, os.fstat(file).st_size - written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(file)

    def make_directory(self, path: str, mode: int) -> None:
        """Make one directory."""
        with told(full := self._full(path)):
            os.mkdir(full, 0o700)
            os.chmod(full, mode)  # past the umask

    def make_symlink(self, link: str, path: str) -> None:
        """Make a symlink."""
        with told(full := self._full(path)):
            os.symlink(link, full)

    def read_link(self, path: str) -> str:
        """The text of a symlink."""
        with told(full := self._full(path)):
            return os.readlink(full)

    def rename(self, old: str, new: str) -> None:
        """Rename, in place of what is at ``new``."""
        with told(self._full(old)):
            os.rename(self._full(old), self._full(new))

    def set_mode(self, path: str, mode: int) -> None:
        """Set the permission bits."""
        with told(full := self._full(path)):
            os.chmod(full, mode)

    def set_time(self, path: str, mtime: float) -> None:
        """Set when a file was last modified."""
        with told(full := self._full(path)):
            os.utime(full, (mtime, mtime))

    def run(self, command: Command, run: Run) -> int:
        """Run it on this machine."""
        return run.execute(replace(command, environment={**run.environment, **command.environment}))

    def remove(self, path: str) -> None:
        """Remove a file or symlink."""
        with told(full := self._full(path)):
            os.unlink(full)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        with told(full := self._full(path)):
            os.rmdir(full)

    def free_space(self) -> int | None:
        """What this user can still write."""
        try:
            return shutil.disk_usage(self.root).free
        except OSError:
            return None

    def obstacle(self) -> str:
        """What the rights of this user say."""
        if os.path.isdir(self.root):
            return "" if os.access(self.root, os.W_OK | os.X_OK) else "it may not be written to"
        if os.path.lexists(self.root):
            return "it is no directory"
        above = os.path.dirname(self.root)
        if not os.path.isdir(above):
            return f"it does not exist, and neither does {above}, which it would be made in"
        return "" if os.access(above, os.W_OK | os.X_OK) else f"it does not exist, and {above} may not be written to"

    def copy(self, source: str, directory: str, entries: Sequence[Entry], *, link: bool = False) -> None:
        """Copy within the machine, times kept, so that what did not change keeps its ETag."""
        for entry in entries:
            old, new = self._full(f"{source}/{entry.path}"), self._full(f"{directory}/{entry.path}")
            with told(new):
                if link:
                    os.link(old, new, follow_symlinks=False)
                elif entry.kind is Kind.SYMLINK:
                    os.symlink(os.readlink(old), new)
                else:
                    copy_file(old, new)

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare by content."""
        return [e for e in entries if e.kind is Kind.FILE and self._digest(f"{directory}/{e.path}") != e.sha256]

    def _digest(self, path: str) -> bytes:
        digest = hashlib.sha256()
        try:
            with opened(self._full(path)) as file:
                for piece in pieces(file):
                    digest.update(piece)
        except RemoteMissing:
            return b""
        return digest.digest()

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root


def copy_file(old: str, new: str) -> None:
    """Copy a file, its mode and times kept. On file systems that can, the two share their blocks."""
    source = os.open(old, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(source)
        target = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            copy_content(source, target, found.st_size)
            os.fchmod(target, found.st_mode & 0o777)
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(target)
    finally:
        os.close(source)


def copy_content(source: int, target: int, size: int) -> None:
    """Copy ``size`` bytes from one descriptor to another, in the system where it can."""
    left = size
    try:
        while left and hasattr(os, "copy_file_range") and (done := os.copy_file_range(source, target, left)):
            left -= done
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}:
            raise
    if left:
        with open(source, "rb", closefd=False) as reader, open(target, "wb", closefd=False) as writer:
            shutil.copyfileobj(reader, writer)


def described(name: str, found: os.stat_result) -> Stat:
    """What `os.lstat` found, in a remote's words."""
    return Stat(name, KINDS.get(stat.S_IFMT(found.st_mode)), found.st_mode & 0o777, found.st_size, found.st_mtime)
