"""`ShellRemote`: the bulk operations of a remote that runs POSIX shell scripts, written once for every shell."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

from pushkit.archive import tar
from pushkit.files import scripts
from pushkit.files.remote import (
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteFull,
    RemoteMissing,
)
from pushkit.files.scripts import Shell, own_output
from pushkit.files.transfer import Transfer
from pushkit.model import Entry, Kind

# Seconds that a script may be silent, and the bytes a second that a target's disk reads at least.
PATIENCE = 3600
SLOWEST = 1_000_000

# What the C library says, in the C locale, and what it means. Standard tools end their messages with it.
SAYINGS: tuple[tuple[str, type[RemoteError], str], ...] = (
    ("No space left on device", RemoteFull, "no space left on the target"),
    ("Wrote only", RemoteFull, "no space left on the target"),
    ("Disk quota exceeded", RemoteFull, "the quota on the target is used up"),
    ("Permission denied", RemoteDenied, "permission denied"),
    ("Operation not permitted", RemoteDenied, "permission denied"),
    ("Read-only file system", RemoteDenied, "the file system is read-only"),
    ("No such file or directory", RemoteMissing, "there is no such file or directory"),
    ("No such directory", RemoteMissing, "there is no such directory"),
    ("can't cd to", RemoteMissing, "there is no such directory, or it may not be entered"),
)


class ShellResult(NamedTuple):
    """What a script left: its exit code (-1 when a signal ended it) and what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


def shell_of(result: ShellResult) -> Shell | None:
    """What `PROBE` found out, or None when it was not a POSIX shell that answered."""
    found = own_output(result.stdout).decode("ascii", "replace").split()
    return Shell(frozenset(found)) if found and result.code == 0 else None


class ShellRemote(Remote):
    """A remote whose target runs shell scripts. Its subclass has the primitives and `run_script`.

    It sets ``shell`` to what `PROBE` found, and ``capabilities`` to those of the shell.
    """

    shell: Shell

    @abstractmethod
    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        """Run a script in ``sh``, ``stdin`` on its standard input, read in the calling thread.

        No more of ``stdin`` is read once the script has ended, or ``failed`` says so of what it has written to
        standard error up to then. Raises `RemoteError` when the connection fails, or when the script has taken
        nothing and written nothing for ``patience`` seconds.
        """

    def put(self, directory: str, transfer: Transfer) -> None:
        """Send everything as one tar stream: no round trip for a file."""
        if not self.shell.unpacks:
            super().put(directory, transfer)
            return
        with ExitStack() as step:

            def entries() -> Iterator[Entry]:
                for entry in transfer.entries:
                    step.close()
                    step.enter_context(transfer.step(entry))
                    yield entry

            def opened(entry: Entry) -> BinaryIO:
                return step.enter_context(transfer.open(entry))

            script = scripts.unpack(self._full(directory), self.shell)
            self._done(directory, self._run(script, tar(entries(), opened)))

    def copy(self, source: str, directory: str, entries: Sequence[Entry]) -> None:
        """Copy on the target; nothing travels but the names."""
        if entries:
            script = scripts.copy_files(self._full(source), self._full(directory), self.shell)
            self._done(directory, self._run(script, names(entries), work(entries)))

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare by content. Only one digest of all digests travels as long as nothing is wrong."""
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        if not files or not self.shell.sha256:
            return super().verify(directory, files)
        expected = hashlib.sha256(b"".join(entry.sha256.hex().encode() + b"\n" for entry in files))
        script = scripts.digest_all(self._full(directory), self.shell)
        result = self._done(directory, self._run(script, names(files), work(files)))
        if result.stdout.split(b" ", 1)[0] == expected.hexdigest().encode():
            return []
        script = scripts.digest_each(self._full(directory), self.shell)
        found = self._run(script, names(files), work(files)).stdout.split(b"\n")
        return [
            entry
            for entry, line in zip(files, found + [b""] * len(files), strict=False)
            if line.split(b" ", 1)[0] != entry.sha256.hex().encode()
        ]

    def remove_tree(self, path: str) -> None:
        """Remove on the target."""
        if self.shell.unpacks:
            self._done(path, self._run(scripts.remove(self._full(path))))
        else:
            super().remove_tree(path)

    def free_space(self) -> int | None:
        """What ``df`` says."""
        if "df" not in self.shell.tools:
            return super().free_space()
        found = re.search(rb"\s(\d+)\s+\d+%\s", self._run(scripts.free_blocks(self.root)).stdout)
        return int(found[1]) * 1024 if found else None

    def obstacle(self) -> str:
        """What the rights of this user say."""
        above = self.root.rpartition("/")[0] or "/"
        found = self._run(scripts.obstacle(self.root)).stdout.decode("ascii", "replace").strip()
        return {
            "closed": "it may not be written to",
            "file": "it is no directory",
            "missing": f"it does not exist, and neither does {above}, which it would be made in",
            "above": f"it does not exist, and {above} may not be written to",
        }.get(found, "")

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def _run(self, script: str, stdin: Iterable[bytes] = (), size: int = 0) -> ShellResult:
        # These scripts write to standard error only when they fail.
        patience = PATIENCE + size / SLOWEST
        result = self.run_script(script, stdin, lambda stderr: own_output(stderr) != b"", patience)
        return ShellResult(result.code, own_output(result.stdout), own_output(result.stderr))

    def _done(self, path: str, result: ShellResult) -> ShellResult:
        """``result``, when the script did what it should; else the error that it told of."""
        if result.code == 0 and not result.stderr:
            return result
        raise told(self._full(path), result)


def names(entries: Iterable[Entry]) -> tuple[bytes]:
    """The paths of ``entries`` as ``xargs -0`` reads them. None of them can be taken for an option."""
    return ("".join(f"./{entry.path}\0" for entry in entries).encode("utf-8", "surrogateescape"),)


def work(entries: Iterable[Entry]) -> int:
    """How many bytes a script reads that goes through ``entries`` without a word."""
    return sum(entry.size for entry in entries)


def told(path: str, result: ShellResult) -> RemoteError:
    """The error that a script's standard error tells of: its first line, and what that means."""
    lines = result.stderr.decode("utf-8", "replace").strip().splitlines()
    if not lines:
        end = "a signal ended it" if result.code < 0 else f"exit code {result.code}"
        return RemoteError(f"{path}: a command on the target failed without a word ({end})")
    for saying, kind, words in SAYINGS:
        if any(saying in line for line in lines):
            line = next(line for line in lines if saying in line)
            return kind(f"{path}: {words} ({line.strip()})")
    return RemoteError(f"{path}: the target said: {lines[0].strip()}")
