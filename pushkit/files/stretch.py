"""`Stretch`: which operations may be under way at once, for a remote that keeps many requests in flight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pushkit.files.operation import (
    Append,
    Fence,
    Guard,
    Independent,
    Log,
    MakeDirectory,
    Operation,
    Point,
    Pointing,
    Switchable,
    Write,
)
from pushkit.files.stat import above

#: What looks, and changes nothing.
LOOKING = (Guard, Pointing)
#: What is made beside what is live, in a place of push's own.
MAKING = (MakeDirectory, Write, Switchable, Log, Append)


class Stretch:
    """Operations that may be under way at once. ``stage`` is a directory of this push's own, as in `Remote.perform`."""

    def __init__(self, stage: str) -> None:
        self.operations: list[Operation] = []
        self._stage = stage
        self._own = stage.partition("/")[0]
        # Paths that are being made or changed, and all that is above these; directories, in which one can be at once.
        self._touched: set[str] = set()
        self._above: set[str] = set()
        self._made: set[str] = set()

    def takes(self, operation: Operation) -> bool:
        """Whether ``operation`` may join those that are there."""
        if not self.operations:
            return True
        last = self.operations[-1]
        if not isinstance(operation, MAKING):
            return isinstance(last, LOOKING) and (operation.waits or isinstance(operation, LOOKING))
        if not isinstance(last, MAKING):
            return False
        if isinstance(operation, MakeDirectory) and all(isinstance(each, MakeDirectory) for each in self.operations):
            # Parents come first, also with a server that does as it is told.
            return not self._meets(operation.path)
        # What others may be making as well is waited for, and what is not push's own comes when all is ready.
        return (
            self._is_own(operation)
            and all(map(self._is_own, self.operations))
            and not any(map(self._meets, paths_of(operation)))
        )

    def add(self, operation: Operation) -> None:
        """Let it join."""
        self.operations.append(operation)
        for path in paths_of(operation):
            (self._made if isinstance(operation, MakeDirectory) else self._touched).add(path)
            self._above.update(above(path))

    def _is_own(self, operation: Operation) -> bool:
        """Whether nobody but this push makes it, or minds that it is there."""
        if isinstance(operation, MakeDirectory):
            # One that may be there before is in nobody's way, and nobody else makes one in the stage. What all pushes
            # share is no stage.
            mine = self._stage != self._own and f"{operation.path}/".startswith(f"{self._stage}/")
            return operation.may_exist or mine
        return all(path.partition("/")[0] == self._own for path in paths_of(operation))

    def _meets(self, path: str) -> bool:
        """Whether something is under way at ``path``, in it, or above it, unless that makes the directory it is in."""
        return path in self._touched | self._above | self._made or not self._touched.isdisjoint(above(path))


def stretches(operations: Sequence[Operation], stage: str) -> Iterator[Sequence[Operation]]:
    """``operations`` in parts, in their order. Those of a part may be under way at once, begun in their order.

    What is made in push's own place is made together, whatever looks looks together, and what waits may get ready
    meanwhile. All else is alone, but for operations of one class that are `Independent`: see `waves`.
    """
    stretch = Stretch(stage)
    for kind, run in groupby(operations, key=type):
        if issubclass(kind, Independent):
            if stretch.operations:
                yield stretch.operations
                stretch = Stretch(stage)
            yield from waves([each for each in run if isinstance(each, Independent)])
            continue
        for operation in run:
            if not stretch.takes(operation):
                yield stretch.operations
                stretch = Stretch(stage)
            stretch.add(operation)
    if stretch.operations:
        yield stretch.operations


def paths_of(operation: Operation) -> tuple[str, ...]:
    """What an operation that may be in a stretch with others is about."""
    return (operation.path,) if isinstance(operation, (*LOOKING, *MAKING, Fence, Point)) else ()


def waves(operations: Sequence[Independent]) -> list[list[Independent]]:
    """``operations`` in as few parts as can be, so that in no part two are about one path, or one below another.

    Of two that are, the one that comes first is in the earlier part.
    """
    found: list[list[Independent]] = []
    # The last part in which anything touches a path; and in which anything touches what is below it.
    touched: dict[str, int] = {}
    below: dict[str, int] = {}
    for operation in operations:
        part = 0
        for path in operation.paths:
            part = max(part, touched.get(path, 0), below.get(path, 0), *(touched.get(way, 0) for way in above(path)))
        for path in operation.paths:
            touched[path] = part + 1
            for way in above(path):
                below[way] = max(below.get(way, 0), part + 1)
        if part == len(found):
            found.append([])
        found[part].append(operation)
    return found
