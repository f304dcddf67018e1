"""sha256 of many files. Run as a program, it does so in a process of its own, for a `crew`.

The program imports nothing of pushkit, so that it starts in a few milliseconds. It says that it is ready, then answers
requests from standard input until there are no more. A request is its length, four bytes with the lowest first, and
paths with a NUL between them, which count from the current directory; the answer is their digests.
"""

from __future__ import annotations

import hashlib
import os
import sys

TYPE_CHECKING = False  # as in typing, which takes longer to import than all of this program
if TYPE_CHECKING:
    from collections.abc import Callable

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SIZE = 32
#: The digest of a file that cannot be read; no file is known to have it.
NONE = bytes(SIZE)
#: Nobody but the program says this: what an interpreter of another kind may print is no digest.
READY = b"pushkit hasher 1\n"
#: The bytes of a request that hold its length.
LENGTH = 4


class Hasher:
    """Reads files, whose paths count from the open ``directory`` (a descriptor), or the current one.

    ``check`` is called now and then during the reading of a large file, and ends the work by raising.
    """

    def __init__(self, directory: int | None = None, check: Callable[[], None] | None = None) -> None:
        self._directory = directory
        self._check = check
        # Always the same buffer: most files fit, and to get memory for each costs more than to hash it.
        self._buffer = memoryview(bytearray(1 << 18))

    def digest(self, path: bytes | str) -> bytes:
        """The sha256 of a file. A link is not followed. Raises OSError."""
        buffer = self._buffer
        descriptor = os.open(path, READ, dir_fd=self._directory)
        try:
            size = os.readv(descriptor, [buffer])
            found = hashlib.sha256(buffer[:size])
            while size == len(buffer):
                if self._check:
                    self._check()
                size = os.readv(descriptor, [buffer])
                found.update(buffer[:size])
            return found.digest()
        finally:
            os.close(descriptor)

    def answer(self, paths: bytes) -> bytes:
        """The digests of files whose paths have a NUL between them; `NONE` for one that cannot be read."""
        found = []
        for path in paths.split(b"\0"):
            try:
                found.append(self.digest(path))
            except OSError:
                found.append(NONE)
        return b"".join(found)


def main() -> None:
    """Answer until there are no more requests."""
    hasher = Hasher()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    while length := requests.read(LENGTH):
        answers.write(hasher.answer(requests.read(int.from_bytes(length, "little"))))
        answers.flush()


if __name__ == "__main__":
    main()
