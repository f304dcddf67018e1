"""The git revision that a project directory is at."""

from __future__ import annotations

import re
import threading

from pushkit.capture import NEVER
from pushkit.errors import SnapshotError
from pushkit.git import GitHangs, git

STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
COMMIT = re.compile(rb"# branch\.oid ([0-9a-f]+)").fullmatch


def origin(directory: str, cancelled: threading.Event = NEVER) -> tuple[str, bool]:
    """The commit that ``directory`` is at, and whether its files differ from it.

    Empty and false where there is no git, no repository or no commit yet. Files that git ignores do not count.
    Raises `GitHangs`, and `Interrupted` once ``cancelled`` is set.
    """
    try:
        status = git(directory, *STATUS, "--", ".", cancelled=cancelled)
    except GitHangs:
        raise
    except SnapshotError:
        return "", False
    fields = status.rstrip(b"\0").split(b"\0")
    heads = [field for field in fields if field.startswith(b"# ")]
    commits = [found[1].decode() for field in heads if (found := COMMIT(field))]
    return (commits[0], len(fields) > len(heads)) if commits else ("", False)
