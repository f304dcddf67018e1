"""Paths that every release shares: what visitors upload, a database, settings that are the target's own.

::

    PATH/
      shared/uploads/                       made once, never removed
      releases/.../uploads -> ../../shared/uploads
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pushkit.errors import PushRefused
from pushkit.files.merge import order
from pushkit.files.operation import MakeDirectory, Operation
from pushkit.files.survey import Survey
from pushkit.model import Entry, Kind

SHARED = "shared"


class Shared(Struct, frozen=True):
    """The shared paths of a target, relative to a release; one that ends in a slash is a directory.

    A shared path wins: what the project has at it, below it, or as a file where a directory has to lead to it, does not
    travel.
    """

    names: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, without a slash at their end."""
        return tuple(name.removesuffix("/") for name in self.names)

    @property
    def above(self) -> tuple[str, ...]:
        """The directories that lead to the paths, the outer ones first."""
        found = {path[:at] for path in self.paths for at, letter in enumerate(path) if letter == "/"}
        return tuple(sorted(found))

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories on the target that hold what is shared."""
        return (SHARED, *(f"{SHARED}/{path}" for path in self.above)) if self.names else ()

    @property
    def looked(self) -> tuple[str, ...]:
        """What a layout has to look at, as in `Look`."""
        return (*self.directories, *(f"{SHARED}/{path}" for path in self.paths))

    def linked(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[str]]:
        """The entries of a release in walk order, the links among them; and the paths of what does not travel."""
        if not self.names:
            return entries, ()
        own = {path: Entry(path, Kind.DIRECTORY, 0o755) for path in self.above}
        own |= {path: Entry(path, Kind.SYMLINK, 0o777, link=link_of(path)) for path in self.paths}
        below = tuple(f"{path}/" for path in self.paths)
        kept: list[Entry] = []
        left_out: list[str] = []
        for entry in entries:
            if entry.path not in own and not entry.path.startswith(below):
                kept.append(entry)
            elif entry.kind is not Kind.DIRECTORY:
                left_out.append(entry.path)
            elif own.get(entry.path, entry).kind is Kind.DIRECTORY and entry.path in own:
                own[entry.path] = entry  # with the mode that it has in the project
        return sorted((*kept, *own.values()), key=order), left_out

    def missing(self, survey: Survey, entries: Sequence[Entry]) -> list[Operation]:
        """The operations that make what is not there, ``entries`` being the project's.

        Raises `PushRefused` for a file that is not there, and for a file in the place of a directory.
        """
        of_project = {entry.path for entry in entries if entry.kind is Kind.DIRECTORY} if self.names else set()
        wanted = list(self.directories)
        for name, path in zip(self.names, self.paths, strict=True):
            place = f"{SHARED}/{path}"
            found = survey.found.get(place)
            if found is None and not name.endswith("/") and path not in of_project:
                raise PushRefused(
                    f"{survey.root}/{place} is not there, and shared names it; nothing was sent",
                    hint=f'put the file there; if it is to be a directory, write "{name}/"',
                )
            if found is not None and found.stat.kind is Kind.FILE and name.endswith("/"):
                raise PushRefused(
                    f"{survey.root}/{place} is a file, and shared names a directory; nothing was sent",
                    hint=f'move it away, or write "{path}" for a file',
                )
            if found is None:
                wanted.append(place)
        return [MakeDirectory(path, 0o755, may_exist=True) for path in wanted if path not in survey.found]


def link_of(path: str) -> str:
    """The text of the link at ``path`` in a release: relative, so that the whole target can be moved."""
    return "../" * (path.count("/") + 2) + f"{SHARED}/{path}"
