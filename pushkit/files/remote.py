"""`Remote`: a place that holds files, as about a dozen primitives, and what can be built from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import BinaryIO

from msgspec import Struct

from pushkit.files import primitives
from pushkit.files.errors import RemoteError, RemoteExists, RemoteLost, RemoteMissing
from pushkit.files.operation import Operation
from pushkit.files.procedure import LOG
from pushkit.files.stat import Found, Stat, safe_name
from pushkit.files.transfer import Transfer
from pushkit.model import Entry, Finding, Kind, Step
from pushkit.process import Command
from pushkit.strategy import Run


class Capabilities(Struct, frozen=True):
    """What a remote can do beyond the primitives, and cheaply.

    ``copies``: it copies files to files by itself, so that `Remote.copy` sends no content. ``links``: it makes hard
    links. ``digests``: it computes sha256 by itself, so that `Remote.verify` compares content and not only sizes.
    ``scripts``: `Remote.collect` and `Remote.perform` take one round trip each. ``commands``: it runs commands of the
    user's. ``resumes``: `Remote.put` goes on with a large file of which a beginning is there; ``patches``: with one of
    which any part is. ``spares``: a `Copy` in `Remote.perform` takes what it can from a spare.
    """

    copies: bool = False
    links: bool = False
    digests: bool = False
    scripts: bool = False
    commands: bool = False
    resumes: bool = False
    patches: bool = False
    spares: bool = False


class Remote(ABC):
    """A place that holds files.

    Every path is relative to ``root``, POSIX, without ``.`` or ``..``; the empty path is the root itself. Bytes
    that are not UTF-8 stand as surrogate escapes. Primitives raise the subclasses of `RemoteError`. They may be
    called from several threads.

    What comes back from a remote (names, link texts) is never used as a path without a check.
    """

    root: str
    capabilities: Capabilities = Capabilities()
    #: How many times an answer had to be waited for; a remote that does not count leaves it at 0.
    round_trips: int = 0

    # Primitives.

    @abstractmethod
    def stat(self, path: str) -> Stat | None:
        """What lies at ``path``, symlinks not followed; None when there is nothing."""

    @abstractmethod
    def list(self, path: str) -> Sequence[Stat]:
        """What a directory holds, in no order. Raises `RemoteMissing`."""

    @abstractmethod
    def read(self, path: str, limit: int) -> bytes:
        """The content of a file of at most ``limit`` bytes; more is an error, not a cut."""

    @abstractmethod
    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        """Make a file, or replace the content of one. Raises when not all of it arrived."""

    @abstractmethod
    def make_directory(self, path: str, mode: int) -> None:
        """Make one directory, atomically.

        Raises `RemoteExists` when anything is there, `RemoteMissing` without a parent.
        """

    @abstractmethod
    def make_symlink(self, link: str, path: str) -> None:
        """Make a symlink at ``path`` whose text is ``link``. Raises `RemoteExists`."""

    @abstractmethod
    def read_link(self, path: str) -> str:
        """The text of a symlink."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Rename atomically, in place of a file or symlink at ``new``.

        Raises `RemoteExists` when there is one and this remote cannot replace it.
        """

    @abstractmethod
    def set_mode(self, path: str, mode: int) -> None:
        """Set the nine permission bits."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file or a symlink."""

    @abstractmethod
    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""

    def append(self, path: str, data: bytes) -> None:
        """Add to a file, which is made where there is none. A remote that can do so in one step overrides this."""
        with suppress(RemoteMissing):
            data = self.read(path, LOG) + data
        primitives.write(self, path, data, 0o600)

    def free_space(self) -> int | None:
        """Bytes that this user can still write below the root, or None when the remote cannot say."""
        return None

    def set_time(self, path: str, mtime: float) -> None:
        """Set when a file was last modified, in seconds since 1970. A remote that cannot leaves this as it is."""
        raise RemoteError(f"{self.root}/{path}: this target keeps no times of files", hint="leave out `mtimes`")

    def run(self, command: Command, run: Run) -> int:
        """Run a command on the host, as `Run.execute` does on this machine, and raise what that raises.

        Only asked of a remote with `Capabilities.commands`. The environment is added to what the host gives.
        """
        raise NotImplementedError

    def shares_copies(self, path: str) -> bool:
        """Whether what `copy` copies shares its blocks with the original (reflinks) and takes no room.

        Found out by copying the small file ``path``, beside it for a moment. Asked only where room is short.
        """
        return False

    def obstacle(self) -> str:
        """What would keep this user from making the root, or from writing in it; empty when nothing is known."""
        return ""

    def findings(self) -> Sequence[Finding]:
        """What ``push check`` should say of this remote beyond what every remote is asked."""
        return ()

    def renew(self) -> None:
        """Reach the target again after `RemoteLost`. Raises `TargetError` when that cannot be."""
        raise RemoteLost(f"{self.root}: this target cannot be reached again")

    def close(self) -> None:  # noqa: B027  (a remote without a connection has nothing to close)
        """Give back connections. Never raises."""

    # Many at once. A remote that knows a faster way overrides these.

    def collect(
        self,
        trees: Sequence[str],
        *,
        listed: Sequence[str] = (),
        looked: Sequence[str] = (),
        pointed: tuple[str, str] | None = None,
        known: tuple[str, Collection[str]] = ("", ()),
        limit: int,
    ) -> dict[str, Found]:
        """What lies at several paths, by path; what is not there is not in it.

        With everything below ``trees``, and the content of files, of at most ``limit`` bytes each; with the directories
        right below ``listed``; of ``looked`` only what they are. ``pointed`` is a symlink and a directory: the file in
        it that bears the last component of the symlink's text. Of ``listed`` and ``looked`` only the kind is
        promised. Directories that change meanwhile are no error.

        ``known`` is a directory, and digests: of a file in it whose first line ends in one of them a remote may give
        that line alone, and no time or size.
        """
        return primitives.collect(self, trees, listed=listed, looked=looked, pointed=pointed, limit=limit)

    def kinds(self, paths: Sequence[str]) -> dict[str, Kind | None]:
        """What lies at ``paths``, by path, None for devices and the like; what is not there is not in it.

        Symlinks are not followed at the end of a path; what lies behind one on the way is not said reliably.
        """
        return primitives.kinds(self, paths)

    def perform(
        self,
        operations: Sequence[Operation],
        reported: Callable[[Step], AbstractContextManager[None]],
        stage: str,
    ) -> Sequence[Entry]:
        """Do ``operations`` in their order, each with its step ``reported``. What follows a failure is not done.

        ``stage`` is a directory of this push's own, which is there or which an operation makes; it may be used for what
        the operations need on the way, and nothing of that stays. The result is the entries that a `Verify` found not
        to be whole, after which nothing more was done.
        """
        return primitives.perform(self, operations, reported, stage)

    def together(
        self, operations: Sequence[Operation], reported: Callable[[Step], AbstractContextManager[None]]
    ) -> None:
        """Do operations that may be under way at once, a stretch of those that are performed.

        They are begun in their order, each with its step ``reported``; those that are `Independent` in any. Of those
        that follow one that fails some may be done all the same, but none that `Operation.waits`.
        """
        for operation in operations:
            primitives.perform_reported(self, operation, reported)

    def put(self, directory: str, transfer: Transfer) -> None:
        """Make the entries of ``transfer`` below ``directory``, which exists; parents come first.

        A directory's mode lets its owner write into it. Directories that are there already stay as they are.
        Raises when a file did not arrive at its size.
        """
        for entry in transfer.entries:
            path = f"{directory}/{entry.path}" if directory else entry.path
            with transfer.step(entry):
                match entry.kind:
                    case Kind.DIRECTORY:
                        with suppress(RemoteExists):
                            self.make_directory(path, entry.mode)
                    case Kind.SYMLINK:
                        self.make_symlink(entry.link, path)
                    case Kind.FILE:
                        with transfer.open(entry) as stream:
                            self.write(path, pieces(stream), entry.mode)
                        if transfer.keeps_times:
                            self.set_time(path, transfer.time(entry))

    def copy(self, source: str, directory: str, entries: Sequence[Entry], *, link: bool = False) -> None:
        """Copy files and symlinks from below ``source`` to the same paths below ``directory``.

        With ``link`` files become hard links. Only asked of a remote with `Capabilities.copies`, or ``links`` for hard
        links; the parents are there.
        """
        raise NotImplementedError

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The file entries that do not lie whole below ``directory``: by content where the remote can, else by size."""
        wrong = []
        for entry in entries:
            if entry.kind is Kind.FILE:
                found = self.stat(f"{directory}/{entry.path}" if directory else entry.path)
                if found is None or found.kind is not Kind.FILE or found.size != entry.size:
                    wrong.append(entry)
        return wrong

    def remove_tree(self, path: str) -> None:
        """Remove what is there, and all in it; symlinks are removed, not followed. Nothing there is no error."""
        stat = self.stat(path)
        if stat is None:
            return
        if stat.kind is not Kind.DIRECTORY:
            self.remove(path)
            return
        directories = [path]
        for directory in directories:  # grows as it goes: a tree may be deeper than Python's stack
            for child in self.list(directory):
                below = f"{directory}/{safe_name(child.name)}"
                if child.kind is Kind.DIRECTORY:
                    self.set_mode(below, 0o700)
                    directories.append(below)
                else:
                    self.remove(below)
        for directory in reversed(directories):
            self.remove_directory(directory)


def pieces(stream: BinaryIO, size: int = 256 * 1024) -> Iterator[bytes]:
    """The content of a binary stream in pieces of ``size`` bytes."""
    while piece := stream.read(size):
        yield piece
