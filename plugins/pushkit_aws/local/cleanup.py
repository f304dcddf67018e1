"""The cleanup file of a deployment group: what its last deployment made, a path a line, and removing it again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from pushkit_aws.local.root import Root

CONTEXT = "semanage\0"


def parsed(text: str) -> tuple[str, ...]:
    """The paths in the order in which they go: the last made first. A last line without its end was never completed."""
    lines = text.split("\n")[:-1]
    return tuple(line for line in reversed(lines) if line.startswith("/") and not line.startswith(CONTEXT))


def contexts(text: str) -> tuple[str, ...]:
    """The paths whose SELinux rule goes."""
    return tuple(line.removeprefix(CONTEXT) for line in text.split("\n")[:-1] if line.startswith(CONTEXT))


def gone(paths: Sequence[str], root: Root) -> Iterator[str]:
    """Which of ``paths`` a cleanup removes: a directory only if nothing is left in it by then."""
    removed: set[str] = set()
    for path in paths:
        mode = root.mode(path)
        if not mode or path in removed:
            continue
        if stat.S_ISDIR(mode):
            left = {f"{path.rstrip('/')}/{name}" for name in os.listdir(root.place(path))} - removed
            if left:
                continue
        removed.add(path)
        yield path


def remove(path: str, root: Root) -> None:
    """Remove a file, a link or an empty directory."""
    place = root.place(path)
    if stat.S_ISDIR(os.lstat(place).st_mode):
        os.rmdir(place)
    else:
        os.unlink(place)
