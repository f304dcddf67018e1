"""`ShellRemote`: the bulk operations of a remote that runs POSIX shell scripts, written once for every shell.

A script is a value: the functions here return its text. No name that comes from a target is ever part of one;
names of entries travel on standard input, separated by NUL, and paths are quoted. The scripts need ``sh`` and what
`PROBE` finds; they run alike under dash, bash and BusyBox.
"""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from shlex import quote
from typing import BinaryIO, NamedTuple

from pushkit.archive import tar
from pushkit.files.remote import (
    Capabilities,
    Remote,
    RemoteDenied,
    RemoteError,
    RemoteFull,
    RemoteMissing,
)
from pushkit.files.transfer import Transfer
from pushkit.model import Entry, Kind

MARKER = "pushkit-shell"
# On both outputs, since login scripts print on both before a script begins.
HEAD = f"echo {MARKER}\necho {MARKER} >&2\nset -eu\nLC_ALL=C\nexport LC_ALL\numask 022\n"
PROBE = f"""{HEAD}for tool in tar cp rm chmod grep sed xargs sha256sum shasum df; do
  if command -v "$tool" >/dev/null 2>&1; then echo "$tool"; fi
done
case $(cp --version 2>/dev/null) in *coreutils*) echo gnu-cp;; esac
case $(tar --version 2>/dev/null) in *'GNU tar'*) echo gnu-tar;; esac
if printf 'a\\0b\\0' | xargs -0 printf '%s-' >/dev/null 2>&1; then echo xargs-0; fi
exit 0
"""
# What the C library says, in the C locale, and what it means. Standard tools end their messages with it.
SAYINGS: tuple[tuple[str, type[RemoteError], str], ...] = (
    ("No space left on device", RemoteFull, "no space left on the target"),
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


@dataclass(frozen=True, slots=True)
class Shell:
    """What a remote's shell has: the names that `PROBE` printed."""

    tools: frozenset[str] = frozenset()

    @property
    def unpacks(self) -> bool:
        """Whether a tar stream can be unpacked and what was made can be removed again."""
        return {"tar", "rm", "chmod"} <= self.tools

    @property
    def copies(self) -> bool:
        """Whether many files can be copied with one script."""
        return {"cp", "xargs-0"} <= self.tools

    @property
    def sha256(self) -> str:
        """The command that prints sha256 digests, empty when there is none, or no way to give it many names."""
        if not {"grep", "sed", "xargs-0"} <= self.tools:
            return ""
        return next((cmd for cmd in ("sha256sum", "shasum -a 256") if cmd.split()[0] in self.tools), "")

    @property
    def capabilities(self) -> Capabilities:
        """What a remote with this shell can do."""
        return Capabilities(copies=self.copies, digests=bool(self.sha256))


def shell_of(result: ShellResult) -> Shell | None:
    """What `PROBE` found out, or None when it was not a POSIX shell that answered."""
    if result.code != 0 or MARKER.encode() not in result.stdout.split():
        return None
    return Shell(frozenset(own_output(result.stdout).decode("ascii", "replace").split()))


def own_output(output: bytes) -> bytes:
    """What a script itself wrote to one of its outputs: all that follows the marker of its first line."""
    return output.partition(f"{MARKER}\n".encode())[2]


def unpack(directory: str, shell: Shell) -> str:
    """Unpack the tar on standard input.

    The time of extraction becomes the files' time (``-m``): the archive's is fixed, and web caches would take a
    changed file of the same size for the old one.
    """
    options = " --no-overwrite-dir" if "gnu-tar" in shell.tools else ""
    return f"{HEAD}cd {quote(directory)}\nexec tar{options} -x -p -o -m -f -\n"


def set_modes(directory: str, mode: int) -> str:
    """Set ``mode`` on each name of standard input."""
    return f"{HEAD}cd {quote(directory)}\nexec xargs -0 chmod {mode:04o}\n"


def copy_files(source: str, directory: str, shell: Shell) -> str:
    """Copy each name of standard input, a file or a symlink, its mode and times kept. The parents are there."""
    if "gnu-cp" in shell.tools:
        # --parents leaves directories alone that are there.
        command = f"exec xargs -0 cp -pP --reflink=auto --parents -t {quote(directory)}"
    else:
        each = 'to=$1; shift; for name; do cp -pPR "$name" "$to/$name"; done'
        command = f"exec xargs -0 sh -c {quote(f'set -e; {each}')} sh {quote(directory)}"
    return f"{HEAD}cd {quote(source)}\n{command}\n"


def digest_all(directory: str, shell: Shell) -> str:
    """Print one sha256: that of the digests of each name of standard input, in order, one a line.

    GNU's sha256sum begins a line with a backslash where it escaped the name. There is no backslash in the script,
    since not every login shell that it passes through leaves one alone.
    """
    digests = f"xargs -0 {shell.sha256} 2>/dev/null | grep -oE '^[^0-9a-f]?[0-9a-f]{{64}} ' | sed 's/[^0-9a-f]//g'"
    return f"{HEAD}cd {quote(directory)}\n{digests} | {shell.sha256}\n"


def digest_each(directory: str, shell: Shell) -> str:
    """Print a line for each name of standard input: its sha256, or nothing where it cannot be read."""
    # A process for each file is slow, and exact whatever the names hold; it is only asked when something is wrong.
    each = f'for name; do {shell.sha256} 2>/dev/null <"$name" || echo; done'
    return f"{HEAD}cd {quote(directory)}\nexec xargs -0 sh -c {quote(each)} sh 2>/dev/null\n"


def remove(path: str) -> str:
    """Remove a file or a directory and all in it, closed directories too. Symlinks are not followed."""
    where = quote(path)
    return (
        f"{HEAD}rm -rf {where} 2>/dev/null && exit 0\n"
        f"if [ ! -L {where} ]; then chmod -R u+rwX {where} 2>/dev/null || :; fi\n"
        f"exec rm -rf {where}\n"
    )


def free_blocks(path: str) -> str:
    """Print how much room there is, in POSIX's format, in units of 1,024 bytes."""
    return f"{HEAD}exec df -P -k {quote(path)}\n"


class ShellRemote(Remote):
    """A remote whose target runs shell scripts. Its subclass has the primitives and `run_script`.

    It sets ``shell`` to what `PROBE` found, and ``capabilities`` to those of the shell.
    """

    shell: Shell

    @abstractmethod
    def run_script(self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool]) -> ShellResult:
        """Run a script in ``sh``, ``stdin`` on its standard input, read in the calling thread.

        No more of ``stdin`` is read once the script has ended, or ``failed`` says so of what it has written to
        standard error up to then. Raises `RemoteError` when the connection fails.
        """

    def put(self, directory: str, transfer: Transfer) -> None:
        """Send everything as one tar stream: no round trip for a file."""
        if not self.shell.unpacks:
            super().put(directory, transfer)
            return
        closed: list[Entry] = []
        with ExitStack() as step:

            def entries() -> Iterator[Entry]:
                for entry in transfer.entries:
                    step.close()
                    step.enter_context(transfer.step(entry))
                    if entry.kind is Kind.DIRECTORY and entry.mode & 0o700 != 0o700:
                        # Not every tar waits with the modes of directories until they are filled.
                        closed.append(entry)
                        yield entry._replace(mode=entry.mode | 0o700)
                    else:
                        yield entry

            def opened(entry: Entry) -> BinaryIO:
                return step.enter_context(transfer.open(entry))

            script = unpack(self._full(directory), self.shell)
            self._done(directory, self._run(script, tar(entries(), opened)))
        # The deepest first: below a directory that is closed nothing can be set any more.
        for mode, group in groupby(reversed(closed), lambda entry: entry.mode):
            if "xargs-0" in self.shell.tools:
                self._done(directory, self._run(set_modes(self._full(directory), mode), names(group)))
            else:
                for entry in group:
                    self.set_mode(f"{directory}/{entry.path}", mode)

    def copy(self, source: str, directory: str, entries: Sequence[Entry]) -> None:
        """Copy on the target; nothing travels but the names."""
        if entries:
            script = copy_files(self._full(source), self._full(directory), self.shell)
            self._done(directory, self._run(script, names(entries)))

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare by content. Only one digest of all digests travels as long as nothing is wrong."""
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        if not files or not self.shell.sha256:
            return super().verify(directory, files)
        expected = hashlib.sha256(b"".join(entry.sha256.hex().encode() + b"\n" for entry in files))
        script = digest_all(self._full(directory), self.shell)
        result = self._done(directory, self._run(script, names(files)))
        if result.stdout.split(b" ", 1)[0] == expected.hexdigest().encode():
            return []
        script = digest_each(self._full(directory), self.shell)
        found = self._run(script, names(files)).stdout.split(b"\n")
        return [
            entry
            for entry, line in zip(files, found + [b""] * len(files), strict=False)
            if line.split(b" ", 1)[0] != entry.sha256.hex().encode()
        ]

    def remove_tree(self, path: str) -> None:
        """Remove on the target."""
        if self.shell.unpacks:
            self._done(path, self._run(remove(self._full(path))))
        else:
            super().remove_tree(path)

    def free_space(self) -> int | None:
        """What ``df`` says."""
        if "df" not in self.shell.tools:
            return super().free_space()
        found = re.search(rb"\s(\d+)\s+\d+%\s", self._run(free_blocks(self.root)).stdout)
        return int(found[1]) * 1024 if found else None

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def _run(self, script: str, stdin: Iterable[bytes] = ()) -> ShellResult:
        # These scripts write to standard error only when they fail.
        result = self.run_script(script, stdin, lambda stderr: own_output(stderr) != b"")
        return ShellResult(result.code, own_output(result.stdout), own_output(result.stderr))

    def _done(self, path: str, result: ShellResult) -> ShellResult:
        """``result``, when the script did what it should; else the error that it told of."""
        if result.code == 0 and not result.stderr:
            return result
        raise told(self._full(path), result)


def names(entries: Iterable[Entry]) -> tuple[bytes]:
    """The paths of ``entries`` as ``xargs -0`` reads them. None of them can be taken for an option."""
    return ("".join(f"./{entry.path}\0" for entry in entries).encode("utf-8", "surrogateescape"),)


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
