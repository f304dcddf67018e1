"""sha256 of many files. Run as a program, it does so in a process of its own.

Two threads hash small files slower than one does; two processes are almost twice as fast. The program imports
nothing of pushkit, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress

TYPE_CHECKING = False  # as in typing, which takes longer to import than all of this program
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SIZE = 32
#: What a process says of a file that it could not read; no file is known to have this digest.
NONE = bytes(SIZE)
#: Fewer files are hashed sooner than another process has started.
WORTHWHILE = 4000
PROCESSES = 4

buffer = memoryview(bytearray(1 << 18))


def digest(path: bytes | str, directory: int | None = None) -> bytes:
    """The sha256 of a file; ``path`` counts from the open ``directory``. A link is not followed. Raises OSError."""
    descriptor = os.open(path, READ, dir_fd=directory)
    try:
        # Always the same buffer: most files fit, and to get memory for each costs more than to hash it.
        size = os.readv(descriptor, [buffer])
        found = hashlib.sha256(buffer[:size])
        while size == len(buffer):
            size = os.readv(descriptor, [buffer])
            found.update(buffer[:size])
        return found.digest()
    finally:
        os.close(descriptor)


def digests(root: str, paths: Sequence[str], check: Callable[[], None]) -> list[bytes]:
    """The sha256 of each of ``paths`` below ``root``, empty for one that cannot be read.

    ``check`` is called now and then, and ends the work by raising.
    """
    count = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, PROCESSES)
    if len(paths) < WORTHWHILE or not sys.executable:
        count = 1
    shares = [paths[start::count] for start in range(count)]
    helpers = [start(root, share) for share in shares[1:]]
    try:
        found = [here(root, shares[0], check), *(collect(*each) for each in zip(helpers, shares[1:], strict=True))]
    finally:
        for helper in helpers:
            helper.kill()
            helper.wait()
            if helper.stdout:
                helper.stdout.close()
    out = [b""] * len(paths)
    for start_at, share in enumerate(found):
        out[start_at::count] = share
    return out


def here(root: str, paths: Sequence[str], check: Callable[[], None]) -> list[bytes]:
    """The share of this process."""
    found = []
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number, path in enumerate(paths):
            if number % 256 == 0:
                check()
            try:
                found.append(digest(path, directory))
            except OSError:
                found.append(b"")
    finally:
        os.close(directory)
    return found


def start(root: str, paths: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process that hashes ``paths``."""
    import subprocess  # noqa: PLC0415  (seldom needed, and slow to import)

    helper = subprocess.Popen(
        (sys.executable, "-I", "-S", __file__),
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert helper.stdin
    # One that ends early says nothing, and whoever asked reads the files again.
    with suppress(BrokenPipeError), helper.stdin as stdin:
        stdin.write(os.fsencode("\0".join(paths)))
    return helper


def collect(helper: subprocess.Popen[bytes], paths: Sequence[str]) -> list[bytes]:
    """What a process found; empty for what it could not read or did not come to say."""
    assert helper.stdout
    data = helper.stdout.read().ljust(SIZE * len(paths), b"\0")
    found = [data[at : at + SIZE] for at in range(0, SIZE * len(paths), SIZE)]
    return [b"" if each == NONE else each for each in found]


def main() -> None:
    """Read paths from standard input, with a NUL between them, and write their digests, each 32 bytes."""

    def one(path: bytes) -> bytes:
        try:
            return digest(path)
        except OSError:
            return NONE

    sys.stdout.buffer.write(b"".join(map(one, sys.stdin.buffer.read().split(b"\0"))))


if __name__ == "__main__":
    main()
