"""`ShellRemote`: the bulk operations of a remote that runs POSIX shell scripts, written once for every shell."""

from __future__ import annotations

import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import lru_cache
from shlex import quote
from typing import BinaryIO, NamedTuple

from msgspec.structs import replace

from pushkit.amount import seconds
from pushkit.archive import tar
from pushkit.errors import Interrupted, TimedOut
from pushkit.files import scripts
from pushkit.files.batch import Batch, Fetch, expected, names
from pushkit.files.collected import LETTERS, collected, linked
from pushkit.files.compression import FAR, Compression, chosen, length, sampled, shrunk
from pushkit.files.errors import RemoteDenied, RemoteError, RemoteExists, RemoteFull, RemoteMissing, not_switchable
from pushkit.files.lanes import LANES, Lanes, side_by_side
from pushkit.files.large import Large, apart
from pushkit.files.operation import Copy, Operation, Put, SetMode, Still, Switchable, Verify, Write
from pushkit.files.remote import Remote
from pushkit.files.scripts import MARKER, NEXT, Shell, own_output
from pushkit.files.stat import Found
from pushkit.files.stream import sending, stream
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Kind, Step
from pushkit.process import Command, Lines
from pushkit.strategy import Run

# Seconds that a script may be silent, and the bytes a second that a target's disk reads at least.
PATIENCE = 3600
SLOWEST = 1_000_000

MARKED = f"{MARKER}\n".encode()
AFTER_PROBE = f"{NEXT}\n".encode()
NO_ROOT = f"{scripts.NOWHERE}\n".encode()

# What the C library says, in the C locale, and what it means. Standard tools end their messages with it.
SAYINGS: tuple[tuple[str, type[RemoteError], str], ...] = (
    ("No space left on device", RemoteFull, "no space left on the target"),
    ("Wrote only", RemoteFull, "no space left on the target"),
    ("Disk quota exceeded", RemoteFull, "the quota on the target is used up"),
    ("Permission denied", RemoteDenied, "permission denied"),
    ("Operation not permitted", RemoteDenied, "permission denied"),
    ("Read-only file system", RemoteDenied, "the file system is read-only"),
    ("File exists", RemoteExists, "there is something already"),
    ("No such file or directory", RemoteMissing, "there is no such file or directory"),
    ("No such directory", RemoteMissing, "there is no such directory"),
    ("Directory nonexistent", RemoteMissing, "there is no such directory"),
    ("nonexistent directory", RemoteMissing, "there is no such directory"),
    ("can't cd to", RemoteMissing, "there is no such directory, or it may not be entered"),
)

#: So often a target is looked at while it is made and removed what lies there: see `linked`.
LOOKS = 4


