"""A bare repository of push's own, in which commits are made and from which they are pushed.

The repository of the project is only read: its index, branches, configuration, hooks and stash are as they were.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress

from pushkit import Entry, Kind, Snapshot
from pushkit_git.access import REMOTE
from pushkit_git.commit import Commit, Header, parse
from pushkit_git.git import Git, GitFailed
from pushkit_git.stream import stream

#: The tip of the branch when it was last seen.
TIP = "refs/push/tip"
#: The last commit that was pushed from here: all that it has is here.
SENT = "refs/push/sent"
LENGTHS = {64: "sha256"}


class Repository:
    """The repository in the directory of ``git``, which begins empty."""

    def __init__(self, git: Git) -> None:
        self.git = git
        self._ledger = git.directory / "push-blobs"

    def make(self, tip: str) -> None:
        """Make it where it is not; ``tip`` is an id such as the remote's, by which its format is chosen."""
        if not (self.git.directory / "HEAD").exists():
            arguments = [f"--object-format={LENGTHS[len(tip)]}"] if len(tip) in LENGTHS else []
            self.git("init", "--quiet", "--bare", "--template=", *arguments)

    def clear(self) -> None:
        """Begin anew: it holds nothing that cannot be had again."""
        shutil.rmtree(self.git.directory, ignore_errors=True)
        self.git.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def borrow(self, objects: str, shallow: str) -> None:
        """Have the objects of the repository in whose directory ``objects`` they are, and end its history there."""
        info = self.git.directory / "objects/info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "alternates").write_text(objects + "\n")
        with suppress(FileNotFoundError):
            shutil.copyfile(shallow, self.git.directory / "shallow")

    # What the remote has.

    def tip(self) -> str:
        """The commit that the branch was at when it was last seen, empty when it was not."""
        return self._reference(TIP)

    def sent(self) -> str:
        """The commit that was pushed from here last, empty when none was."""
        return self._reference(SENT)

    def remember(self, commit: str) -> None:
        """Remember that the branch is at ``commit``, which was pushed from here."""
        for reference in (TIP, SENT):
            self.git("update-ref", reference, commit)
        # Now and then; what is not of the last push goes.
        self.git("gc", "--auto", "--quiet")

    def _reference(self, name: str) -> str:
        try:
            return self.git.text("rev-parse", "--verify", "--quiet", name)
        except GitFailed:
            return ""

    def fetching(self, reference: str, depth: int) -> tuple[str, ...]:
        """The command that gets the last commits of a branch, their trees, and if the server can, no content."""
        options = (f"--depth={depth}", "--filter=blob:none", "--no-tags", "--no-write-fetch-head", "--quiet")
        return ("fetch", *options, REMOTE, f"+{reference}:{TIP}")

    def has(self, commit: str) -> bool:
        """Whether a commit and its tree are here."""
        return self.git.knows("cat-file", "-e", f"{commit}^{{tree}}")

    def follows(self, commit: str, earlier: str) -> bool:
        """Whether ``earlier`` is in the history of ``commit``."""
        return self.git.knows("merge-base", "--is-ancestor", earlier, commit)

    def history(self, commit: str, limit: int) -> list[Commit]:
        """At most ``limit`` commits, back from ``commit`` by first parents."""
        ids = self.git.text("rev-list", "--first-parent", f"--max-count={limit}", commit).split()
        return [self.commit(each) for each in ids]

    # What is made.

    def commit(self, id: str) -> Commit:  # noqa: A002  (git's word)
        """A commit that is here."""
        return parse(id, self.git.text("cat-file", "commit", id))

    def write(self, snapshot: Snapshot, entries: Sequence[Entry], header: Header) -> str:
        """Make a commit of ``entries`` of ``snapshot``; its id. Raises `GitFailed`, `SnapshotChanged`."""
        known = self._known()
        marks: dict[bytes, int] = {}
        file = self.git.directory / f"push-marks-{os.getpid()}"
        said: list[str] = []
        options = ("--quiet", "--force", "--done", "--date-format=raw", f"--export-marks={file}")
        try:
            code = self.git.stream(
                "fast-import", *options, stdin=stream(snapshot, entries, header, known, marks), output=said.append
            )
            if code:
                raise GitFailed("fast-import", "\n".join(said), code)
            ids = dict(line.split(" ", 1) for line in file.read_text().splitlines())
        finally:
            file.unlink(missing_ok=True)
        made = {digest: ids[f":{mark}"] for digest, mark in marks.items()}
        there = {entry.sha256 for entry in entries if entry.kind is Kind.FILE}
        self._remember({digest: name for digest, name in (known | made).items() if digest in there})
        return ids[":1"]

    def again(self, tree: str, header: Header) -> str:
        """Make a commit of a tree that is here; its id."""
        parent = f"parent {header.parent}\n" if header.parent else ""
        who = f"{header.who} {int(header.time.timestamp())} +0000"
        text = f"tree {tree}\n{parent}author {who}\ncommitter {who}\n\n{header.message}"
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode()).decode().strip()

    def differences(self, old: str, new: str) -> Sequence[tuple[str, str]]:
        """How the tree of a commit differs from another's: a letter (A, M, T, D) and a path each."""
        found = self.git("diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new)
        fields = os.fsdecode(found).split("\0")[:-1]
        return list(zip(fields[::2], fields[1::2], strict=True))

    # Which contents are here: the id of a blob by its sha256, a line each.

    def _known(self) -> dict[bytes, str]:
        try:
            lines = self._ledger.read_text().splitlines()
            return {bytes.fromhex(digest): name for digest, name in (line.split(" ") for line in lines)}
        except (OSError, ValueError):
            return {}

    def _remember(self, names: dict[bytes, str]) -> None:
        temporary = self._ledger.with_name(f"push-blobs-{os.getpid()}")
        temporary.write_text("".join(f"{digest.hex()} {name}\n" for digest, name in names.items()))
        os.replace(temporary, self._ledger)
