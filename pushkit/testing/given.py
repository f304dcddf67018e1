"""A transfer of entries that a test names, their contents in memory."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pushkit import Entry, Kind, Project, Run, Target
from pushkit.blocks import digests
from pushkit.files import pieces
from pushkit.files.transfer import Passage, Transfer
from pushkit.secrets.redaction import Redactor


class OneByOne(Passage):
    """Reports each step by itself."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._passed = []
        self._alone = None

    def go_by(self, entry: Entry) -> None:
        self.over()
        self._alone = self._transfer.step(entry)
        self._alone.__enter__()


class Given(Transfer):
    """Entries in the order they are added; ``finished`` and ``failed`` are the paths whose steps ended so."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.finished: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.patched = set()
        self._contents: dict[str, bytes] = {}
        here = Path()
        self._run = Run(
            project=Project("p", here, here, ".", (), "", {}),
            target=Target("there", "sftp"),
            emit=lambda _: None,
            cancelled=threading.Event(),
            scratch=here,
            person="",
            redact=Redactor(),
            environment={},
        )

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory."""
        self.entries.append(Entry(path, Kind.DIRECTORY, mode))

    def file(self, path: str, content: bytes = b"x", mode: int = 0o644) -> None:
        """Add a file with that content."""
        digest = hashlib.sha256(content).digest()
        self.entries.append(Entry(path, Kind.FILE, mode, len(content), digest))
        self._contents[path] = content

    def symlink(self, path: str, link: str) -> None:
        """Add a symlink, whose text is ``link``."""
        self.entries.append(Entry(path, Kind.SYMLINK, 0o777, link=link))

    @contextmanager
    def step(self, entry: Entry) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.failed.append((entry.path, str(error)))
            raise
        self.finished.append(entry.path)

    def passage(self) -> Passage:
        return OneByOne(self)

    def passing(self, entry: Entry) -> Iterator[bytes]:
        return self.content(entry)

    def look(self, entry: Entry) -> BinaryIO:
        return io.BytesIO(self._contents[entry.path])

    def known(self, entry: Entry, block: int) -> Sequence[bytes]:
        return ()

    def finer(self, entry: Entry, start: int, end: int, digest: bytes, block: int) -> Sequence[bytes]:
        return digests(self.part(entry, start, end), block)

    def part(self, entry: Entry, start: int, end: int) -> Iterator[bytes]:
        yield from pieces(io.BytesIO(self._contents[entry.path][start:end]))

    def rest(self, entry: Entry, start: int) -> Iterator[bytes]:
        yield from self.part(entry, start, entry.size)

    def content(self, entry: Entry) -> Iterator[bytes]:
        with self.open(entry) as stream:
            yield from pieces(stream)

    @contextmanager
    def open(self, entry: Entry) -> Iterator[BinaryIO]:
        yield io.BytesIO(self._contents[entry.path])

    def expected(self) -> dict[str, tuple[str, int, bytes]]:
        """What has to lie on the target, as `lying` finds it."""
        return {
            entry.path: (
                entry.kind,
                0 if entry.kind is Kind.SYMLINK else entry.mode,
                entry.link.encode("utf-8", "surrogateescape") or self._contents.get(entry.path, b""),
            )
            for entry in self.entries
        }


def lying(root: Path) -> dict[str, tuple[str, int, bytes]]:
    """What lies below a directory of this machine: kind, mode, content or link text by path."""
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        mode = path.lstat().st_mode & 0o777
        if path.is_symlink():
            found[name] = (Kind.SYMLINK.value, 0, bytes(path.readlink()))
        elif path.is_dir():
            found[name] = (Kind.DIRECTORY.value, mode, b"")
        else:
            found[name] = (Kind.FILE.value, mode, path.read_bytes())
    return found


def odd_names() -> Given:
    """A tree with the names, modes and shapes that break careless tools."""
    given = Given()
    given.directory("a dir", 0o750)
    given.file("a dir/file with 'quotes' \"$HOME\" `id`", b"1")
    given.file("a dir/-rf", b"2", 0o600)
    given.file("back\\slash", b"3")
    given.directory("other", 0o711)
    given.directory("other/deeper", 0o700)
    given.file("other/deeper/run", b"#!/bin/sh\n", 0o755)
    given.file("empty", b"")
    given.directory("empty dir")
    given.file("large", bytes(range(256)) * 4096)
    given.file("latin-1 \udce9", b"4")
    given.symlink("link", "a dir/-rf")
    given.symlink("link to \udce9", "latin-1 \udce9")
    given.file("new\nline", b"5")
    given.directory("n" * 120)
    given.directory("n" * 120 + "/" + "m" * 120)
    given.file("n" * 120 + "/" + "m" * 120 + "/" + "o" * 200, b"6")
    given.file("ünï", b"7", 0o444)
    return given
