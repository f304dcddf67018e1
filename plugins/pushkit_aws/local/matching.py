"""Which of the paths that a deployment makes a permission is for."""

from __future__ import annotations

import re
from functools import lru_cache

from pushkit_aws.appspec import Permission


def matches(permission: Permission, top: str, path: str) -> bool:
    """Whether ``path`` is below ``top``, the permission's object, and is meant by its pattern and by no exception.

    The pattern ``**`` is for everything below; any other, and every exception, for names directly in ``top``.
    """
    front = top.rstrip("/") + "/"
    if not path.startswith(front) or path == front:
        return False
    name = path[len(front) :]
    if permission.pattern != "**" and not glob(permission.pattern, name):
        return False
    return not any(glob(each, name) for each in permission.excepts)


def glob(pattern: str, name: str) -> bool:
    """Whether ``name``, which has no slash, fits ``pattern``: ``*`` stands for anything, all else for itself."""
    return "/" not in name and bool(compiled(pattern).fullmatch(name))


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """``pattern`` as a regular expression."""
    parts = [re.escape(part) for part in re.split(r"\*+", pattern)]
    return re.compile(".*".join(parts), re.DOTALL)
