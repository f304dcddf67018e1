"""`Side`: one way to push a tree, again and again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from meter import Cost, Failed
from tree import Tree


class Side:
    """Pushes by ``run``, which is given where to and what it pushed to before, and sees that all arrived.

    Where to is the same directory each time, or with ``fresh`` a new one, below ``files``. ``lasting`` is whether the
    one before is of use to the next. ``found_at`` tells where the files are that were pushed to a directory, None where
    nothing is. With ``once`` it is to run a single time, since it takes minutes.
    """

    def __init__(
        self,
        name: str,
        files: Path,
        run: Callable[[Path, Path | None], Cost],
        *,
        fresh: bool,
        lasting: bool = False,
        found_at: Callable[[Path], Path] | None = lambda target: target,
        once: bool = False,
    ) -> None:
        self.name = name
        self.costs: list[Cost] = []
        self.failed = False
        self.once = once
        self._place = files / "".join(letter if letter.isalnum() else "-" for letter in name)
        self._run = run
        self._fresh = fresh
        self._lasting = lasting
        self._found_at = found_at
        self._number = 0
        self._before: Path | None = None

    def push(self, tree: Tree) -> None:
        """Push once. A side that failed does no more."""
        if self.failed:
            return
        self._number += self._fresh
        target = self._place.with_name(f"{self._place.name}-{self._number}")
        try:
            cost = self._run(target, self._before)
            if self._found_at and (missing := tree.missing(self._found_at(target))):
                raise Failed(missing)
        except (Failed, OSError) as error:
            print(f"  {self.name}: failed: {error}", flush=True)
            self.failed = True
            self.remove()
            return
        self.costs.append(cost)
        if self._fresh and not self._lasting:
            shutil.rmtree(target)
        elif self._fresh and self._before:
            shutil.rmtree(self._before)
        self._before = target

    def remove(self) -> None:
        """Remove all that it pushed."""
        for each in self._place.parent.glob(f"{self._place.name}-{self._number}"):
            shutil.rmtree(each, ignore_errors=True)
        if self._before:
            shutil.rmtree(self._before, ignore_errors=True)
