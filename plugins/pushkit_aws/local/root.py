"""`Root`: a directory that stands for ``/``, and out of which no symlink leads."""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path

from pushkit import TargetError

#: How many links are followed on the way to one file, as by the kernel (path_resolution(7)).
MOST_LINKS = 40


class Root:
    """The directory ``top`` as a root. Paths are absolute in it and normal: ``/var/www`` is ``TOP/var/www``.

    Links are followed as within chroot(2): an absolute one begins at ``top``, and none goes above it. Who changes links
    at the same time could still mislead it.
    """

    def __init__(self, top: Path) -> None:
        self.top = os.path.realpath(top)

    def place(self, path: str, *, follow: bool = False) -> str:
        """Where ``path`` is on this machine. Its parents' links are followed; its own with ``follow`` only."""
        done: list[str] = []
        rest = path.split("/")[::-1]
        links = 0
        while rest:
            part = rest.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                done[-1:] = []
                continue
            here = os.path.join(self.top, *done, part)
            if (rest and any(rest)) or follow:
                try:
                    text = os.readlink(here)
                except OSError:  # no link, or not there
                    done.append(part)
                    continue
                links += 1
                if links > MOST_LINKS:
                    raise TargetError(f"{path}: its symlinks lead in circles")
                if text.startswith("/"):
                    done.clear()
                rest += text.split("/")[::-1]
            else:
                done.append(part)
        return os.path.join(self.top, *done)

    def mode(self, path: str, *, follow: bool = False) -> int:
        """The kind and the permissions of what is there (``st_mode``), 0 when nothing is."""
        try:
            return os.lstat(self.place(path, follow=follow)).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def exists(self, path: str) -> bool:
        """Whether something is there, a link that leads nowhere included."""
        return self.mode(path) != 0

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there, or a link to one."""
        return stat.S_ISDIR(self.mode(path, follow=True))


def normal(path: str, here: str) -> str:
    """``path`` as an absolute one without ``.`` and ``..``; a relative one begins at ``here``."""
    whole = posixpath.normpath(posixpath.join(here, path))
    return "/" + whole.lstrip("/")
