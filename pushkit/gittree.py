"""The tree of a commit as a tree that can be walked. The work tree is never read.

``.gitignore`` does not count here, for what is tracked is tracked; ``export-ignore`` does, as in ``git archive``.
Contents are the blobs as they are: no filter, no line ends converted.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections import defaultdict
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pushkit.blobs import Blobs
from pushkit.capture import NEVER
from pushkit.errors import SnapshotError
from pushkit.git import GitFailed, git
from pushkit.ignore import GITIGNORE
from pushkit.manifest import UNSAFE
from pushkit.model import Entry, Kind

RECORD = re.compile("([0-7]{6}) (?:blob|tree|commit) ([0-9a-f]{40}|[0-9a-f]{64})\t(.+)", re.DOTALL)
DIRECTORY, SYMLINK, SUBMODULE = 0o040000, 0o120000, 0o160000


class Item(NamedTuple):
    """One name of a git tree: its mode and the object's id in hex."""

    mode: int
    name: str


class Items(dict[str, Item]):
    """What is in a directory, by name."""

    @cached_property
    def names(self) -> list[str]:
        """All names, sorted by their bytes."""
        return sorted(self, key=os.fsencode)

    def is_directory(self, name: str) -> bool:
        """Whether ``name`` is a tree. A submodule is a directory too, so that a rule for one speaks of it."""
        return self[name].mode in (DIRECTORY, SUBMODULE)


class Gittree:
    """What lies in ``directory`` (empty: the top) of ``revision`` of the repository that ``root`` is in.

    ``commit`` is the full id. Adds to ``warnings`` what a person should know. Raises `SnapshotError` when there
    is no such repository, revision or directory, and `Interrupted` where git is waited for once ``cancelled`` is set.
    """

    def __init__(
        self, root: str, revision: str, directory: str, warnings: list[str], cancelled: threading.Event
    ) -> None:
        self._warnings = warnings
        directory = directory.strip("/")
        repository = find_repository(root, cancelled)
        self.commit = find_commit(root, revision, cancelled)
        self._place = directory + "/" if directory else ""
        self._items: dict[str, dict[str, Item]] = defaultdict(dict)
        listing = git(root, "ls-tree", "-r", "-t", "-z", "--full-tree", self.commit, cancelled=cancelled)
        items = dict(map(parse, os.fsdecode(listing).split("\0")[:-1]))
        if directory and items.get(directory, Item(0, "")).mode != DIRECTORY:
            raise SnapshotError(
                f"{revision} has no directory {directory}", hint=f"`git ls-tree {revision}` lists what it has"
            )
        ignored = export_ignored(root, self.commit, items, cancelled)
        for path, item in items.items():
            if path.startswith(self._place) and path not in ignored:
                parent, _, name = path[len(self._place) :].rpartition("/")
                self._items[parent][name] = item
        self._blobs = Blobs(root, repository, cancelled)

    def listing(self, directory: str) -> Items:
        """What is in ``directory``."""
        return Items(self._items.get(directory, {}))

    def ignore_file(self, path: str, listing: Items) -> bytes:
        """The content of a ``.pushignore``."""
        item = listing[path.rpartition("/")[2]]
        if path.rpartition("/")[2] == GITIGNORE or item.mode in (DIRECTORY, SYMLINK, SUBMODULE):
            return b""
        return self._blobs.content(item.name)

    def entries(self, directory: str, listing: Items, dropped: Collection[str]) -> tuple[list[Entry], list[int]]:
        """The entries of what is not dropped. Raises `SnapshotError` for a submodule."""
        place = directory + "/" if directory else ""
        entries = [self._entry(place + name, listing[name]) for name in listing.names if name not in dropped]
        return entries, [stop for stop, entry in enumerate(entries, 1) if entry.kind is Kind.DIRECTORY]

    def open(self, entry: Entry) -> BinaryIO:
        """The content of a file."""
        parent, _, name = entry.path.rpartition("/")
        return self._blobs.open(self._items[parent][name].name, entry.size)

    def save(self) -> None:
        """Keep what was found of the blobs."""
        self._blobs.save()

    def _entry(self, path: str, item: Item) -> Entry:
        if item.mode == DIRECTORY:
            return Entry(path, Kind.DIRECTORY, 0o755)
        if item.mode == SUBMODULE:
            raise SnapshotError(
                f"{path} is a submodule, whose files are not in the commit",
                hint="push from the work tree, or leave it out with a line in .pushignore",
            )
        if item.mode == SYMLINK:
            return Entry(path, Kind.SYMLINK, 0o777, link=os.fsdecode(self._blobs.content(item.name)))
        blob = self._blobs.look(item.name)
        if blob.pointer:
            self._warnings.append(f"{path} is a git LFS pointer: the pointer travels, not the file that it stands for")
        return Entry(path, Kind.FILE, 0o755 if item.mode & 0o100 else 0o644, blob.size, blob.sha256)


