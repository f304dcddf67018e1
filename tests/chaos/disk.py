"""A small file system of a test's own, which can be filled to the last block or inode, or made read-only."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

SIZE, INODES = 4 * 1024 * 1024, 800
# <sys/mount.h>. The program mount(8) would take longer than a push by `dir`.
MS_RDONLY, MS_REMOUNT = 1, 32


class Disk:
    """A tmpfs, mounted by `mount` until it is left. Only root may do that: elsewhere the test is skipped."""

    def __init__(self) -> None:
        self._root = Path()
        self._ballast = Path()
        self._files = 0
        self._mounted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mounted:
            subprocess.run(["umount", "--lazy", self._root], check=True)

    def mount(self, root: Path) -> None:
        """Mount it at ``root``, with the directory ``site`` of the same owner in it."""
        if os.geteuid() != 0:
            pytest.skip("only root can mount a small file system")
        root.mkdir(exist_ok=True)
        owner = root.stat()
        options = f"size={SIZE},nr_inodes={INODES},uid={owner.st_uid},gid={owner.st_gid},mode=755"
        command = ["mount", "-t", "tmpfs", "-o", options, "push-test", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no small file system can be mounted here: {done.stderr}")
        self._mounted = True
        self._root, self._ballast = root, root / "ballast"
        (root / "site").mkdir()
        os.chown(root / "site", owner.st_uid, owner.st_gid)

    @property
    def bytes_left(self) -> int:
        """How many bytes are free."""
        found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize

    @property
    def inodes_left(self) -> int:
        """How many inodes are free."""
        return os.statvfs(self._root).f_favail

    def fill(self, left: int) -> None:
        """Leave so many bytes, or what is free already."""
        self._ballast.mkdir(exist_ok=True)
        with (self._ballast / "bytes").open("ab") as file, suppress(OSError):
            # As long as others write, what is free changes.
            while (more := self.bytes_left - left) > 0:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, more)

    def use_inodes(self, left: int) -> None:
        """Leave so many inodes, or what is free already."""
        self._ballast.mkdir(exist_ok=True)
        with suppress(OSError):
            while self.inodes_left > left:
                self._files += 1
                (self._ballast / str(self._files)).touch()

    def protect(self) -> None:
        """Make it read-only, as soon as no file is open for writing."""
        end = time.monotonic() + 10
        while not self._remount(MS_RDONLY) and time.monotonic() < end:
            time.sleep(0.0001)

    def relieve(self) -> None:
        """Undo all of it."""
        self._remount(0)
        shutil.rmtree(self._ballast, ignore_errors=True)

    def _remount(self, flags: int) -> bool:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.mount(None, os.fsencode(self._root), None, MS_REMOUNT | flags, None) == 0)
