"""What lies below a directory of this machine."""

from __future__ import annotations

import os
from pathlib import Path

STATE = {".push", ".htpush"}


def read(root: Path) -> dict[str, bytes]:
    """The content of each file below ``root`` but push's own, by path."""
    found: dict[str, bytes] = {}
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in STATE]
        found |= {
            str((Path(directory) / name).relative_to(root)): (Path(directory) / name).read_bytes() for name in files
        }
    return found


def lying(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every path below ``root``: its mode, its size, and when it was changed, in nanoseconds."""
    looks = {str(path.relative_to(root)): path.lstat() for path in root.rglob("*")}
    return {path: (look.st_mode, look.st_size, look.st_mtime_ns) for path, look in looks.items()}
