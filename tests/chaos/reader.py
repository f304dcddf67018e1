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

    def __init__(self, root: Path) -> None:
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
            try:
                version = pages.version_of(name, (self._current / name).read_bytes())
            except OSError as error:
                self.problems.append(f"through current: {error}")
                continue
            self.reads += 1
            if version < 0:
                self.problems.append(f"through current: {name} is half a file")
            elif name in pages.CHANGING:
                self._saw(version)

    def stat(self) -> None:
        """Look at one file through ``current``."""
        self.reads += 1
        try:
            os.stat(self._current / "index.html")
        except OSError as error:
            self.problems.append(f"gap: {error}")

    def _saw(self, version: int) -> None:
        if not self.seen or self.seen[-1] != version:
            self.seen.append(version)


@contextmanager
def reading(root: Path, how: str = "visit") -> Iterator[dict[str, Any]]:
    """Let a visitor read what is live at ``root`` meanwhile; afterwards what it saw is in what was yielded."""
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
    visitor = Visitor(Path(root))
    over = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    visit = visitor.stat if how == "stat" else visitor.visit
    while not over.is_set() and len(visitor.problems) < 100:
        visit()
        if how != "stat":
            # The processes that push have the same two cores.
            over.wait(0.01)
    print(json.dumps({"reads": visitor.reads, "seen": visitor.seen, "problems": visitor.problems}))


if __name__ == "__main__":
    main(*sys.argv[1:])
