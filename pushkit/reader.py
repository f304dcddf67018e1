"""What a walk reads from a disk: the columns of a directory, the facts of files, their sha256 among them.

Run as a program with a directory as its argument, it does so in a process of its own, for a `crew`. The program imports
nothing of pushkit, so that it starts in a few milliseconds. It says that it is ready, then answers requests from
standard input, in their order, until there are no more. A request is one byte that says what is asked, its length in
four bytes with the lowest first, and its content; an answer is its length and its content.

- `SCAN`: directories, as paths with a NUL between them; the answer is what `pack` makes of the columns of each.
- `FACTS`: files, as paths with a NUL between them; the answer is what `Hasher.answer` says of them.

Paths count from the directory. Numbers are as the machine has them, for nobody else reads them.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
from array import array

TYPE_CHECKING = False  # as in typing, which takes longer to import than all of this program
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from hashlib import _Hash as HASH
    from typing import Protocol

    class Blocks(Protocol):
        """Who finds the digests of blocks: see `pushkit.blocks`."""

        def update(self, piece: bytes | memoryview, /) -> None:
            """Take what comes next."""

        def digests(self) -> list[bytes]:
            """Those of what was taken."""


#: What is in one directory: all names, sorted as bytes, with a NUL between them; for each file its size, mtime and
#: ctime in nanoseconds and inode, as signed 64-bit numbers (`FIELDS` of them), and its permissions, as unsigned
#: 16-bit numbers; for everything else its place among the names, as unsigned 32-bit numbers, and its mode. Of files
#: that were not looked at there is nothing but the name.
Columns = tuple[bytes, bytes, bytes, bytes, bytes]

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Nobody but the program says this: what an interpreter of another kind may print is no answer.
READY = b"pushkit reader 1\n"
SCAN, FACTS = b"s", b"f"
#: The bytes of a request or an answer that hold a length.
LENGTH = 4

FIELDS = 4
PACKED = struct.Struct(f"{FIELDS}q").pack
KEY = 8 * FIELDS
PERMISSIONS = 2
#: What is kept of times and inodes: dates after 2262 have more nanoseconds than fit.
NUMBER = (1 << 63) - 1
FORMAT = 0o170000

#: Files up to this size, in bytes, are read at once.
SMALL = 1 << 16
SIZE = 32
#: The digest of a file that cannot be read; no file is known to have it.
NONE = bytes(SIZE)
UNREADABLE = (bytes(KEY), 0, NONE)


def scan(path: str, directory: int | None = None, *, look: bool = True) -> Columns:
    """The columns of the directory ``path``; without a look at its files, which somebody is going to open anyway.

    What vanishes meanwhile was never there. Raises OSError.
    """
    # By descriptor, which spares the system the way down to the directory for each name.
    descriptor = os.open(path or ".", DIRECTORY, dir_fd=directory)
    try:
        if look:
            names = os.listdir(descriptor)
            others: list[str] = []
        else:
            with os.scandir(descriptor) as found:
                entries = list(found)
            names = [each.name for each in entries]
            others = [each.name for each in entries if not each.is_file(follow_symlinks=False)]
        # The order of code points is that of the bytes, but for the surrogates that stand for bytes.
        names.sort(key=None if "".join(names).isascii() else os.fsencode)
        if not look:
            return unlooked(names, {name: mode for name in others for mode in modes(name, descriptor)}, others)
        try:
            stats = [os.stat(name, dir_fd=descriptor, follow_symlinks=False) for name in names]
        except FileNotFoundError:
            pairs = [(name, stat) for name in names for stat in looks(name, descriptor)]
            names, stats = [name for name, _ in pairs], [stat for _, stat in pairs]
    finally:
        os.close(descriptor)
    return columns(names, stats)


def looks(name: str, directory: int) -> Iterator[os.stat_result]:
    """The stat of ``name``; nothing when it is gone."""
    try:
        yield os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return


def modes(name: str, directory: int) -> Iterator[int]:
    """The mode of ``name``; nothing when it is gone."""
    for look in looks(name, directory):
        yield look.st_mode


def unlooked(names: list[str], others: dict[str, int], dropped: Sequence[str]) -> Columns:
    """The columns of what is called ``names``: files, but for ``others`` with their modes."""
    if len(others) < len(dropped):
        gone = set(dropped).difference(others)
        names = [name for name in names if name not in gone]
    places = {at: others[name] for at, name in enumerate(names) if name in others} if others else {}
    joined = os.fsencode("\0".join(names))
    return joined, b"", b"", array("I", places).tobytes(), array("H", places.values()).tobytes()


def columns(names: Sequence[str], stats: list[os.stat_result]) -> Columns:
    """The columns of what is called ``names`` and looks like ``stats``."""
    modes = [look.st_mode for look in stats]
    others: list[int] = []
    if any(mode & FORMAT != stat.S_IFREG for mode in set(modes)):
        others = [at for at, mode in enumerate(modes) if mode & FORMAT != stat.S_IFREG]
    other_modes = array("H", [modes[at] for at in others])
    for at in reversed(others):
        del stats[at], modes[at]
    keys = [key(look) for look in stats]
    permissions = array("H", [mode & 0o777 for mode in modes])
    joined = os.fsencode("\0".join(names))
    return joined, b"".join(keys), permissions.tobytes(), array("I", others).tobytes(), other_modes.tobytes()


def key(look: os.stat_result) -> bytes:
    """What tells a file from one that was written since: the numbers of `Columns`."""
    try:
        return PACKED(look.st_size, look.st_mtime_ns, look.st_ctime_ns, look.st_ino)
    except struct.error:
        numbers = (look.st_size, look.st_mtime_ns, look.st_ctime_ns, look.st_ino)
        return PACKED(*(number & NUMBER for number in numbers))


def pack(found: Columns | None) -> bytes:
    """The columns of a directory as one string; none stands for a directory that cannot be read."""
    if found is None:
        return array("I", (0, 0, 0, 0, 0)).tobytes()
    # A directory without a name has lengths of 0 as well: the first is one more than it is.
    names, *rest = map(len, found)
    return b"".join((array("I", (names + 1, *rest)).tobytes(), *found))


def unpack(data: bytes) -> Iterator[Columns | None]:
    """The columns of each directory in what `pack` made of several."""
    at = 0
    head = 5 * array("I").itemsize
    while at < len(data):
        lengths = array("I", data[at : at + head])
        at += head
        if not lengths[0]:
            yield None
            continue
        lengths[0] -= 1
        parts = []
        for length in lengths:
            parts.append(data[at : at + length])
            at += length
        yield parts[0], parts[1], parts[2], parts[3], parts[4]


class Hasher:
    """Reads files, whose paths count from the open ``directory`` (a descriptor), or the current one.

    ``check`` is called now and then during the reading of a large file, and ends the work by raising. Whose blocks
    ``large`` wants, by their size, are in ``blocks`` then, by the digest of the whole.
    """

    def __init__(
        self,
        directory: int | None = None,
        check: Callable[[], None] | None = None,
        large: Callable[[int], Blocks | None] | None = None,
    ) -> None:
        from hashlib import sha256  # noqa: PLC0415  (who only scans need not load it)

        self._sha256 = sha256
        self._directory = directory
        self._check = check
        self._large = large
        self._buffer = memoryview(bytearray(1 << 18))
        self.blocks: dict[bytes, list[bytes]] = {}

    def facts(self, path: bytes | str) -> tuple[bytes, int, bytes]:
        """The key of a file, its permissions and its sha256. A link is not followed. Raises OSError.

        The key is taken before the content is read. A file that grows meanwhile has the digest of its beginning, which
        its content will not have when it is sent.
        """
        descriptor = os.open(path, READ, dir_fd=self._directory)
        try:
            look = os.fstat(descriptor)
            if look.st_mode & FORMAT != stat.S_IFREG:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            size = look.st_size
            # Most files are small.
            data = os.read(descriptor, size if size < SMALL else SMALL)
            found = self._sha256(data)
            if len(data) < size:
                if self._large and (blocks := self._large(size)):
                    self._read_both(descriptor, found, blocks, data, size - len(data))
                    self.blocks[found.digest()] = blocks.digests()
                else:
                    self._read_on(descriptor, found, size - len(data))
        finally:
            os.close(descriptor)
        return key(look), look.st_mode & 0o777, found.digest()

    def answer(self, request: bytes) -> bytes:
        """The keys of files, then their permissions, then their digests; `NONE` for one that cannot be read."""
        keys, permissions, digests = [], array("H"), []
        facts = self.facts
        for path in request.split(b"\0"):
            try:
                found = facts(path)
            except OSError:
                found = UNREADABLE
            keys.append(found[0])
            permissions.append(found[1])
            digests.append(found[2])
        return b"".join((*keys, permissions.tobytes(), *digests))

    def _read_on(self, descriptor: int, found: HASH, left: int) -> None:
        """Hash what is left of a file."""
        # Always the same buffer: to get memory for each piece costs more than to hash it. A read may be short anywhere
        # but at the end: that is how some file systems in user space work.
        buffer = self._buffer
        while left > 0 and (got := os.readv(descriptor, [buffer[: min(left, len(buffer))]])):
            if self._check:
                self._check()
            found.update(buffer[:got])
            left -= got

    def _read_both(self, descriptor: int, found: HASH, blocks: Blocks, data: bytes, left: int) -> None:
        """Hash what is left of a large file, and all its blocks beside, of which ``data`` is the first."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (few projects have large files)

        # Much at a time: to wait for each other takes as long as to hash some 100 KiB.
        this, other = (memoryview(bytearray(1 << 23)) for _ in range(2))
        with ThreadPoolExecutor(1, thread_name_prefix="blocks") as pool:
            beside = pool.submit(blocks.update, data)
            while left > 0 and (got := os.readv(descriptor, [this[: min(left, len(this))]])):
                if self._check:
                    self._check()
                beside.result()
                beside = pool.submit(blocks.update, this[:got])
                found.update(this[:got])
                left -= got
                this, other = other, this
            beside.result()


def scan_all(request: bytes) -> bytes:
    """The columns of directories, packed."""
    answers = []
    for path in os.fsdecode(request).split("\0"):
        try:
            answers.append(pack(scan(path)))
        except OSError:
            answers.append(pack(None))
    return b"".join(answers)


def main() -> None:
    """Answer until there are no more requests."""
    os.chdir(sys.argv[1])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    hasher = None
    while kind := requests.read(1):
        request = requests.read(int.from_bytes(requests.read(LENGTH), "little"))
        if kind == SCAN:
            answer = scan_all(request)
        else:
            hasher = hasher or Hasher()
            answer = hasher.answer(request)
        answers.write(len(answer).to_bytes(LENGTH, "little") + answer)
        answers.flush()


if __name__ == "__main__":
    main()
