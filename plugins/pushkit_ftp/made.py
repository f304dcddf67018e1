"""`Made`: the directories that push has made itself, in which nothing can be that it does not know of."""

from __future__ import annotations

from collections.abc import Sequence


class Made:
    """The paths of directories that were made over this connection and not renamed, which nothing else can be."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def add(self, path: str) -> None:
        """One was made."""
        self._paths.add(path)

    def forget(self, path: str) -> Sequence[str]:
        """One, and those below it, are not there any more, or lie elsewhere: those that were made, deepest first."""
        if path not in self._paths:
            return ()
        gone = [each for each in self._paths if within(each, path)]
        self._paths.difference_update(gone)
        return sorted(gone, key=depth, reverse=True)


def depth(path: str) -> int:
    """How many directories lead to ``path``, the root's own being one more than none."""
    return path.count("/") + bool(path)


def within(path: str, directory: str) -> bool:
    """Whether a path is a directory, or lies below it."""
    return path == directory or path.startswith(f"{directory}/")