class ShellResult(NamedTuple):
    """What a script left: its exit code (-1 when a signal ended it) and what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


@lru_cache(maxsize=64)
def kept(tools: frozenset[str]) -> frozenset[str]:
    """``tools``: hosts of a fleet mostly have the same, of which one is kept."""
    return tools


def shell_of(result: ShellResult) -> Shell | None:
    """What `PROBE` found out, or None when it was not a POSIX shell that answered."""
    end = result.stdout.find(AFTER_PROBE)
    said = result.stdout if end < 0 else result.stdout[:end]
    found = own_output(said).decode("utf-8", "surrogateescape").split("\n")
    home = next((line.removeprefix("home ") for line in found if line.startswith("home ")), "")
    tools = kept(frozenset(line for line in found if line and not line.startswith("home ")))
    return Shell(tools, home) if tools and result.code == 0 else None


def foreseen(result: ShellResult) -> bytes | None:
    """What the script printed that came with `PROBE`; None when there was none."""
    at = result.stdout.find(AFTER_PROBE)
    return result.stdout[at + len(AFTER_PROBE) :] if at >= 0 else None


class ShellRemote(Remote):
    """A remote whose target runs shell scripts. Its subclass has the primitives and `run_script`.

    It sets ``shell`` to what `PROBE` found, and ``capabilities`` to those of the shell. What scripts are sent is
    compressed where that pays, for which it may tell its ``round_trip``.
    """

    shell: Shell
    _foreseen: tuple[str, bytes] = ("", b"")
    _free: int | None = None
    _obstacle: str | None = None

    @property
    def round_trip(self) -> float:
        """Seconds that the target takes to answer, at least; 0 where nobody has measured."""
        return 0.0

    def foresee(self, script: str, output: bytes) -> None:
        """Keep what ``script`` printed in the root until it is asked for: once, for it grows old."""
        self._foreseen = (script, output)

    def expect(self, count: int) -> None:
        """So many scripts are about to be run at once, or soon after each other."""
        del count

    @abstractmethod
    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        """Run a script in ``sh``, ``stdin`` on its standard input, read in the calling thread.

        No more of ``stdin`` is read once the script has ended, or ``failed`` says so of what it has written to
        standard error up to then. Raises `RemoteError` when the connection fails, or when the script has taken
        nothing and written nothing for ``patience`` seconds.
        """

    @abstractmethod
    def stream_script(
        self, script: str, stdin: bytes, take: Callable[[bytes], object], timeout: float, cancelled: threading.Event
    ) -> int | None:
        """Run a script in ``sh`` and pass on its standard output while it runs; its exit code.

        Its standard input is ``stdin``, and stays open. It is closed, which asks the script to end, after ``timeout``
        seconds and once ``cancelled`` is set; the result is then None. Raises `RemoteError` when the connection fails.
        """

    def run(self, command: Command, run: Run) -> int:
        """Run it in a process group of its own on the target."""
        lines = Lines(lambda line: run.output(command.name, line), run.redact.cut)
        head = b""

        def take(piece: bytes) -> None:
            nonlocal head
            if not head.endswith(MARKED):
                # Login scripts may print before ours begins.
                before, marker, piece = (head + piece).partition(MARKED)
                head = before + marker
            lines.feed(piece)

        script, stdin = scripts.run(command, self.shell), scripts.variables(command)
        code = self.stream_script(script, stdin, take, command.timeout, run.cancelled)
        lines.end()
        if code is not None:
            return code
        if run.cancelled.is_set():
            raise Interrupted(f"{command.name} was stopped")
        raise TimedOut(f"{command.name} was ended after {seconds(command.timeout)}")

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
        """Read all of it with one script."""
        if not {"tar", "readlink"} <= self.shell.tools:
            return super().collect(trees, listed=listed, looked=looked, pointed=pointed, limit=limit)
        script = scripts.collect(trees, listed, looked, pointed, known)
        found: dict[str, Found] = {}
        for _ in range(LOOKS):
            before, output = self._foreseen
            self._foreseen = ("", b"")
            if before != script:
                result = self._run(f"{scripts.HEAD}{scripts.into(self.root)}{script}")
                if result.code:
                    raise told(self.root, result)
                output = result.stdout
            self._obstacle = None
            if output.startswith(NO_ROOT):
                self._obstacle = output.removeprefix(NO_ROOT).decode("ascii", "replace").strip()
                return {}
            found, self._free = collected(output, self.root, known[1])
            if not linked(found):
                break
        return found | linked(found)

    def perform(
        self,
        operations: Sequence[Operation],
        reported: Callable[[Step], AbstractContextManager[None]],
        stage: str,
    ) -> Sequence[Entry]:
        """Do all of it with one script. Steps after the sending are reported when the script has ended."""
        if not self._can(operations):
            return super().perform(operations, reported, stage)
        for at, operation in enumerate(operations):
            if isinstance(operation, Put) and (large := self._apart(operation.transfer)):
                return self._perform_apart(operations, at, large, reported, stage)
            if isinstance(operation, Put) and (small := self._side_by_side(operation.transfer)):
                return self._perform_side_by_side(operations, at, small, reported, stage)
        batch = Batch(operations, self.root, stage, self.shell, self._fetch(operations))
        if batch.early:
            # The state lies there before: what it needs may be a name that is not to be part of a script.
            self.perform(operations[: batch.early], reported, stage.partition("/")[0])
            return self.perform(operations[batch.early :], reported, stage)
        return self._perform_batch(batch, operations, reported, stage)

    def _perform_batch(
        self,
        batch: Batch,
        operations: Sequence[Operation],
        reported: Callable[[Step], AbstractContextManager[None]],
        stage: str,
    ) -> Sequence[Entry]:
        """Do all of it with the script that is ``batch``."""
        size = sum(work(each.entries) for each in operations if isinstance(each, (Copy, Verify)))
        with ExitStack() as stack:
            try:
                result = self._run(*stream(batch, stack, self.compression), size)
            except RemoteError:
                steps = [each.step for each in operations if each.step and each.step.action is Action.SWITCH]
                if not (steps and batch.sent):
                    raise
                # Nobody says how far the script came.
                with reported(steps[0]):
                    raise
            done = batch.done(result.stdout)
            for operation in operations[:done]:
                if operation.step:
                    with reported(operation.step):
                        pass
            if done == len(operations):
                return ()
            if other := self._otherwise(batch, operations[done:], result.stdout):
                return self.perform(other, reported, stage)
            operation = operations[done]
            with reported(operation.step) if operation.step else nullcontext():
                if isinstance(operation, Verify) and batch.wrong(result.stdout):
                    if wrong := self._wrong(operation.directory, operation.entries):
                        return wrong
                    # They are whole after all: what could not be told of all at once can of each.
                    return self.perform(operations[done + 1 :], reported, stage)
                error = told(self.root, result)
                if isinstance(operation, Switchable) and not isinstance(error, RemoteFull):
                    error = not_switchable(self.root)
                error.operation = operation
                raise error

    def _otherwise(self, batch: Batch, left: Sequence[Operation], output: bytes) -> Sequence[Operation]:
        """What to do in place of the operations that are ``left``, where a script found that they cannot be done so."""
        if why := batch.unfetched(output):
            return [directly(each, why) for each in left]
        first, *others = left
        if isinstance(first, Write) and batch.unlike(output):
            # A base is patched by what came with all that is put: that has arrived, and was told of.
            return [replace(first, base=None), *(each for each in others if each is not batch.put)]
        return ()

    def _apart(self, transfer: Transfer) -> Sequence[Entry]:
        """Those that are sent in parts."""
        return () if transfer.fetches else apart(transfer, self.shell, self.round_trip)

    def _perform_apart(
        self,
        operations: Sequence[Operation],
        at: int,
        large: Sequence[Entry],
        reported: Callable[[Step], AbstractContextManager[None]],
        stage: str,
    ) -> Sequence[Entry]:
        """As `perform`, where the operation ``at`` is a `Put` of which some files are ``large`` and are sent apart."""
        put = operations[at]
        assert isinstance(put, Put)
        names = {entry.path for entry in large}
        rest = put.transfer.only([entry for entry in put.transfer.entries if entry.path not in names])
        self.perform([*operations[:at], Put(put.directory, rest, step=put.step)], reported, stage)
        try:
            whole = Large(self, put.directory, put.transfer).send(large)
            if put.transfer.keeps_times:
                for entry in large:
                    self.set_time(f"{put.directory}/{entry.path}", put.transfer.time(entry))
        except RemoteError as error:
            error.operation = put
            raise
        modes = [SetMode(f"{put.directory}/{entry.path}", entry.mode) for entry in large]
        left = [without(each, whole) if isinstance(each, Verify) else each for each in operations[at + 1 :]]
        return self.perform([*modes, *left], reported, stage)

    def _side_by_side(self, transfer: Transfer) -> Sequence[Entry]:
        """Those that are sent in lanes."""
        entries = transfer.entries
        size = length(entries)
        # Who gains nothing by them however little it shrinks is spared the look.
        if not side_by_side(transfer, size, self.round_trip):
            return ()
        if self.compression(entries, transfer.look):
            size = int(size * shrunk(sampled(entries, transfer.look)))
        return side_by_side(transfer, size, self.round_trip)

    def _perform_side_by_side(
        self,
        operations: Sequence[Operation],
        at: int,
        small: Sequence[Entry],
        reported: Callable[[Step], AbstractContextManager[None]],
        stage: str,
    ) -> Sequence[Entry]:
        """As `perform`, where the files of the `Put` at ``at`` that are ``small`` are sent in lanes."""
        put = operations[at]
        assert isinstance(put, Put)
        self.expect(LANES + 1)
        # Directories come first: what is in them may come in any order then.
        names = {entry.path for entry in small}
        rest = put.transfer.only([entry for entry in put.transfer.entries if entry.path not in names])
        self.perform([*operations[:at], Put(put.directory, rest, step=put.step)], reported, stage)
        try:
            Lanes(self, put.directory, put.transfer).send(small)
        except RemoteError as error:
            error.operation = put
            raise
        return self.perform(operations[at + 1 :], reported, stage)

    def _fetch(self, operations: Sequence[Operation]) -> Fetch | None:
        """How the target fetches what it is to put; None where it is sent."""
        put = next((each for each in operations if isinstance(each, Put)), None)
        if put is None or not put.transfer.fetches:
            return None
        transfer = put.transfer
        # How far it is from the store nobody knows.
        way = chosen(self.shell.tools, FAR, length(transfer.entries), lambda: sampled(transfer.entries, transfer.look))
        return Fetch(way)

    def _can(self, operations: Sequence[Operation]) -> bool:
        """Whether the server has what a script of ``operations`` needs."""
        return (
            self.shell.batches
            and (bool(self.shell.sha256) or not any(isinstance(each, Verify) for each in operations))
            and (self.shell.copies or not any(isinstance(each, Copy) for each in operations))
            and ("xargs-0" in self.shell.tools or not any(isinstance(each, Still) for each in operations))
        )

    def compression(self, entries: Sequence[Entry], look: Callable[[Entry], BinaryIO]) -> Compression | None:
        """What a tar of ``entries`` is compressed with."""
        return chosen(self.shell.tools, self.round_trip, length(entries), lambda: sampled(entries, look))

    def kinds(self, paths: Sequence[str]) -> dict[str, Kind | None]:
        """Look at all of them with one script."""
        if not paths or "xargs-0" not in self.shell.tools:
            return super().kinds(paths)
        listed = "".join(f"./{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        root = quote(self.root)
        script = f"{scripts.HEAD}[ -e {root} ] || exit 0\ncd {root}\nexec {scripts.kinds()}\n"
        letters = self._done("", self._run(script, (listed,))).stdout.decode("ascii", "replace")
        if letters and len(letters) != len(paths):
            raise RemoteError(f"{self.root}: what the target sent cannot be read", hint="push again")
        # Without a root there is nothing.
        return {path: LETTERS.get(letter) for path, letter in zip(paths, letters, strict=False) if letter != "n"}

    def put(self, directory: str, transfer: Transfer) -> None:
        """Send everything as one tar stream: no round trip for a file."""
        if not self.shell.unpacks:
            super().put(directory, transfer)
            return
        with transfer.passage() as passage:
            compression = self.compression(transfer.entries, transfer.look)
            undo = compression.undo if compression else ""
            script = scripts.unpack(self._full(directory), self.shell, times=transfer.keeps_times, undo=undo)
            sent = tar(sending(transfer, passage))
            self._done(directory, self._run(script, compression.compressed(sent) if compression else sent))

    def copy(self, source: str, directory: str, entries: Sequence[Entry], *, link: bool = False) -> None:
        """Copy on the target; nothing travels but the names."""
        if entries:
            script = scripts.copy_files(self._full(source), self._full(directory), self.shell, link=link)
            self._done(directory, self._run(script, (names(entries),), work(entries)))

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare by content. Only one digest of all digests travels as long as nothing is wrong."""
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        if not files or not self.shell.sha256:
            return super().verify(directory, files)
        script = scripts.digest_all(self._full(directory), self.shell, work(files))
        result = self._done(directory, self._run(script, (names(files),), work(files)))
        return [] if result.stdout.split(b" ", 1)[0] == expected(files).encode() else self._wrong(directory, files)

    def _wrong(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The files that are not whole, each looked at by itself."""
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        script = scripts.digest_each(self._full(directory), self.shell)
        found = self._run(script, (names(files),), work(files)).stdout.split(b"\n")
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
        """What ``df`` says, or said when all was looked at a moment ago."""
        if self._free is not None:
            free, self._free = self._free, None
            return free
        if "df" not in self.shell.tools:
            return super().free_space()
        found = re.search(rb"\s(\d{1,18})\s+\d+%\s", self._run(scripts.free_blocks(self.root)).stdout)
        return int(found[1]) * 1024 if found else None

    def shares_copies(self, path: str) -> bool:
        """Whether GNU's cp, the only one that `copy` asks for it, can share the blocks of ``path``."""
        if "gnu-cp" not in self.shell.tools:
            return super().shares_copies(path)
        return self._run(scripts.shares_copies(self._full(path))).stdout == b"yes\n"

    def obstacle(self) -> str:
        """What the rights of this user say, or said when all was looked at a moment ago."""
        above = self.root.rpartition("/")[0] or "/"
        found, self._obstacle = self._obstacle, None
        if found is None:
            # Nobody has looked, or what was said has grown old.
            script = f"{scripts.HEAD}{scripts.obstacle(self.root)}"
            found = self._run(script).stdout.decode("ascii", "replace").strip()
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

    def script(self, path: str, script: str, stdin: Iterable[bytes] = (), size: int = 0) -> ShellResult:
        """What a script left that went well; it is about ``path``, and reads so many bytes without a word.

        Raises `RemoteError`.
        """
        return self._done(path, self._run(script, stdin, size))

    def _done(self, path: str, result: ShellResult) -> ShellResult:
        """``result``, when the script did what it should; else the error that it told of."""
        if result.code == 0 and not result.stderr:
            return result
        raise told(self._full(path), result)


def work(entries: Iterable[Entry]) -> int:
    """How many bytes a script reads that goes through ``entries`` without a word."""
    return sum(entry.size for entry in entries)


def without(verify: Verify, whole: Sequence[Entry]) -> Verify:
    """``verify`` without what is known to be ``whole``."""
    there = set(whole)
    entries = [entry for entry in verify.entries if entry not in there]
    listing = verify.listing and replace(verify.listing, others=(*verify.listing.others, *whole))
    return replace(verify, entries=entries, listing=listing)


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


def directly(operation: Operation, why: str) -> Operation:
    """``operation``, which sends what a target could not fetch, and says ``why``."""
    return replace(operation, transfer=operation.transfer.directly(why)) if isinstance(operation, Put) else operation
