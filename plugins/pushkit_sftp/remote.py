"""`SftpRemote`: the primitives, over SFTP alone."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pushkit import Entry, Finding, Kind, Severity
from pushkit.files import (
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteExists,
    RemoteFull,
    RemoteMissing,
    Stat,
    Transfer,
    safe_name,
)
from pushkit_sftp.channel import connection_told
from pushkit_sftp.connection import WINDOW, hang_up
from pushkit_sftp.library import paramiko
from pushkit_sftp.sending import send
from pushkit_sftp.sessions import PATIENCE, Sessions
from pushkit_sftp.wire import Wire

KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
# A file system that has less free than this is full: some of it is out of reach for small files.
FULL = 64 * 1024


class SftpRemote(Remote):
    """A directory on a server that speaks SFTP and nothing else. Closes ``transport`` in the end.

    ``path`` is absolute, or relative to the directory that the login starts in.
    """

    def __init__(self, transport: paramiko.Transport, where: str, path: str, home: str = "") -> None:
        self.transport = transport
        self.where = where
        self.round_trips = 0
        self._sessions = Sessions(transport, WINDOW)
        self._wire: Wire | None = None
        self._wire_lock = threading.RLock()
        self.root = absolute(path, home or self._home())

    def _home(self) -> str:
        try:
            with connection_told(self.where), self._sessions.one() as sftp:
                return sftp.normalize(".")
        except RemoteError as error:
            raise RemoteError(
                f"{self.where}: the server lets us in but starts no SFTP session ({error.message})",
                hint="enable the sftp subsystem on the server (`Subsystem sftp internal-sftp` in sshd_config)",
            ) from error

    def stat(self, path: str) -> Stat | None:
        """What lies at ``path``."""
        try:
            with self._told(path) as (sftp, full):
                return described(path.rpartition("/")[2], sftp.lstat(full))
        except RemoteMissing:
            return None

    def list(self, path: str) -> Sequence[Stat]:
        """What a directory holds."""
        with self._wired(path) as (wire, full):
            found = wire.names(full)
        children = []
        for each in found:
            name = each.name.decode("utf-8", "surrogateescape")
            child: Stat | None = Stat(name, kind_of(each.mode), each.mode & 0o777, each.size, each.mtime)
            if not each.mode:
                # A server may leave attributes out of a listing.
                child = self.stat(f"{path}/{safe_name(name)}" if path else safe_name(name))
            if child is not None:
                children.append(child)
        return children

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file."""
        with self._told(path) as (sftp, full), sftp.open(full, "rb") as file:
            size = file.stat().st_size or 0
            if size > limit:
                raise RemoteError(f"{self._full(path)}: more than {limit:,} bytes, which cannot be right")
            if size > paramiko.SFTPFile.MAX_REQUEST_SIZE:
                # All of it is asked for at once, in place of a round trip for each piece.
                file.prefetch(size)
            content = file.read(limit + 1)
        if len(content) > limit:
            raise RemoteError(f"{self._full(path)}: it grew past {limit:,} bytes, which cannot be right")
        return content

    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        """Make a file, or replace its content."""
        size = 0
        with self._told(path) as (sftp, full), sftp.open(full, "wb") as file:
            # Before the content: a file that is whole has its mode.
            file.chmod(mode)
            file.set_pipelined(True)
            for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
            # Errors of pipelined writes are lost; what arrived tells.
            arrived = file.stat().st_size
        if arrived != size:
            raise self._refusal(path) or RemoteError(f"{self._full(path)}: {arrived} of {size} bytes arrived")

    def make_directory(self, path: str, mode: int) -> None:
        """Make one directory."""
        with self._told(path, makes=True) as (sftp, full):
            sftp.mkdir(full, 0o700)
            sftp.chmod(full, mode)  # past the server's umask

    def make_symlink(self, link: str, path: str) -> None:
        """Make a symlink."""
        with self._told(path, makes=True) as (sftp, full):
            sftp.symlink(encoded(link), full)

    def read_link(self, path: str) -> str:
        """The text of a symlink."""
        with self._told(path) as (sftp, full):
            link: str | bytes | None = sftp.readlink(full)
        return link.decode("utf-8", "surrogateescape") if isinstance(link, bytes) else link or ""

    def rename(self, old: str, new: str) -> None:
        """Rename, in place of what is at ``new``."""
        target = encoded(self._full(new))
        with self._told(old) as (sftp, full):
            try:
                sftp.posix_rename(full, target)
            except OSError as error:
                if error.errno is not None or "nsupported" not in str(error):
                    raise
                with suppress(FileNotFoundError):
                    sftp.lstat(target)
                    raise RemoteExists(
                        f"{self._full(new)}: this server cannot rename over what is there (it lacks posix-rename)",
                    ) from error
                sftp.rename(full, target)

    def set_mode(self, path: str, mode: int) -> None:
        """Set the permission bits."""
        with self._told(path) as (sftp, full):
            sftp.chmod(full, mode)

    def set_time(self, path: str, mtime: float) -> None:
        """Set when a file was last modified, in whole seconds."""
        with self._told(path) as (sftp, full):
            sftp.utime(full, (mtime, mtime))

    def remove(self, path: str) -> None:
        """Remove a file or symlink."""
        with self._told(path) as (sftp, full):
            sftp.remove(full)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        with self._told(path) as (sftp, full):
            sftp.rmdir(full)

    def free_space(self) -> int | None:
        """What this user can still write, when the server can say."""
        try:
            with self._wired("") as (wire, full):
                free = wire.free(full)
        except RemoteError:
            return None
        return free.size if free else None

    def findings(self) -> Sequence[Finding]:
        """Who answered, and what the account cannot do."""
        shown = self.transport.get_remote_server_key()
        return [
            Finding(Severity.OK, self.where, f"{self.transport.remote_version}, host key {shown.fingerprint}"),
            *self.limits(),
        ]

    def limits(self) -> Sequence[Finding]:
        """What is missing for fast and fully verified pushes."""
        return [
            Finding(
                Severity.WARNING,
                self.where,
                "the account has SFTP and no shell: each push sends every file, and compares sizes only",
                "with a shell, unchanged files are copied on the server and all are compared by sha256",
            )
        ]

    def put(self, directory: str, transfer: Transfer) -> None:
        """Send in several sessions at a time."""
        send(self, directory, transfer)

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare sizes: one listing for each directory, in place of a request for each file."""
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        there: dict[str, int] = {}
        for parent in {entry.path.rpartition("/")[0] for entry in files}:
            place = f"{parent}/" if parent else ""
            with suppress(RemoteMissing):
                found = self.list(f"{directory}/{parent}" if parent else directory)
                there |= {place + each.name: each.size for each in found if each.kind is Kind.FILE}
        return [entry for entry in files if there.get(entry.path) != entry.size]

    def close(self) -> None:
        """Hang up."""
        with suppress(Exception):
            if self._wire is not None:
                self._wire.close()
            self._sessions.close()
        hang_up(self.transport)

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    @contextmanager
    def _wired(self, path: str) -> Iterator[tuple[Wire, bytes]]:
        """What paramiko has no public request for, and the absolute path as bytes; for one thread at a time."""
        with self._wire_lock, connection_told(self.where):
            self.round_trips += 1
            if self._wire is None:
                self._wire = Wire(self.transport, PATIENCE)
            try:
                yield self._wire, encoded(self._full(path))
            except RemoteError:
                raise
            except BaseException:
                # An answer may still come, and would be taken for that of another request.
                self._wire.close()
                self._wire = None
                raise

    @contextmanager
    def _told(self, path: str, *, makes: bool = False) -> Iterator[tuple[paramiko.SFTPClient, bytes]]:
        """A session and the absolute path as bytes. What goes wrong becomes an error of a remote.

        SFTP 3 knows "no such file", "permission denied" and, for all else, "Failure". So after a failure we look.
        """
        full = self._full(path)
        self.round_trips += 1
        with connection_told(self.where):
            try:
                with self._sessions.one() as sftp:
                    yield sftp, encoded(full)
            except FileNotFoundError as error:
                raise RemoteMissing(f"{full}: there is no such file or directory") from error
            except PermissionError as error:
                raise RemoteDenied(f"{full}: permission denied") from error
            except OSError as error:
                if isinstance(error, (TimeoutError, ConnectionError)) or not self.transport.is_active():
                    raise
                if makes and self.stat(path) is not None:
                    raise RemoteExists(f"{full}: there is something already") from error
                raise self._refusal(path) or RemoteError(f"{full}: the server said: {error}") from error

    def _refusal(self, path: str) -> RemoteError | None:
        """Why the file system takes nothing at ``path``, when that can be told."""
        with suppress(RemoteError), self._wired("") as (wire, full):
            free = wire.free(full)
            if free and free.read_only:
                return RemoteDenied(f"{self._full(path)}: the file system is read-only")
            if free and (free.size < FULL or not free.inodes):
                return RemoteFull(f"{self._full(path)}: no space left on the target")
        return None


def from_home(path: str) -> str:
    """``path`` without the ``~`` that it may begin with: absolute, or relative to where the login starts."""
    return "" if path == "~" else path.removeprefix("~/")


def absolute(path: str, home: str) -> str:
    """``path`` on the server, which may be relative to ``home``."""
    path = from_home(path)
    whole = path if path.startswith("/") else f"{home}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in {"", "."})


def encoded(path: str) -> bytes:
    """A path as the bytes that it is on the server."""
    return path.encode("utf-8", "surrogateescape")


def described(name: str, found: paramiko.SFTPAttributes) -> Stat:
    """What the server says of a path, in a remote's words."""
    mode = found.st_mode or 0
    return Stat(name, kind_of(mode), mode & 0o777, found.st_size or 0, found.st_mtime or 0)


def kind_of(mode: int) -> Kind | None:
    """The kind that ``st_mode`` says; None for devices and the like."""
    return KINDS.get(stat.S_IFMT(mode))
