"""The commits between two releases, as far as the git repository of a project knows them."""

from __future__ import annotations

import re
from pathlib import Path

from pushkit.errors import SnapshotError
from pushkit.git import git
from pushkit.model import Commit

MOST = 20
"""So many commits are named."""

# How the id of a release ends, or all of it: the commit it is of.
_COMMIT = re.compile(r"(?:^|-)([0-9a-f]{7,40})(?:-dirty)?$")


def between(root: Path, live: str, commit: str) -> tuple[tuple[Commit, ...], int]:
    """The commits that ``commit`` has and the release ``live`` has not, the newest first, and how many more there are.

    None when it cannot be known: no git, a release of something else, a commit that is not here, a step back.
    """
    found = _COMMIT.search(live)
    if not found or not commit:
        return (), 0
    try:
        span = f"{found[1]}..{commit}"
        # A tab ends the short id; subjects are text of many people, and may hold anything but a line's end.
        listed = git(str(root), "log", f"--max-count={MOST}", "--format=%h%x09%s", "--end-of-options", span)
        count = int(git(str(root), "rev-list", "--count", "--end-of-options", span))
    except (SnapshotError, ValueError):
        return (), 0
    lines = listed.decode("utf-8", "replace").splitlines()
    commits = tuple(Commit(*line.split("\t", 1)) for line in lines if "\t" in line)
    return commits, count - len(commits)
