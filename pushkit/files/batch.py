"""Operations as one shell script: what it does, what it reads, and what its output says.

No name that comes from a target is ever part of the script. Names of entries, and everything that is long, travel in a
tar on standard input, which the script unpacks into a stage: a directory of this push's own. The script prints a line
for each operation that is done.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from secrets import token_hex
from shlex import quote
from typing import BinaryIO

from pushkit.files.operation import (
    LAPS,
    Absent,
    Append,
    Copy,
    Fence,
    Log,
    MakeDirectory,
    Operation,
    Point,
    Pointing,
    Present,
    Put,
    Remove,
    RemoveDirectory,
    RemoveTree,
    Rename,
    SetMode,
    Still,
    Switchable,
    Verify,
    Write,
    laps,
    makes_root,
)
from pushkit.files.scripts import HEAD, LAP, Shell, copy_all, digests, kinds, untar
from pushkit.files.ticket import encoded
from pushkit.model import Entry, Kind

#: Linux takes an argument of 128 KiB at most, and quoting makes a script longer.
LONGEST = 48 * 1024
#: Files up to this size, in bytes, are part of the script.
INLINE = 2048
#: So many files are read by two processes.
MANY = 2000
#: The name of the directory, in a stage, that all a script reads is in but the entries it puts.
DESK = re.compile(r"papers-[0-9a-f]{8}")
#: What the script prints when files are not whole, and ends.
WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Paper:
    """Something long that a script reads: its path below the stage, and its content."""

    path: str
    content: bytes

    @property
    def entry(self) -> Entry:
        """The paper as an entry."""
        return Entry(self.path, Kind.FILE, 0o600, len(self.content))

    def open(self) -> BinaryIO:
        """Its content as a stream."""
        return BytesIO(self.content)


class Batch:
    """A script that performs ``operations`` below the directory ``root`` of a remote with ``shell``.

    ``stage`` is a directory that is there, or that one of the operations makes. There is one `Put` at most, and its
    directory lies below the stage.
    """

    def __init__(self, operations: Sequence[Operation], root: str, stage: str, shell: Shell) -> None:
        self.operations = operations
        self.put = next((each for each in operations if isinstance(each, Put)), None)
        #: Whether the script has all that it puts, and may have come to any operation.
        self.sent = self.put is None
        self.papers: list[Paper] = []
        # Two pushes may have one stage, before they have one of their own.
        self.desk = f"papers-{token_hex(4)}"
        #: What is sent last.
        self.last = Paper(f"{self.desk}/last", b"")
        self._root = root
        self._shell = shell
        self._stage = stage
        over = laps(operations)
        self._timed = bool(over)
        parts = [
            (f"lap {over[number]}\n" if number in over else "") + self._part(number, each)
            for number, each in enumerate(operations)
        ]
        first = self._first(parts)
        # What makes the root comes before anything can be done in it.
        making = ""
        if operations and makes_root(operations[0]):
            making, parts[0] = parts[0], ""
        begin = f"{LAP}laps=\nexport laps\nlap start\n" if self._timed else ""
        self._before = f"{HEAD}{making}cd {quote(root)}\n{begin}{''.join(parts[:first])}"
        self._after = "" if first is None else self._rest("".join(parts[first:]))

    def script(self, undo: str = "") -> str:
        """The script itself. What it reads is decompressed by the command ``undo``."""
        return f"{self._before}{self._unpack(undo) if self.reads else ''}{self._after}exit 0\n"

    @property
    def reads(self) -> bool:
        """Whether there is anything on standard input."""
        return bool(self.papers or self.put)

    @property
    def place(self) -> str:
        """Where the entries of `put` lie, relative to the stage, with a slash at the end."""
        assert self.put
        return self.put.directory.removeprefix(f"{self._stage}/") + "/"

    def done(self, output: bytes) -> int:
        """How many operations the script did, by its output."""
        return sum(line.isdigit() for line in output.split(b"\n"))

    def wrong(self, output: bytes) -> bool:
        """Whether the script ended since files are not whole."""
        return WRONG.encode() in output.split(b"\n")

    def _first(self, parts: Sequence[str]) -> int | None:
        """The operation before which the stage is filled: as late as can be, for operations before it fill it too."""
        papers = f"{self._stage}/{self.desk}/"
        needs = [n for n, part in enumerate(parts) if papers in part or self.operations[n] is self.put]
        if needs and (self.put or not self._bulky(parts[: needs[0]])):
            return needs[0]
        if not needs and not self._bulky(parts):
            return None
        stage = [isinstance(each, MakeDirectory) and each.path == self._stage for each in self.operations]
        return stage.index(True) + 1 if any(stage) else 0

    def _bulky(self, parts: Sequence[str]) -> bool:
        """Whether a script is too long to be told, or holds what not every login shell on the way leaves alone."""
        return sum(map(len, parts)) > LONGEST or any("\\" in part for part in parts)

    def _unpack(self, undo: str) -> str:
        times = bool(self.put and self.put.transfer.keeps_times)
        unpack = f"(cd {quote(self._stage)} && {untar(self._shell, times=times, undo=undo)})\n"
        # To tar an archive is whole that was cut off between two files: nothing may follow from that.
        cut = "{ echo 'what was sent was cut off' >&2; exit 1; }"
        return f"{unpack}[ -f {quote(f'{self._stage}/{self.last.path}')} ] || {cut}\n"

    def _rest(self, script: str) -> str:
        # However the script ends, but where the unpacking failed: then the papers say what was to be.
        trap = f"trap {quote('rm -rf ' + quote(f'{self._stage}/{self.desk}'))} EXIT\n"
        if not self._bulky([script]):
            return trap + script
        script = f"set -eu\n{LAP if self._timed else ''}{script}"
        self.papers.append(Paper(f"{self.desk}/script", script.encode("utf-8", "surrogateescape")))
        return f"{trap}sh {quote(f'{self._stage}/{self.desk}/script')}\n"

    def _paper(self, name: object, content: bytes) -> str:
        """The path of a new paper, relative to the root, quoted."""
        paper = Paper(f"{self.desk}/{name}", content)
        self.papers.append(paper)
        return quote(f"{self._stage}/{paper.path}")

    def _part(self, number: int, operation: Operation) -> str:
        return self._command(number, operation) + f"echo {number}\n"

    def _command(self, number: int, operation: Operation) -> str:  # noqa: PLR0911, PLR0912  (one case an operation)
        match operation:
            case Absent(path):
                return f"if [ -e {named(path)} ] || [ -L {named(path)} ]; then {exists(path)}; fi\n"
            case Present(path):
                return f"[ -e {named(path)} ] || {missing(path)}\n"
            case Fence(path, limit):
                where, line = named(path), self._print(number, b"%06d\n" % limit)
                return (
                    f'if [ -e {where} ]; then [ "$(cat {where})" -le {limit} ] || {exists(path)}; fi\n'
                    f"(umask 077; {line} >{named(path + '.new')})\n"
                    f"mv -fT {named(path + '.new')} {where}\n"
                )
            case Pointing(path, ""):
                return self._command(number, Absent(path))
            case Pointing(path, link):
                return f'[ "$(readlink {named(path)})" = {quote(link)} ] || {exists(path)}\n'
            case Still(paths, known):
                if not paths:
                    return ""
                letters = "".join(letter_of(path, known) for path in paths)
                listed = "".join(f"./{path}\0" for path in paths).encode("utf-8", "surrogateescape")
                found = f"found=$( {kinds()} <{self._paper(number, listed)} )\n"
                return f'{found}[ "$found" = {letters} ] || {exists("what the push is about to change")}\n'
            case MakeDirectory(path, mode, may_exist):
                where = named(path) if path else quote(self._root)
                made = f"mkdir {where}\nchmod {mode:o} {where}\n"
                return f"if ! [ -d {where} ]; then\n{made}fi\n" if may_exist else made
            case Write(path, data, mode):
                new, where = named(f"{path}.new"), named(path)
                make = f"{self._print(number, data)} >{new}\n"
                return f"{make}chmod {mode:o} {new}\nmv -fT {new} {where}\n"
            case Append(path, data):
                return f"(umask 077; {self._print(number, data)} >>{named(path)})\n"
            case Log(path, tell):
                return f"(umask 077; {self._print_record(number, encoded(tell()))} >>{named(path)})\n"
            case Point(path, link):
                new = named(f"{path}.new")
                return f"rm -f {new}\nln -s -- {quote(link)} {new}\nmv -fT {new} {named(path)}\n"
            case Switchable(path):
                tried = self._command(number, Point(path, "old")) + self._command(number, Point(path, "new"))
                return f'{tried}[ "$(readlink {named(path)})" = new ]\nrm -f {named(path)}\n'
            case Rename(old, new):
                return f"mv -fT {named(old)} {named(new)}\n"
            case Remove(path):
                return f"rm -f {named(path)}\n"
            case RemoveDirectory(path):
                return f"rmdir {named(path)} 2>/dev/null || :\n"
            case RemoveTree(path):
                where = named(path)
                return (
                    f"rm -rf {where} 2>/dev/null || {{ [ -L {where} ] || chmod -R u+rwX {where} 2>/dev/null || :; "
                    f"rm -rf {where}; }}\n"
                )
            case SetMode(path, mode):
                return f"chmod {mode:o} {named(path)}\n"
            case Put():
                return ""
            case Copy(source, directory, entries, link):
                return self._copy(number, source, directory, names(entries), link=link) if entries else ""
            case Verify(directory, entries):
                files = [entry for entry in entries if entry.kind is Kind.FILE]
                if not files:
                    return ""
                found = f"{self._digests(number, directory, files)} | {self._shell.sha256}"
                return f'found=$( {found} )\n[ "${{found%% *}}" = {expected(files)} ] || {{ echo {WRONG}; exit 0; }}\n'
            case _:
                raise TypeError(f"{operation} is no operation")

    def _print(self, number: int, data: bytes) -> str:
        """A command that prints ``data``. Not every login shell on the way leaves a backslash alone.

        It is cat that writes: a shell may call a full disk nothing but an I/O error.
        """
        if len(data) > INLINE or not data.isascii() or b"\\" in data or b"\0" in data:
            return f"cat {self._paper(number, data)}"
        return f"printf %s {quote(data.decode())} | cat"

    def _print_record(self, number: int, line: bytes) -> str:
        """A command that prints the ``line`` of a record, with the script's laps at its end."""
        if not self._timed:
            return self._print(number, line)
        said = self._print(number, line.removesuffix(b"}\n"))
        # By one command, so that it is one write.
        end = f', "{LAPS}": "', '"}\n'
        return f'said=$( {said} ); printf %s "$said"{quote(end[0])}"$laps"{quote(end[1])} | cat'

    def _digests(self, number: int, directory: str, files: Sequence[Entry]) -> str:
        """A command that prints the sha256 of each of ``files``, in order, one a line."""

        def part(name: str, some: Sequence[Entry]) -> str:
            return f"(cd {quote(directory)} && {digests(self._shell)}) <{self._paper(f'{number}{name}', names(some))}"

        if len(files) < MANY:
            return part("", files)
        half = len(files) // 2
        late = quote(f"{self._stage}/{self.desk}/{number}-digests")
        return f"{{ {part('-late', files[half:])} >{late} & {part('', files[:half])}; wait; cat {late}; }}"

    def _copy(self, number: int, source: str, directory: str, listed: bytes, *, link: bool) -> str:
        paper = self._paper(number, listed)
        up = "/".join([".."] * (source.count("/") + 1))
        command = copy_all(f"{up}/{directory}", self._shell, link=link)
        return f"(cd {quote(source)} && {command}) <{paper}\n"


