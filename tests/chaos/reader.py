"""Reads what is live without pause, as visitors do, and says what is wrong with it. A process of its own.

It ends when its standard input does, and prints what it saw as one JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos import pages


class Visitor:
    """What a visitor saw: how many reads, the versions in the order they were seen first, and every problem."""

    pause = 0.01

    def __init__(self, root: Path) -> None:
        self._root = root
        self._current = root / "current"
        self.reads = 0
        self.seen: list[int] = []
        self.problems: list[str] = []

    def visit(self) -> None:
        """Read the live release once as a whole, and each file through ``current`` once."""
        try:
            release = self._current.resolve(strict=True)
            self._saw(pages.whole(release))
        except (AssertionError, OSError, ValueError) as error:
            self.problems.append(f"whole: {error}")
        for name in (*pages.CHANGING, *pages.STAYING):
            version = self._read(self._current, name)
            if version and name in pages.CHANGING:
                self._saw(version)

    def _read(self, tree: Path, name: str) -> int | None:
        """The version of a page that has to be there; None, and a problem, when it is not."""
        try:
            version = pages.version_of(name, (tree / name).read_bytes())
        except OSError as error:
            self.problems.append(f"{name}: {error}")
            return None
        self.reads += 1
        if version < 0:
            self.problems.append(f"{name} is half a file")
            return None
        return version

    def _saw(self, version: int) -> None:
        if not self.seen or self.seen[-1] != version:
            self.seen.append(version)


class MirrorVisitor(Visitor):
    """Reads a mirror, where while it is switched each file is the old or the new one, and no file goes back."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._newest: dict[str, int] = {}

    def visit(self) -> None:
        """Read each file twice. When none has changed, all of them lay there at the moment in between."""
        first, second = self._pass(), self._pass()
        at_once = set(first.values())
        if first != second or len(first) < len(pages.CHANGING) + 1:
            return
        if len(at_once) == 1:
            self._saw(at_once.pop())
        elif len(at_once) > 2:
            self.problems.append(f"of more than two versions: {first}")

    def _pass(self) -> dict[str, int]:
        """The version of each file that changes, and of the symlink."""
        found = {name: version for name in pages.CHANGING if (version := self._read(self._root, name)) is not None}
        for name in pages.STAYING:
            self._read(self._root, name)
        if (self._root / pages.SOMETIMES).exists():
            try:
                content = (self._root / pages.SOMETIMES).read_bytes()
            except FileNotFoundError:
                content = pages.page(pages.SOMETIMES, 1)  # it went in between
            if pages.version_of(pages.SOMETIMES, content) < 0:
                self.problems.append(f"{pages.SOMETIMES} is half a file")
        try:
            found[pages.LINK] = pages.version_of_link(os.readlink(self._root / pages.LINK))
            if (self._root / pages.FOREIGN).read_bytes() != pages.FOREIGN_CONTENT:
                self.problems.append(f"{pages.FOREIGN} was touched")
        except OSError as error:
            self.problems.append(str(error))
        for name, version in found.items():
            if version < self._newest.get(name, 0):
                self.problems.append(f"{name} went back from {self._newest[name]} to {version}")
            self._newest[name] = version
        return found


class SwapVisitor(Visitor):
    """Reads a directory that is put in the place of another by two renames: what is there is wholly one version."""

    def visit(self) -> None:
        """Read all of it from the directory that is there, however that is called meanwhile."""
        try:
            directory = os.open(self._current, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return  # between the two renames
        try:
            tree = Path(f"/proc/self/fd/{directory}")
            versions = {version for name in pages.CHANGING if (version := self._read(tree, name)) is not None}
            if len(versions) == 1 and self._current.stat().st_ino == os.fstat(directory).st_ino:
                self._saw(versions.pop())
            elif len(versions) > 1:
                self.problems.append(f"of several versions: {versions}")
        except FileNotFoundError:
            pass
        finally:
            os.close(directory)


class Starer(Visitor):
    """Looks at one file through ``current``, and at nothing else."""

    pause = 0

    def visit(self) -> None:
        """Look."""
        self.reads += 1
        try:
            os.stat(self._current / "index.html")
        except OSError as error:
            self.problems.append(f"gap: {error}")


VISITORS = {"releases": Visitor, "mirror": MirrorVisitor, "swap": SwapVisitor, "stare": Starer}


@contextmanager
def reading(root: Path, how: str = "releases") -> Iterator[dict[str, Any]]:
    """Let one of `VISITORS` read what is live at ``root`` meanwhile; afterwards what it saw is in what was yielded."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "chaos.reader", str(root), how]
    seen: dict[str, Any] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            yield seen
        finally:
            out, _ = process.communicate(timeout=60)
            seen |= json.loads(out)


def main(root: str, how: str) -> None:
    """Visit until standard input ends."""
    visitor = VISITORS[how](Path(root))
    over = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    while not over.is_set() and len(visitor.problems) < 100:
        visitor.visit()
        if visitor.pause:
            # The processes that push have the same two cores.
            over.wait(visitor.pause)
    print(json.dumps({"reads": visitor.reads, "seen": visitor.seen, "problems": visitor.problems}))


if __name__ == "__main__":
    main(*sys.argv[1:])
