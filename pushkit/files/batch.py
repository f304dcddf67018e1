"""Operations as one shell script: what it does, what it reads, and what its output says.

No name that comes from a target is ever part of the script. Names of entries, and everything that is long, travel in a
tar on standard input, which the script unpacks into a stage: a directory of this push's own. The script prints a line
for each operation that is done.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from secrets import token_hex
from shlex import quote
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from pushkit.files.compression import Compression, patch
from pushkit.files.operation import (
    LAPS,
    Absent,
    Append,
    Base,
    Copy,
    Fence,
    Listing,
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
from pushkit.files.scripts import (
    ADD,
    HEAD,
    KEEP,
    LAP,
    OPENSSL,
    UNFETCHED,
    Shell,
    copy_all,
    digests,
    fetching,
    kinds,
    listed,
    untar,
)
from pushkit.files.spare import catch_up, ended, lacking
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
#: What the script prints when files are not whole, and ends; and when a base does not hold what it is said to.
WRONG, UNLIKE = "wrong", "unlike"
#: Papers of so many bytes, and more, are common to the hosts of a fleet.
COMMON = 4096


class Fetch(NamedTuple):
    """That a host fetches what most of a `Put` holds, compressed by ``compression``."""

    compression: Compression | None


class Paper(Struct, frozen=True):
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
    directory lies below the stage. With ``fetch`` a host is only sent where it gets what it puts; see `give`.
    """

    def __init__(
        self, operations: Sequence[Operation], root: str, stage: str, shell: Shell, fetch: Fetch | None = None
    ) -> None:
        self.operations = operations
        self.put = next((each for each in operations if isinstance(each, Put)), None)
        #: Whether the script has all that it puts, and may have come to any operation.
        self.sent = self.put is None
        self.supply = self.put.transfer.supply if self.put else None
        self.fetch = fetch
        self.papers: list[Paper] = []
        #: What other hosts read as well, and lies in what is made once for all.
        self.common: list[Paper] = []
        # Two pushes may have one stage, before they have one of their own.
        self.desk = f"papers-{self.supply.token if self.supply else token_hex(4)}"
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
        #: How many operations come before the stage is made, where they need papers: those are to be done first.
        self.early = self._early(parts)
        first = self._first(parts)
        # What makes the root comes before anything can be done in it.
        making = ""
        if operations and makes_root(operations[0]):
            making, parts[0] = parts[0], ""
        head = HEAD + "".join(
            function for word, function in (("keep ", KEEP), ("add ", ADD)) if any(word in part for part in parts)
        )
        begin = f"{LAP}laps=\nexport laps\nlap start\n" if self._timed else ""
        self._before = f"{head}{making}cd {quote(root)}\n{begin}{''.join(parts[:first])}"
        self._after = "" if first is None else self._rest("".join(parts[first:]))

    def script(self, undo: str = "") -> str:
        """The script itself. What it reads is decompressed by the command ``undo``."""
        return f"{self._before}{self._unpack(undo) if self.reads else ''}{self._after}exit 0\n"

    @property
    def reads(self) -> bool:
        """Whether there is anything on standard input."""
        return bool(self.papers or self.put)

    def give(self, url: str, sha256: str) -> None:
        """Tell the host where it fetches what it puts, and the digest of that: in papers that nobody else can read."""
        # As each program reads it: none is told by its arguments, which everybody on the host can see.
        said = {"url": f"{url}\n", "curl": f'url = "{url}"\n', "sha256": f"{sha256}\n"}
        self.papers += [Paper(f"{self.desk}/{name}", text.encode()) for name, text in said.items()]

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

    def unlike(self, output: bytes) -> bool:
        """Whether the script ended since a base does not hold what it is said to."""
        return UNLIKE.encode() in output.split(b"\n")

    def unfetched(self, output: bytes) -> str:
        """Why the host could not fetch what it puts; empty when it could."""
        start = UNFETCHED.encode()
        said = [line.removeprefix(start) for line in output.split(b"\n") if line.startswith(start)]
        return said[0].decode("utf-8", "replace").strip() or "without a word" if said else ""

    def _early(self, parts: Sequence[str]) -> int:
        made = next((n for n, each in enumerate(self.operations) if is_stage(each, self._stage)), 0)
        return made if any(f"{self._stage}/{self.desk}/" in part for part in parts[:made]) else 0

    def _first(self, parts: Sequence[str]) -> int | None:
        """The operation before which the stage is filled: as late as can be, for operations before it fill it too."""
        papers = f"{self._stage}/{self.desk}/"
        needs = [n for n, part in enumerate(parts) if papers in part or self.operations[n] is self.put]
        if needs and (self.put or not self._bulky(parts[: needs[0]])):
            return needs[0]
        if not needs and not self._bulky(parts):
            return None
        stage = [is_stage(each, self._stage) for each in self.operations]
        return stage.index(True) + 1 if any(stage) else 0

    def _bulky(self, parts: Sequence[str]) -> bool:
        """Whether a script is too long to be told, or holds what not every login shell on the way leaves alone."""
        return sum(map(len, parts)) > LONGEST or any("\\" in part for part in parts)

    def _unpack(self, undo: str) -> str:
        times = bool(self.put and self.put.transfer.keeps_times)
        unpack = f"(cd {quote(self._stage)} && {untar(self._shell, times=times, undo=undo)})\n"
        # To tar an archive is whole that was cut off between two files: nothing may follow from that.
        cut = "{ echo 'what was sent was cut off' >&2; exit 1; }"
        arrived = f"{unpack}[ -f {quote(f'{self._stage}/{self.last.path}')} ] || {cut}\n"
        return arrived + self._fetch() if self.fetch else arrived

    def _rest(self, script: str) -> str:
        # However the script ends, but where the unpacking failed: then the papers say what was to be.
        # Mostly it has gone with the stage.
        desk = quote(f"{self._stage}/{self.desk}")
        trap = f"trap {quote(f'[ ! -e {desk} ] || rm -rf {desk}')} EXIT\n"
        if not self._bulky([script]):
            return trap + script
        script = f"set -eu\n{KEEP}{ADD}{LAP if self._timed else ''}{script}"
        self.papers.append(Paper(f"{self.desk}/script", script.encode("utf-8", "surrogateescape")))
        return f"{trap}sh {quote(f'{self._stage}/{self.desk}/script')}\n"

    def _paper(self, name: object, content: bytes, of: str = "") -> str:
        """The path of a new paper, relative to the root, quoted; one that others read as well is not ``of`` a path."""
        if self.supply and len(content) >= COMMON:
            # Its name says what is in it: hosts are alike only as far as that is.
            paper = Paper(f"{self.desk}/{hashlib.sha256(of.encode() + content).hexdigest()[:16]}", content)
            if paper not in self.common:
                self.common.append(paper)
        else:
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
                where, keep = named(path), self._keep(number, path, b"%06d\n" % limit, 0o600)
                later = f'[ "$there" -le {limit} ] || {exists(path)}'
                there = f'IFS= read -r there <{where} || :; case $there in ""|*[!0-9]*) ;; *) {later} ;; esac'
                return f"if [ -e {where} ]; then {there}; fi\n{keep}"
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
                made = f"mkdir -m {mode:o} {where}\n"
                return f"[ -d {where} ] || {made}" if may_exist else made
            case Write(path, data, mode, whole, base):
                if not whole and mode == 0o600 and inline(data):
                    return f"keep {named(path)} {quote(data.decode())} here\n"
                if base and base.content and "zstd-patch" in self._shell.tools:
                    return self._patch(number, operation, base)
                return self._keep(number, path, data, mode)
            case Append(path, data):
                return self._add(number, path, data)
            case Log(path, tell):
                return self._add(number, path, encoded(tell()), timed=self._timed)
            case Point(path, link):
                new = named(f"{path}.new")
                clear = f"if [ -e {new} ] || [ -L {new} ]; then rm -f {new}; fi\n"
                return f"{clear}ln -s -- {quote(link)} {new}\nmv -fT {new} {named(path)}\n"
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
            case Copy():
                return self._copy(number, operation) if operation.entries else ""
            case Verify(_, entries):
                files = [entry for entry in entries if entry.kind is Kind.FILE]
                if not files:
                    return ""
                plain = is_plain(files)
                found = f"{self._digests(number, operation, files, plain=plain)} | {self._shell.sha256}"
                wanted = expected_lines(files, self._summing(files)) if plain else expected(files)
                return f'found=$( {found} )\n[ "${{found%% *}}" = {wanted} ] || {{ echo {WRONG}; exit 0; }}\n'
            case _:
                raise TypeError(f"{operation} is no operation")

    def _fetch(self) -> str:
        """Commands that fetch what is put, see that it is that, and unpack it."""
        assert self.fetch
        assert self.put
        undo = self.fetch.compression.undo if self.fetch.compression else ""
        unpack = untar(self._shell, times=self.put.transfer.keeps_times, undo=undo)
        desk = f"{self._stage}/{self.desk}"
        parcel = quote(f"{desk}/parcel")
        return f"{fetching(desk, self._shell)}(cd {quote(self._stage)} && {unpack}) <{parcel}\nrm -f {parcel}\n"

    def _keep(self, number: int, path: str, data: bytes, mode: int) -> str:
        """Commands that make a file, or replace it, whole or not at all."""
        if not inline(data):
            # A paper is a file already, that nobody else may read, and that this alone needs.
            paper = self._paper(number, data, path)
            moved = f"mv -fT {paper} {named(path)}\n"
            return moved if mode == 0o600 else f"chmod {mode:o} {paper}\n{moved}"
        if mode == 0o600:
            return f"keep {named(path)} {quote(data.decode())}\n"
        new = named(f"{path}.new")
        return f"{self._print(number, data)} >{new}\nchmod {mode:o} {new}\nmv -fT {new} {named(path)}\n"

    def _print(self, number: int, data: bytes) -> str:
        """A command that prints ``data``.

        It is cat that writes: a shell may call a full disk nothing but an I/O error.
        """
        if not inline(data):
            return f"cat {self._paper(number, data)}"
        return f"printf %s {quote(data.decode())} | cat"

    def _add(self, number: int, path: str, line: bytes, *, timed: bool = False) -> str:
        """Commands that add ``line`` to a file; ``timed``: a record, with the script's laps at its end."""
        start, end = (line.removesuffix(b"}\n"), (f', "{LAPS}": "', '"}\n')) if timed else (line, ())
        added = f'{quote(end[0])}"$laps"{quote(end[1])}' if end else ""
        if inline(start):
            return f"add {named(path)} {quote(start.decode())}{added}\n"
        # By one command, so that it is one write.
        said = self._print(number, start)
        said = f'said=$( {said} ); printf %s "$said"{added} | cat' if added else said
        return f"umask 077\n{said} >>{named(path)}\numask 022\n"

    def _patch(self, number: int, write: Write, base: Base) -> str:
        """Commands that make a file of its base, or print that this cannot be."""
        new, paper = named(f"{write.path}.new"), self._paper(number, patch(base.content, write.data))
        made = f"zstd -dcq --patch-from={quote(base.path)} {paper} >{new} 2>/dev/null"
        mask = f"umask {0o777 & ~write.mode:03o}\n"
        return f"{mask}{made} || {{ echo {UNLIKE}; exit 0; }}\numask 022\nmv -fT {new} {named(write.path)}\n"

    def _summing(self, files: Sequence[Entry]) -> str:
        return self._shell.summing(sum(entry.size for entry in files))

    def _digests(self, number: int, verify: Verify, files: Sequence[Entry], *, plain: bool) -> str:
        """A command that prints the sha256 of each of ``files``, in order, one a line; ``plain`` names follow."""
        command = f"xargs -0 {self._summing(files)} 2>/dev/null" if plain else digests(self._shell.sha256)
        compute = f"(cd {quote(verify.directory)} && {command})"

        def part(first: int, last: int) -> str:
            some = files[first:last]
            return self._with_names(f"{number}-{first}", compute, some, "f", verify.listing, first=first, last=last)

        if len(files) < MANY:
            return part(0, len(files))
        half = len(files) // 2
        late = quote(f"{self._stage}/{self.desk}/{number}-digests")
        return f"{{ {part(half, len(files))} >{late} & {part(0, half)}; wait; cat {late}; }}"

    def _copy(self, number: int, copy: Copy) -> str:
        up = "/".join([".."] * (copy.source.count("/") + 1))
        command = copy_all(f"{up}/{copy.directory}", self._shell, link=copy.link)
        command = f"(cd {quote(copy.source)} && {command})"
        everything = self._with_names(f"{number}", command, copy.entries, "fs", copy.listing) + "\n"
        if not copy.spare or not copy.listing or not self._shell.spares:
            return everything
        others = self._paper(f"{number}-but", lines(copy.listing.others))
        desk = f"{self._stage}/{self.desk}"
        caught, left = catch_up(copy, others, desk), lacking(desk)
        base = quote(f"{self._stage}/spare")
        return (
            f"{caught}if caught 2>/dev/null; then\n[ ! -e {left} ] || {ended(left)} | {command}\n"
            f"else\nrm -rf {base} 2>/dev/null || :\n{everything}fi\n"
        )

    def _with_names(
        self,
        name: str,
        command: str,
        entries: Sequence[Entry],
        kinds: str,
        listing: Listing | None,
        *,
        first: int = 0,
        last: int = 0,
    ) -> str:
        """``command`` with the names of ``entries`` on its standard input.

        In ``listing``, where that pays, they are those of the ``kinds`` from ``first`` to before ``last``, 0 for all.
        """
        pays = listing and self._shell.lists and len(entries) >= max(MANY // 2, 2 * len(listing.others))
        if listing is None or not pays or any("\n" in entry.path for entry in (*entries, *listing.others)):
            return f"{command} <{self._paper(name, names(entries))}"
        others = names(listing.others).replace(b"\0", b"\n")
        left_out = self._paper(f"{name}-others", others) if others else ""
        return f"{listed(quote(listing.path), kinds, left_out, first=first + 1, last=last)} | {command}"


#: What a script prints for each kind.
LETTERS = {Kind.SYMLINK: "l", Kind.DIRECTORY: "d", Kind.FILE: "f", None: "o"}


def is_stage(operation: Operation, stage: str) -> bool:
    """Whether an operation makes ``stage``."""
    return isinstance(operation, MakeDirectory) and operation.path == stage


def letter_of(path: str, kinds: Mapping[str, Kind | None]) -> str:
    """What a script prints for what lies at ``path``."""
    return LETTERS[kinds[path]] if path in kinds else "n"


def named(path: str) -> str:
    """A path of a project's, quoted, as an argument that is no option."""
    return quote(f"./{path}" if path.startswith("-") else path)


def inline(data: bytes) -> bool:
    """Whether ``data`` can be part of a script. Not every login shell on the way leaves a backslash alone."""
    return len(data) <= INLINE and data.isascii() and b"\\" not in data and b"\0" not in data


def names(entries: Sequence[Entry]) -> bytes:
    """The paths of ``entries`` as ``xargs -0`` reads them. None of them can be taken for an option."""
    paths = [entry.path for entry in entries]
    return ("./" + "\0./".join(paths) + "\0").encode("utf-8", "surrogateescape") if paths else b""


def lines(entries: Sequence[Entry]) -> bytes:
    """The paths of ``entries``, one a line. Who has a line break in its name is two that are none."""
    return "".join([f"{entry.path}\n" for entry in entries]).encode("utf-8", "surrogateescape")


def expected(files: Sequence[Entry]) -> str:
    """The digest of the digests of ``files``, one a line, in hex."""
    digests = b"".join([entry.sha256 for entry in files])
    return hashlib.sha256(digests.hex("\n", 32).encode() + b"\n" * bool(files)).hexdigest()


def is_plain(files: Sequence[Entry]) -> bool:
    """Whether every program writes the names of ``files`` as they are: some escape a backslash and ends of lines."""
    return not any("\\" in entry.path or "\n" in entry.path or "\r" in entry.path for entry in files)


def expected_lines(files: Sequence[Entry], sha256: str) -> str:
    """The digest, in hex, of what the command ``sha256`` prints of ``files``, whose names are plain."""
    before = " *./" if sha256 == OPENSSL else "  ./"
    lines = [f"{entry.sha256.hex()}{before}{entry.path}\n" for entry in files]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def exists(path: str) -> str:
    """A command that says that there is something at ``path``, and fails."""
    return "{ echo " + quote(f"{path}: File exists") + " >&2; exit 1; }"


def missing(path: str) -> str:
    """A command that says that there is nothing at ``path``, and fails."""
    return "{ echo " + quote(f"{path}: No such file or directory") + " >&2; exit 1; }"
