"""The project that the campaigns push: what each version of each file holds, so that anybody can tell a page.

A page says which version it is, and of which file, and ends with a word: half of one, or one of another file, is seen.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

#: Files that change with each version, with their sizes; those that never do; one that is only in odd versions.
CHANGING = {"index.html": 300, "css/site.css": 20_000, "js/app.js": 150_000, "a b/'odd'.txt": 10, "empty/deep/er/x": 1}
STAYING = {"logo.svg": 40_000, "pages/about.html": 500}
SOMETIMES = "odd.html"
LINK = "latest"


def names(version: int) -> dict[str, int]:
    """The files of ``version``, with the version of each."""
    found = dict.fromkeys(CHANGING, version) | dict.fromkeys(STAYING, 0)
    return found | {SOMETIMES: version} if version % 2 else found


def page(name: str, version: int) -> bytes:
    """What the file ``name`` holds in ``version``."""
    size = (CHANGING | STAYING).get(name, 100)
    middle = os.fsencode(f"{name} {version} ") * (size // (len(name) + 3) + 1)
    return b"%d:%s:" % (version, os.fsencode(name)) + middle[:size] + b":end\n"


def version_of(name: str, content: bytes) -> int:
    """The version of a page; -1 when this is no whole page of ``name``."""
    found = re.match(rb"(\d+):", content)
    return int(found[1]) if found and page(name, int(found[1])) == content else -1


def write(root: Path, version: int) -> None:
    """Make ``version`` what lies in the project ``root``."""
    for name in (*CHANGING, *STAYING, SOMETIMES):
        path = root / name
        wanted = names(version).get(name)
        if wanted is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(page(name, wanted))
    link = root / LINK
    link.unlink(missing_ok=True)
    link.symlink_to(f"pages/about.html?{version}")


def whole(tree: Path) -> int:
    """The version of the release that lies at ``tree``. Raises AssertionError when it is not wholly one."""
    found = {
        str(path.relative_to(tree)): path for path in sorted(tree.rglob("*")) if path.is_symlink() or not path.is_dir()
    }
    link = found.pop(LINK, None)
    assert link is not None, f"{tree}: the symlink is missing"
    version = int(str(link.readlink()).rpartition("?")[2])
    assert set(found) == set(names(version)), f"{tree}: {sorted(found)} is not version {version}"
    for name, wanted in names(version).items():
        content = found[name].read_bytes()
        assert content == page(name, wanted), f"{tree}/{name} is not of version {version}: {content[:60]!r}"
    return version
