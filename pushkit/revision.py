"""The git revision that a project directory is at."""

from __future__ import annotations

import re

from pushkit.errors import SnapshotError
from pushkit.git import git

STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
COMMIT = re.compile(rb"# branch\.oid ([0-9a-f]+)").fullmatch


def origin(directory: str) -> tuple[str, bool]:
    """The commit that ``directory`` is at, and whether its files differ from it.

    Empty and false where there is no git, no repository or no commit yet. Files that git ignores do not count.
    """
    try:
        status = git(directory, "--no-optional-locks", *STATUS, "--", ".")
    except SnapshotError:
        return "", False
    fields = status.rstrip(b"\0").split(b"\0")
    heads = [field for field in fields if field.startswith(b"# ")]
    commits = [found[1].decode() for field in heads if (found := COMMIT(field))]
    return (commits[0], len(fields) > len(heads)) if commits else ("", False)
