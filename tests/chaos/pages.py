"""The project that the campaigns push: what each version of each file holds, so that anybody can tell a page.

A page says which version it is, and of which file, and ends with a word: half of one, or one of another file, is seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

#: Files that change with each version, with their sizes; those that never do; one that is only in odd versions.
CHANGING = {"index.html": 300, "css/site.css": 20_000, "js/app.js": 150_000, "a b/'odd'.txt": 10, "empty/deep/er/x": 1}
STAYING = {"logo.svg": 40_000, "pages/about.html": 500}
SOMETIMES = "odd/and gone.html"
LINK = "latest"
#: In a tree that is not a push's alone: a file that no push put there.
FOREIGN = "css/mine.txt"
FOREIGN_CONTENT = b"no push put this here\n"


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


def version_of_link(text: str) -> int:
    """The version whose symlink has this text."""
    return int(text.rpartition("?")[2])


def write(root: Path, version: int) -> None:
    """Make ``version`` what lies in the project ``root``."""
    for name in (*CHANGING, *STAYING, SOMETIMES):
        path = root / name
        wanted = names(version).get(name)
        if wanted is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(page(name, wanted))
        elif path.exists():
            path.unlink()
            path.parent.rmdir()
    link = root / LINK
    link.unlink(missing_ok=True)
    link.symlink_to(f"pages/about.html?{version}")


def whole(tree: Path, beside: Collection[str] = ()) -> int:
    """The version that lies at ``tree``, with nothing else but what is ``beside`` it at the top.

    Raises AssertionError when it is not wholly one version.
    """
    found = versions(tree, beside)
    version = found[LINK]
    assert found == names(version) | {LINK: version}, f"{tree}: {found} is not version {version}"
    directories = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_dir() and not path.is_symlink()}
    left = {path for path in directories if path.partition("/")[0] not in beside} - ways(found)
    assert not left, f"{tree}: directories of no version {version}: {left}"
    return version


def between(tree: Path, old: int, new: int, beside: Collection[str] = ()) -> None:
    """See that ``tree`` is somewhere between two versions: each file wholly one of them, none missing that both have.

    Raises AssertionError.
    """
    found = versions(tree, beside)
    both = [names(each) | {LINK: each} for each in (old, new)]
    missing = both[0].keys() & both[1].keys() - found.keys()
    assert not missing, f"{tree}: {missing} of both {old} and {new} are missing"
    wrong = {name: version for name, version in found.items() if version not in {each.get(name) for each in both}}
    assert not wrong, f"{tree}: neither of {old} nor of {new}: {wrong}"


def versions(tree: Path, beside: Collection[str] = ()) -> dict[str, int]:
    """The version of each file at ``tree``, and of the symlink. Raises AssertionError when one is no page."""
    found = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if name.partition("/")[0] in beside or (path.is_dir() and not path.is_symlink()):
            continue
        if beside and name == FOREIGN:
            assert path.read_bytes() == FOREIGN_CONTENT, f"{path} was touched"
        elif name == LINK:
            found[name] = version_of_link(str(path.readlink()))
        else:
            content = path.read_bytes()
            found[name] = version_of(name, content)
            assert found[name] >= 0, f"{path} is no whole page: {content[:60]!r}"
    assert not beside or os.path.lexists(tree / FOREIGN), f"{tree}/{FOREIGN} is gone"
    assert LINK in found, f"{tree}: the symlink is missing"
    return found


def ways(paths: Iterable[str]) -> set[str]:
    """The directories that lead to ``paths``."""
    return {str(way) for path in paths for way in Path(path).parents if str(way) != "."}
