"""The tree of a commit as a tree that can be walked. The work tree is never read.

``.gitignore`` does not count here, for what is tracked is tracked; ``export-ignore`` does, as in ``git archive``.
Contents are the blobs as they are: no filter, no line ends converted.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pushkit.blobs import Blobs
from pushkit.errors import SnapshotError
from pushkit.git import GitFailed, git
from pushkit.ignore import GITIGNORE
from pushkit.model import Entry, Kind
from pushkit.worktree import leads_out

DIRECTORY, SYMLINK, SUBMODULE = 0o040000, 0o120000, 0o160000


class Item(NamedTuple):
    """One name of a git tree: its mode and the object's id in hex."""

    mode: int
    name: str


class Gittree:
    """What lies in ``directory`` (empty: the top) of ``revision`` of the repository that ``root`` is in.

    ``commit`` is the full id. Adds to ``warnings`` what a person should know. Raises `SnapshotError` when there
    is no such repository, revision or directory.
    """

    def __init__(self, root: str, revision: str, directory: str, warnings: list[str]) -> None:
        self._warnings = warnings
        directory = directory.strip("/")
        repository = find_repository(root)
        self.commit = find_commit(root, revision)
        self._place = directory + "/" if directory else ""
        self._items: dict[str, dict[str, Item]] = defaultdict(dict)
        listing = git(root, "ls-tree", "-r", "-t", "-z", "--full-tree", self.commit)
        items = dict(map(parse, os.fsdecode(listing).split("\0")[:-1]))
        if directory and items.get(directory, Item(0, "")).mode != DIRECTORY:
            raise SnapshotError(
                f"{revision} has no directory {directory}", hint=f"`git ls-tree {revision}` lists what it has"
            )
        ignored = export_ignored(root, self.commit, items)
        for path, item in items.items():
            if path.startswith(self._place) and path not in ignored:
                parent, _, name = path[len(self._place) :].rpartition("/")
                self._items[parent][name] = item
        self._blobs = Blobs(root, repository)

    def names(self, directory: str) -> dict[str, Item]:
        """What is in ``directory``."""
        return dict(self._items.get(directory, ()))

    def is_directory(self, item: Item) -> bool:
        """Whether the item is a tree. A submodule is a directory too, so that a rule for one speaks of it."""
        return item.mode in (DIRECTORY, SUBMODULE)

    def ignore_file(self, path: str, item: Item) -> bytes:
        """The content of a ``.pushignore``."""
        if path.rpartition("/")[2] == GITIGNORE or item.mode in (DIRECTORY, SYMLINK, SUBMODULE):
            return b""
        return self._blobs.content(item.name)

    def entries(self, directory: str, items: dict[str, Item]) -> list[Entry]:
        """The entries of ``items``. Raises `SnapshotError` for a submodule."""
        place = directory + "/" if directory else ""
        return [self._entry(place + name, item) for name, item in items.items()]

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
            link = os.fsdecode(self._blobs.content(item.name))
            if leads_out(path, link):
                self._warnings.append(f"{path} is a link that leads out of the project: {link}")
            return Entry(path, Kind.SYMLINK, 0o777, link=link)
        blob = self._blobs.look(item.name)
        if blob.pointer:
            self._warnings.append(f"{path} is a git LFS pointer: the pointer travels, not the file that it stands for")
        return Entry(path, Kind.FILE, 0o755 if item.mode & 0o100 else 0o644, blob.size, blob.sha256)


def parse(record: str) -> tuple[str, Item]:
    """One record of ``ls-tree -z``: ``MODE TYPE ID<TAB>PATH``."""
    head, _, path = record.partition("\t")
    mode, _, name = head.split(" ")
    return path, Item(int(mode, 8), name)


def find_repository(root: str) -> bytes:
    """The repository's directory. Raises `SnapshotError` when ``root`` is in none."""
    try:
        return git(root, "rev-parse", "--absolute-git-dir").rstrip(b"\n")
    except GitFailed as error:
        raise SnapshotError(
            f"{root} cannot be read as a git repository: {error.said}",
            hint="run `git init` there, or set source to a directory in the Pushfile",
        ) from error


def find_top(root: str) -> str:
    """The top of the work tree; of a bare repository, ``root``."""
    try:
        return os.fsdecode(git(root, "rev-parse", "--show-toplevel").rstrip(b"\n"))
    except GitFailed:
        return root


def find_commit(root: str, revision: str) -> str:
    """The full id of a commit. Raises `SnapshotError` when there is none of that name."""
    unknown = SnapshotError(
        f"git knows no revision {revision}",
        hint="`git log --all --oneline` shows what there is; a shallow clone may have to be deepened first",
    )
    if not revision or revision.startswith("-"):
        raise unknown
    try:
        return git(root, "rev-parse", "--verify", "--quiet", revision + "^{commit}").decode().strip()
    except GitFailed as error:
        raise unknown from error


def export_ignored(root: str, commit: str, items: dict[str, Item]) -> set[str]:
    """The paths that ``git archive`` would leave out by themselves.

    An index of its own holds the commit's attributes: older versions of git know no ``check-attr --source``.
    """
    info = Path(root, os.fsdecode(git(root, "rev-parse", "--git-path", "info/attributes").rstrip(b"\n")))
    if not info.exists() and not any(path.rpartition("/")[2] == ".gitattributes" for path in items):
        return set()
    # A directory is asked about with a slash at its end, as `git archive` does: a pattern may end in one.
    paths = [path + "/" if item.mode in (DIRECTORY, SUBMODULE) else path for path, item in items.items()]
    with tempfile.TemporaryDirectory(prefix="push-") as scratch:
        extra = {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
        git(root, "read-tree", commit, extra=extra)
        asked = ("check-attr", "--cached", "--stdin", "-z", "export-ignore")
        # Paths count from the directory that git runs in, so that has to be the top.
        answers = os.fsdecode(git(find_top(root), *asked, stdin=os.fsencode("\0".join(paths)), extra=extra)).split("\0")
    return {path.rstrip("/") for path, value in zip(answers[::3], answers[2::3], strict=False) if value == "set"}
