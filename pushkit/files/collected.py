"""`collected`: what lies on a target, as the script of `scripts.collect` printed it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from sys import intern

from pushkit import manifest
from pushkit.archive import members
from pushkit.files.errors import RemoteError
from pushkit.files.scripts import ALL
from pushkit.files.stat import Found, Stat
from pushkit.model import Kind

#: An amount that a tool prints; a longer one is none.
NUMBER = re.compile("[0-9]{1,18}")
LETTERS = {"l": Kind.SYMLINK, "d": Kind.DIRECTORY, "f": Kind.FILE}


def collected(output: bytes, root: str, known: Collection[str]) -> tuple[dict[str, Found], int | None]:
    """What the script of `collect` printed, and how many bytes are free. Raises `RemoteError` when it was cut off.

    ``known`` are the digests that it was given.
    """
    if not output:
        return {}, None
    if not output.endswith(f"{ALL}\n".encode()):
        raise RemoteError(f"{root}: what the target sent was cut off", hint="push again")
    # The archive may be long, and is read where it lies.
    at = output.find(b"\n\n")
    lines = output[:at]
    found: dict[str, Found] = {}
    free = None
    for line in lines.decode("utf-8", "surrogateescape").split("\n"):
        letter, _, path = line.partition(" ")
        if letter == "s":
            free = int(path) * 1024 if NUMBER.fullmatch(path) else free
        elif letter == "k":
            digest, _, path = path.partition(" ")
            if digest in known:
                found[path] = Found(Stat(path.rpartition("/")[2], Kind.FILE, 0, 0), manifest.head(digest))
        elif path:
            name = intern(path.rpartition("/")[2])
            found["" if path == "." else intern(path)] = Found(Stat(name, LETTERS.get(letter), 0, 0))
    if at + 2 + len(ALL) + 1 == len(output):
        return found, free
    try:
        for each in members(output, at + 2):
            # The names are those of each host of a fleet, of which there are hundreds.
            stat = Stat(intern(each.name.rpartition("/")[2]), each.kind, each.mode, each.size, each.mtime)
            found[intern(each.name)] = Found(stat, each.content, each.link)
    except ValueError as error:
        raise RemoteError(f"{root}: what the target sent cannot be read ({error})", hint="push again") from error
    return found, free


def linked(found: Mapping[str, Found]) -> dict[str, Found]:
    """Those of ``found`` that tar took for hard links, as what they are links to.

    They may be none: tar knows a file by its number, which on some file systems the next file gets when that is
    removed. Only when they stay links in one look after the other they are.
    """
    links = {path: each.link for path, each in found.items() if each.stat.kind is None and each.link}
    return {
        path: found[to]._replace(stat=found[to].stat._replace(name=found[path].stat.name))
        for path, to in links.items()
        if to in found
    }