#: What a script prints for each kind.
LETTERS = {Kind.SYMLINK: "l", Kind.DIRECTORY: "d", Kind.FILE: "f", None: "o"}


def letter_of(path: str, kinds: Mapping[str, Kind | None]) -> str:
    """What a script prints for what lies at ``path``."""
    return LETTERS[kinds[path]] if path in kinds else "n"


def named(path: str) -> str:
    """A path of a project's, quoted, as an argument that is no option."""
    return quote(f"./{path}" if path.startswith("-") else path)


def names(entries: Sequence[Entry]) -> bytes:
    """The paths of ``entries`` as ``xargs -0`` reads them. None of them can be taken for an option."""
    paths = [entry.path for entry in entries]
    return ("./" + "\0./".join(paths) + "\0").encode("utf-8", "surrogateescape") if paths else b""


def expected(files: Sequence[Entry]) -> str:
    """The digest of the digests of ``files``, one a line, in hex."""
    digests = b"".join([entry.sha256 for entry in files])
    return hashlib.sha256(digests.hex("\n", 32).encode() + b"\n" * bool(files)).hexdigest()


def exists(path: str) -> str:
    """A command that says that there is something at ``path``, and fails."""
    return "{ echo " + quote(f"{path}: File exists") + " >&2; exit 1; }"


def missing(path: str) -> str:
    """A command that says that there is nothing at ``path``, and fails."""
    return "{ echo " + quote(f"{path}: No such file or directory") + " >&2; exit 1; }"