def parse(record: str) -> tuple[str, Item]:
    """One record of ``ls-tree -z``: ``MODE TYPE ID<TAB>PATH``. Raises `SnapshotError` for what leads out of the tree.

    Nobody keeps a commit that was made by hand from having such paths.
    """
    found = RECORD.fullmatch(record)
    if not found or UNSAFE(found[3]):
        raise SnapshotError(
            f"git lists what is no path within a tree: {record[:200]!r}", hint="look at the repository with `git fsck`"
        )
    return found[3], Item(int(found[1], 8), found[2])


def find_repository(root: str, cancelled: threading.Event = NEVER) -> bytes:
    """The repository's directory. Raises `SnapshotError` when ``root`` is in none."""
    try:
        return git(root, "rev-parse", "--absolute-git-dir", cancelled=cancelled).rstrip(b"\n")
    except GitFailed as error:
        raise SnapshotError(
            f"{root} cannot be read as a git repository: {error.said}",
            hint="run `git init` there, or set source to a directory in the Pushfile",
        ) from error


def find_top(root: str, cancelled: threading.Event = NEVER) -> str:
    """The top of the work tree; of a bare repository, ``root``."""
    try:
        return os.fsdecode(git(root, "rev-parse", "--show-toplevel", cancelled=cancelled).rstrip(b"\n"))
    except GitFailed:
        return root


def find_commit(root: str, revision: str, cancelled: threading.Event = NEVER) -> str:
    """The full id of a commit. Raises `SnapshotError` when there is none of that name."""
    unknown = SnapshotError(
        f"git knows no revision {revision}",
        hint="`git log --all --oneline` shows what there is; a shallow clone may have to be deepened first",
    )
    if not revision or revision.startswith("-"):
        raise unknown
    try:
        asked = ("rev-parse", "--verify", "--quiet", revision + "^{commit}")
        return git(root, *asked, cancelled=cancelled).decode().strip()
    except GitFailed as error:
        raise unknown from error


def export_ignored(root: str, commit: str, items: dict[str, Item], cancelled: threading.Event = NEVER) -> set[str]:
    """The paths that ``git archive`` would leave out by themselves.

    An index of its own holds the commit's attributes: older versions of git know no ``check-attr --source``.
    """
    info = Path(
        root,
        os.fsdecode(git(root, "rev-parse", "--git-path", "info/attributes", cancelled=cancelled).rstrip(b"\n")),
    )
    if not info.exists() and not any(path.rpartition("/")[2] == ".gitattributes" for path in items):
        return set()
    # A directory is asked about with a slash at its end, as `git archive` does: a pattern may end in one.
    paths = [path + "/" if item.mode in (DIRECTORY, SUBMODULE) else path for path, item in items.items()]
    with tempfile.TemporaryDirectory(prefix="push-") as scratch:
        extra = {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
        git(root, "read-tree", commit, extra=extra, cancelled=cancelled)
        asked = ("check-attr", "--cached", "--stdin", "-z", "export-ignore")
        # Paths count from the directory that git runs in, so that has to be the top.
        names = os.fsencode("\0".join(paths))
        found = git(find_top(root, cancelled), *asked, stdin=names, extra=extra, cancelled=cancelled)
        answers = os.fsdecode(found).split("\0")
    return {path.rstrip("/") for path, value in zip(answers[::3], answers[2::3], strict=False) if value == "set"}
