"""Trees of files, the same for every run: of small files, of a mix, of one file; and what changes in them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

IN_DIRECTORY = 40
PIECE = 1 << 20
#: What is on a target and not of the tree.
OWN = {".push", ".htpush", ".git-ftp.log"}
WORDS = (
    "admin",
    "api",
    "auth",
    "cache",
    "client",
    "config",
    "core",
    "data",
    "forms",
    "handlers",
    "index",
    "jobs",
    "lib",
    "main",
    "models",
    "parser",
    "queue",
    "report",
    "schema",
    "service",
    "static",
    "task",
    "test",
    "types",
    "user",
    "utils",
    "views",
    "widget",
    "worker",
)
ENDS = (".py", ".js", ".ts", ".html", ".css", ".md", ".json", ".txt", ".go", ".png")
#: The parts of a mix: how much of it they are, the mean size of their files, and whether they are text.
MIX = ((0.1, 4096, True), (0.3, 100_000, False), (0.3, 1_500_000, True), (0.3, 15_000_000, False))


def make_small(top: Path, count: int, seed: int = 1) -> None:
    """``count`` files of 4 KiB on average, log-normal, about forty in a directory."""
    chance = random.Random(seed)
    data = chance.randbytes(1 << 20)
    directories = [top]
    for number in range(-(-count // IN_DIRECTORY)):
        parent = chance.choice(directories[-200:])
        directory = parent / f"{chance.choice(WORDS)}_{number}" if len(parent.parts) < 14 else top / f"pkg_{number}"
        directory.mkdir(parents=True)
        directories.append(directory)
        for each in range(min(IN_DIRECTORY, count - number * IN_DIRECTORY)):
            size = min(int(chance.lognormvariate(7.82, 1.0)), 500_000)
            start = chance.randrange(len(data) - size)
            name = f"{chance.choice(WORDS)}_{chance.choice(WORDS)}_{each}{chance.choice(ENDS)}"
            (directory / name).write_bytes(data[start : start + size])


def make_mixed(top: Path, size: int) -> None:
    """Sources, pictures, bundles and archives: ``size`` bytes in all, 4 of 10 of them text."""
    chance = random.Random(2)
    noise = chance.randbytes(1 << 20)
    text = " ".join(chance.choices(WORDS, k=150_000)).encode()
    for kind, (part, mean, plain) in enumerate(MIX):
        source = text if plain else noise
        count = max(1, round(size * part / mean))
        for number in range(count):
            directory = top / f"{WORDS[kind]}" / f"{WORDS[number // IN_DIRECTORY % len(WORDS)]}"
            directory.mkdir(parents=True, exist_ok=True)
            start = chance.randrange(len(source) // 2)
            each = min(mean, int(size * part / count))
            content = (source[start:] + source * (each // len(source) + 1))[:each]
            (directory / f"file_{number}{ENDS[kind]}").write_bytes(content)


def make_one(top: Path, size: int) -> None:
    """One file of ``size`` random bytes."""
    top.mkdir()
    with (top / "archive.bin").open("wb") as file:
        for start in range(0, size, PIECE):
            file.write(os.urandom(min(PIECE, size - start)))


def measured(top: Path) -> tuple[int, int]:
    """How many files there are below a directory, and their size together, without those that a push keeps there."""
    count = size = 0
    pending = [str(top)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name in OWN:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_size
    return count, size


@dataclass
class Tree:
    """What is pushed: the files below ``top``, and the parts of them that changed last: path, start, size."""

    top: Path
    changed: Sequence[tuple[str, int, int]] = ()
    _chance: random.Random = field(default_factory=lambda: random.Random(3))

    @cached_property
    def total(self) -> tuple[int, int]:
        """How many files, and how many bytes."""
        return measured(self.top)

    @cached_property
    def _paths(self) -> Sequence[str]:
        return sorted(self._files())

    def _files(self) -> Iterator[str]:
        for at, _, names in os.walk(self.top):
            for name in names:
                yield os.path.relpath(os.path.join(at, name), self.top)

    def append(self, count: int) -> None:
        """Change ``count`` files anywhere; they grow."""
        paths = self._chance.sample(self._paths, min(count, len(self._paths)))
        self.changed = [(path, (self.top / path).stat().st_size, 1) for path in paths]
        for path in paths:
            with (self.top / path).open("ab") as file:
                file.write(b"#")
        self.__dict__.pop("total", None)

    def overwrite(self, size: int) -> None:
        """Change so many bytes in the midst of the largest file; it stays as long as it is."""
        path = max(self._paths, key=lambda path: (self.top / path).stat().st_size)
        start = self._chance.randrange((self.top / path).stat().st_size - size)
        with (self.top / path).open("r+b") as file:
            file.seek(start)
            file.write(os.urandom(size))
        self.changed = [(path, start, size)]

    def missing(self, arrived: Path) -> str:
        """What of it did not arrive below a directory; empty when all did."""
        found = measured(arrived)
        if found != self.total:
            return f"{found[0]} files of {found[1]} bytes arrived, not {self.total[0]} of {self.total[1]}"
        old = [path for path, *part in self.changed if read(self.top / path, *part) != read(arrived / path, *part)]
        return f"what changed did not arrive: {', '.join(old)}" if old else ""


def read(file: Path, start: int, size: int) -> bytes:
    """A part of a file."""
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(size)
