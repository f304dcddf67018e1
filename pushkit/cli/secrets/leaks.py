"""Plaintext where everybody who has the project can read it: in its files, and in the history of its repository."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from pushkit.errors import SnapshotError
from pushkit.git import command, environment, git

CHUNK = 1 << 20
# Digits of the id of a commit that are shown.
SHORT = 7
# Bytes from which a line of a secret tells it.
TELLING = 12
# Where a commit's own words are said to stand.
MESSAGE = "the message of the commit"
# What no project has a use for in its repository, by what it is.
KEY = "a private key"
KEYS = {
    "an age identity": rb"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}",
    KEY: rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]{64}",
}


class Leak(NamedTuple):
    """``what`` stands in the file ``path``, as it is now, or, with a commit's id, as it was then."""

    what: str
    path: str
    commit: str = ""


class Patterns:
    """What to look for: ``values`` by name, as they are and in base64, and private keys."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._names = [*values, *KEYS]
        groups = ["|".join(re.escape(form).decode("latin-1") for form in forms(value)) for value in values.values()]
        groups += [pattern.decode("latin-1") for pattern in KEYS.values()]
        self._pattern = re.compile("|".join(f"({group})" for group in groups).encode("latin-1"))
        # So much of one piece is looked at again with the next one.
        self._overlap = max([256, *(len(form) for value in values.values() for form in forms(value))])

    def found(self, pieces: Iterable[bytes]) -> set[str]:
        """The names of what ``pieces`` of one file hold."""
        names: set[str] = set()
        before = b""
        for piece in pieces:
            window = before + piece
            # `lastindex` is the group that matched: none has groups within.
            names |= {self._names[(match.lastindex or 1) - 1] for match in self._pattern.finditer(window)}
            before = window[-self._overlap :]
        return names


def forms(value: str) -> set[bytes]:
    """How ``value`` would stand in a file; one of several lines is known by its longest too."""
    data = value.encode()
    line = max(value.splitlines(), key=len, default="").strip().encode()
    # A short line stands in many a file.
    return {data, base64.b64encode(data).rstrip(b"="), *([line] if len(line) >= TELLING else [])}


def in_files(root: Path, patterns: Patterns) -> Iterator[Leak]:
    """Leaks in the files that git has or would take, as they are now."""
    listed = git(str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode(
        "utf-8", "surrogateescape"
    )
    for name in sorted(set(listed.split("\0")) - {""}):
        path = root / name
        if path.is_symlink() or not path.is_file():
            continue
        with suppress(OSError), path.open("rb") as file:
            yield from (
                Leak(what, os.fsdecode(name)) for what in sorted(patterns.found(iter(lambda: file.read(CHUNK), b"")))
            )


def in_history(root: Path, patterns: Patterns) -> Iterator[Leak]:
    """Leaks in what was ever committed, on any branch, and in what was said of it; each content once, under the name it
    first had.
    """
    listed = git(str(root), "rev-list", "--all", "--objects", "--filter=object:type=blob", "--filter-provided-objects")
    blobs = dict(line.split(" ", 1) for line in listed.decode("utf-8", "surrogateescape").splitlines() if " " in line)
    blobs |= dict.fromkeys(git(str(root), "rev-list", "--all").decode().split(), MESSAGE)
    if not blobs:
        return
    found: dict[str, set[str]] = {}
    with tempfile.TemporaryFile() as asked:
        asked.writelines(f"{oid}\n".encode() for oid in blobs)
        asked.seek(0)
        with subprocess.Popen(
            command(str(root), "cat-file", "--batch", "--buffer"),
            env=environment(),
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout
            while header := process.stdout.readline():
                oid, kind, *size = header.decode().split()
                if kind != "missing":
                    found[oid] = patterns.found(content(process.stdout, int(size[0])))
                    process.stdout.read(1)
    for oid, names in found.items():
        for what in sorted(names):
            commit = oid[:SHORT] if blobs[oid] is MESSAGE else first_commit(root, oid)
            yield Leak(what, blobs[oid], commit)


def content(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """The next ``size`` bytes of ``stream``, in pieces."""
    while size and (piece := stream.read(min(size, CHUNK))):
        size -= len(piece)
        yield piece


def first_commit(root: Path, oid: str) -> str:
    """The oldest commit with the content ``oid``, short."""
    lines = git(str(root), "log", "--all", "--reverse", "--format=%h", f"--find-object={oid}").decode().split()
    return lines[0] if lines else "?"


def is_repository(root: Path) -> bool:
    """Whether ``root`` lies in a git work tree, and there is a git."""
    try:
        return git(str(root), "rev-parse", "--is-inside-work-tree").strip() == b"true"
    except SnapshotError:
        return False
