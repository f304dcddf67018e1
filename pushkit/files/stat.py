"""What lies on a remote, as it says."""

from __future__ import annotations

import re
from typing import NamedTuple

from pushkit.files.errors import RemoteError
from pushkit.model import Kind


class Stat(NamedTuple):
    """What lies at a path, symlinks not followed. ``kind`` is None for devices and the like.

    ``name`` is the last component, not to be trusted. ``size`` in bytes, ``mode`` the nine permission bits, ``mtime``
    in seconds by the remote's clock, 0 where it does not say.
    """

    name: str
    kind: Kind | None
    mode: int
    size: int
    mtime: float = 0.0


class Found(NamedTuple):
    """What lies at a path: its `Stat`, the content of a file, the text of a symlink."""

    stat: Stat
    content: bytes = b""
    link: str = ""


def above(path: str) -> list[str]:
    """The directories that lead to ``path``, the outer ones first."""
    return [path[:at] for at, letter in enumerate(path) if letter == "/"]


def safe_name(name: str) -> str:
    """``name``, which came from a remote, if it is one path component; `RemoteError` if it is not."""
    if not name or name in {".", ".."} or "/" in name or "\0" in name:
        raise RemoteError(f"the target lists a file under the impossible name {name!r}; nothing was done with it")
    return name


def number_in(content: bytes) -> int:
    """The number in a file of a target, 0 where there is none: a machine that lost its power may leave it empty."""
    text = content.strip()
    return int(text) if re.fullmatch(rb"[0-9]{1,18}", text) else 0
