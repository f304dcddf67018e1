"""What a walk reads from a disk: the columns of a directory, the sha256 of a file.

Run as a program with a directory as its argument, it does so in a process of its own, for a `crew`. The program imports
nothing of pushkit, so that it starts in a few milliseconds. It says that it is ready, then answers requests from
standard input, in their order, until there are no more. A request is one byte that says what is asked, its length in
four bytes with the lowest first, and its content; an answer is its length and its content.

- `SCAN`: directories, as paths with a NUL between them; the answer is what `pack` makes of the columns of each.
- `DIGEST`: what `files` makes of files; the answer is their digests.

Paths count from the directory. Numbers are as the machine has them, for nobody else reads them.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
from array import array

TYPE_CHECKING = False  # as in typing, which takes longer to import than all of this program
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: What is in one directory: all names, sorted as bytes, with a NUL between them; for each file its size, mtime and
#: ctime in nanoseconds and inode, as signed 64-bit numbers (`FIELDS` of them), and its permissions, as unsigned
#: 16-bit numbers; for everything else its place among the names, as unsigned 32-bit numbers, and its mode.
Columns = tuple[bytes, bytes, bytes, bytes, bytes]

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Nobody but the program says this: what an interpreter of another kind may print is no answer.
READY = b"pushkit reader 1\n"
SCAN, DIGEST = b"s", b"d"
#: The bytes of a request or an answer that hold a length.
LENGTH = 4

FIELDS = 4
KEY = struct.Struct(f"{FIELDS}q").pack
#: What is kept of times and inodes: dates after 2262 have more nanoseconds than fit.
NUMBER = (1 << 63) - 1
FORMAT = 0o170000

#: Files up to this size, in bytes, are read at once.
SMALL = 1 << 16
SIZE = 32
#: The digest of a file that cannot be read; no file is known to have it.
NONE = bytes(SIZE)


def scan(path: str, directory: int | None = None) -> Columns:
    """The columns of the directory ``path``. What vanishes meanwhile was never there. Raises OSError."""
    # By descriptor, which spares the system the way down to the directory for each name.
    descriptor = os.open(path or ".", DIRECTORY, dir_fd=directory)
    try:
        names = os.listdir(descriptor)
        # The order of code points is that of the bytes, but for the surrogates that stand for bytes.
        names.sort(key=None if "".join(names).isascii() else os.fsencode)
        try:
            stats = [os.stat(name, dir_fd=descriptor, follow_symlinks=False) for name in names]
        except FileNotFoundError:
            found = [(name, look) for name in names for look in looks(name, descriptor)]
            names, stats = [name for name, _ in found], [look for _, look in found]
    finally:
        os.close(descriptor)
    return columns(names, stats)


def looks(name: str, directory: int) -> Iterator[os.stat_result]:
    """The stat of ``name``; nothing when it is gone."""
    try:
        yield os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return


def columns(names: Sequence[str], stats: list[os.stat_result]) -> Columns:
    """The columns of what is called ``names`` and looks like ``stats``."""
    modes = [look.st_mode for look in stats]
    others: list[int] = []
    if any(mode & FORMAT != stat.S_IFREG for mode in set(modes)):
        others = [at for at, mode in enumerate(modes) if mode & FORMAT != stat.S_IFREG]
    other_modes = array("H", [modes[at] for at in others])
    for at in reversed(others):
        del stats[at], modes[at]
    try:
        keys = [KEY(look.st_size, look.st_mtime_ns, look.st_ctime_ns, look.st_ino) for look in stats]
    except struct.error:
        numbers = [(look.st_size, look.st_mtime_ns, look.st_ctime_ns, look.st_ino) for look in stats]
        keys = [KEY(*(number & NUMBER for number in each)) for each in numbers]
    permissions = array("H", [mode & 0o777 for mode in modes])
    joined = os.fsencode("\0".join(names))
    return joined, b"".join(keys), permissions.tobytes(), array("I", others).tobytes(), other_modes.tobytes()


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


def files(paths: Sequence[str], sizes: Sequence[int]) -> bytes:
    """The files of a request, with the sizes in bytes that they are said to have."""
    return len(paths).to_bytes(LENGTH, "little") + array("q", sizes).tobytes() + os.fsencode("\0".join(paths))


class Hasher:
    """Reads files, whose paths count from the open ``directory`` (a descriptor), or the current one.

    ``check`` is called now and then during the reading of a large file, and ends the work by raising.
    """

    def __init__(self, directory: int | None = None, check: Callable[[], None] | None = None) -> None:
        from hashlib import sha256  # noqa: PLC0415  (who only scans need not load it)

        self._sha256 = sha256
        self._directory = directory
        self._check = check
        # Always the same buffer: most files fit, and to get memory for each costs more than to hash it.
        self._buffer = memoryview(bytearray(1 << 18))

    def digest(self, path: bytes | str, size: int) -> bytes:
        """The sha256 of a file of ``size`` bytes. A link is not followed. Raises OSError.

        A file that grew or shrank has some digest or other, which its content will not have when it is sent.
        """
        buffer = self._buffer
        descriptor = os.open(path, READ, dir_fd=self._directory)
        try:
            got = os.readv(descriptor, [buffer])
            found = self._sha256(buffer[:got])
            # A read may be short anywhere but at the end: that is how some file systems in user space work.
            while got < size and (more := os.readv(descriptor, [buffer])):
                if self._check:
                    self._check()
                found.update(buffer[:more])
                got += more
            return found.digest()
        finally:
            os.close(descriptor)

    def answer(self, request: bytes) -> bytes:
        """The digests of `files`; `NONE` for one that cannot be read."""
        count = int.from_bytes(request[:LENGTH], "little")
        end = LENGTH + count * 8
        paths, sizes = request[end:].split(b"\0"), array("q", request[LENGTH:end])
        found = []
        # Most files are small: these are read without as much as a call of a method.
        opened, read, close, sha256, directory = os.open, os.read, os.close, self._sha256, self._directory
        for path, size in zip(paths, sizes, strict=True):
            try:
                descriptor = opened(path, READ, dir_fd=directory)
                try:
                    data = read(descriptor, min(size, SMALL))
                finally:
                    close(descriptor)
                found.append(sha256(data).digest() if len(data) == size else self.digest(path, size))
            except OSError:
                found.append(NONE)
        return b"".join(found)


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
