"""A journal: everything that a push does to a live tree, written down before it does the first of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct, to_builtins

from pushkit.files.diff import Difference
from pushkit.files.merge import Merge, find, order
from pushkit.files.operation import Operation, Remove, RemoveDirectory, Rename, SetMode, Write
from pushkit.files.stat import above
from pushkit.files.survey import State
from pushkit.files.ticket import RELEASE_ID
from pushkit.manifest import UNSAFE
from pushkit.model import Action, Entry, Kind, Step

MAGIC = b"pushkit-journal 1 "
#: What a directory has to let its owner do, so that something in it can be changed.
OPEN = 0o700


class Renaming(Struct, frozen=True):
    """One path that is renamed to its place: a file, a symlink, or a whole directory.

    ``clears`` are files and symlinks that have to go first, ``emptied`` directories that have to, the deepest first.
    """

    path: str
    clears: Sequence[str] = ()
    emptied: Sequence[str] = ()


class Journal(Struct, frozen=True):
    """What turns the live tree of the release ``previous`` (empty: none) into that of ``release``, in this order.

    Directories are ``opened`` to their owner; then come the ``renamings``, the ``removals`` of files and symlinks, and
    the ``directories`` that go where they are empty; then ``modes``. Paths are those of the live tree.
    """

    release: str
    previous: str
    opened: Sequence[tuple[str, int]]
    renamings: Sequence[Renaming]
    removals: Sequence[str]
    directories: Sequence[str]
    modes: Sequence[tuple[str, int]]

    @property
    def paths(self) -> list[str]:
        """Every path that it touches."""
        return [
            *(path for path, _ in (*self.opened, *self.modes)),
            *(path for each in self.renamings for path in (*each.clears, *each.emptied, each.path)),
            *self.removals,
            *self.directories,
        ]

    def operations(
        self, tree: str, steps: Mapping[str, Step] | None = None, left: Mapping[str, Kind | None] | None = None
    ) -> list[Operation]:
        """The operations, the new content lying below ``tree``. ``steps`` are those of removals and modes, by path.

        ``left`` says what lies at these paths, and at those of the new content, when it was begun before: what was
        renamed already is left out.
        """
        named = steps or {}
        renamings = [each for each in self.renamings if left is None or f"{tree}/{each.path}" in left]
        coming = {each.path for each in renamings}

        def settable(path: str, *kinds: Kind) -> bool:
            return left is None or left.get(path) in kinds

        operations: list[Operation] = [
            SetMode(path, mode) for path, mode in self.opened if settable(path, Kind.DIRECTORY)
        ]
        for number, each in enumerate(renamings):
            operations += [Remove(path, step=named.get(path)) for path in each.clears]
            operations += [RemoveDirectory(path, step=named.get(path)) for path in each.emptied]
            # Beside the tree, where nothing has a name of the project's.
            operations.append(Rename(f"{tree}/{each.path}", each.path, f"{tree}-aside-{number}"))
        operations += [Remove(path, step=named.get(path)) for path in self.removals]
        operations += [RemoveDirectory(path, step=named.get(path)) for path in self.directories]
        operations += [
            SetMode(path, mode, step=named.get(path))
            for path, mode in self.modes
            if not coming.isdisjoint((*above(path), path)) or settable(path, Kind.FILE, Kind.DIRECTORY)
        ]
        return operations

    def encode(self) -> bytes:
        """The journal as it lies on a target."""
        body = json.dumps(to_builtins(self)).encode()
        return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(data: bytes) -> Journal:
    """The journal that lies on a target. Raises ValueError when it is damaged, or leads out of the tree."""
    head, _, body = data.partition(b"\n")
    if head != MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise ValueError("the content does not have the digest that the first line gives")
    try:
        found = read(json.loads(body))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no journal: {error}") from error
    for release in (found.release, found.previous):
        if release and not RELEASE_ID.fullmatch(release):
            raise ValueError(f"{release!r} is not a release id")
    for path in found.paths:
        if not isinstance(path, str) or UNSAFE(path) or "\0" in path:
            raise ValueError(f"{path!r}: not a path inside the tree")
    return found


def read(record: Mapping[str, Any]) -> Journal:
    """The journal that a record tells of. Raises KeyError, TypeError, AttributeError, OverflowError or ValueError."""
    return Journal(
        str(record["release"]),
        str(record["previous"]),
        [(path, int(mode) & 0o777) for path, mode in record["opened"]],
        [Renaming(each["path"], list(each["clears"]), list(each["emptied"])) for each in record["renamings"]],
        list(record["removals"]),
        list(record["directories"]),
        [(path, int(mode) & 0o777) for path, mode in record["modes"]],
    )


def journal(
    releases: tuple[str, str],
    merged: Merge,
    found: Difference,
    there: Collection[str],
) -> Journal:
    """What turns that which is live and ours into what is to be, as ``merged`` has them; ``found`` is their difference.

    ``releases`` are the id of the new release and that of the one before it.
    ``there`` are the paths where anything lies, as far as they were looked at.
    """
    was = {entry.path: entry for entry in merged.gone}
    # The deepest first, as the steps are.
    gone = [path for step in found.steps if step.action is Action.REMOVE for path in [step.subject.rstrip("/")]]
    files = [path for path in gone if was[path].kind is not Kind.DIRECTORY]
    directories = [path for path in gone if was[path].kind is Kind.DIRECTORY]
    renamings: list[Renaming] = []
    whole: set[str] = set()
    cleared: set[str] = set()
    twins = {path.casefold(): path for path in files}
    for entry in found.send:
        path = entry.path
        if entry.kind is Kind.DIRECTORY:
            whole.add(path)
        if path.rpartition("/")[0] in whole:
            continue
        clears: list[str] = []
        emptied: list[str] = []
        old = was.get(path)
        if old and old.kind is Kind.DIRECTORY:
            clears = [each for each in files if each.startswith(f"{path}/")]
            emptied = [*(each for each in directories if each.startswith(f"{path}/")), path]
        elif old and entry.kind is Kind.DIRECTORY:
            clears = [path]
        elif old is None and path in there and path.casefold() in twins:
            # A target that does not tell letters' case: to remove the old name later would remove the new file.
            clears = [twins[path.casefold()]]
        cleared |= {*clears, *emptied}
        renamings.append(Renaming(path, clears, emptied))
    touched = [*(each.path for each in renamings), *gone, *(entry.path for entry in found.modes)]
    ways = {way for path in touched for way in above(path)}
    # Of what stays as it is only these are looked at: there may be a hundred thousand more.
    staying = [entry for way in ways if way not in was for entry in find(merged.same, way) if closed(entry)]
    changing = [was[way] for way in ways if way in was and closed(was[way])]
    opened = {entry.path: entry for entry in sorted([*staying, *changing], key=order)}
    changed = {entry.path for entry in found.modes}
    late = [
        entry
        for entry in merged.new
        if entry.path in changed or (closed(entry) and (entry.path in whole or entry.path in opened))
    ]
    return Journal(
        *releases,
        [(entry.path, entry.mode | OPEN) for entry in opened.values()],
        renamings,
        [path for path in files if path not in cleared],
        [path for path in directories if path not in cleared],
        [(entry.path, entry.mode) for entry in sorted([*staying, *late], key=order, reverse=True)],
    )


def closed(entry: Entry) -> bool:
    """Whether it is a directory in which its owner could not change anything."""
    return entry.kind is Kind.DIRECTORY and entry.mode & OPEN != OPEN


def concluding(state: State, release: str) -> list[Operation]:
    """The operations after which what a journal says is done, and ``release`` is live."""
    return [Write(state.live, f"{release}\n".encode()), Remove(state.journal)]
