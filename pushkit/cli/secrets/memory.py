"""A directory in memory, for what must never reach a disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pushkit.errors import SecretError

# Where a system has file systems in memory: the user's own first.
PLACES = (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", "/run/shm")  # noqa: S108  (it is what is wanted)
KINDS = {"tmpfs", "ramfs"}


@contextmanager
def in_memory() -> Iterator[Path]:
    """A directory that only its owner may enter, gone afterwards, also when this process is killed.

    Raises `SecretError` where there is no file system in memory.
    """
    parent = next((place for place in PLACES if place and kind_of(place) in KINDS and os.access(place, os.W_OK)), "")
    if not parent:
        raise SecretError(
            "there is no file system in memory here, and secrets must not lie on a disk",
            hint="change one at a time: push secrets set NAME",
        )
    directory = Path(tempfile.mkdtemp(prefix="push-", dir=parent))
    # It waits until this process has gone, however that comes, and clears up. Ctrl-C is not for it.
    undertaker = subprocess.Popen(
        ["/bin/sh", "-c", 'cat; rm -rf -- "$1"', "sh", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        assert undertaker.stdin
        undertaker.stdin.close()
        undertaker.wait()


def kind_of(path: str) -> str:
    """The kind of the file system that ``path`` is the mount point of, or lies on (proc(5)); empty when not known."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    mounts = [(where.encode().decode("unicode_escape"), kind) for _, where, kind, *_ in map(str.split, lines)]
    path = os.path.realpath(path)
    above = [(where, kind) for where, kind in mounts if Path(path).is_relative_to(where)]
    # The last mount at the longest path is the one that shows.
    return max(enumerate(above), key=lambda each: (len(each[1][0]), each[0]))[1][1] if above else ""
