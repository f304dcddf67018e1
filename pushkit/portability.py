"""Which paths of a project cannot lie on every system: rules of Windows and macOS, tried on names alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from pushkit.amount import counted

#: What Windows keeps for itself in a name, and the names that are devices there, whatever follows their first dot:
#: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_LETTERS = re.compile(r'[<>:"\\|?*\x00-\x1f]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)


def unportable(paths: Sequence[str]) -> Iterator[str]:
    """What of ``paths`` cannot lie on Windows or macOS, in words: how many, and the first."""
    if doubled := list(twins(paths)):
        one, other = doubled[0]
        yield f"{counted(len(doubled), 'path')} would take another's place on Windows and macOS: {one!r} and {other!r}"
    if refused := [(path, why) for path in paths if (why := refusal(path))]:
        path, why = refused[0]
        yield f"{counted(len(refused), 'path')} cannot lie on Windows, {path!r} first: {why}"


def refusal(path: str) -> str:
    """Why ``path`` cannot lie on Windows, empty where it can."""
    for name in path.split("/"):
        if found := _LETTERS.search(name):
            return f"{found[0]!r} is no letter of a name there"
        if _DEVICE.fullmatch(name):
            return f"{name!r} is a device there"
        if name.endswith((".", " ")):
            return f"{name!r} loses its last character there"
    return ""


def twins(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those of ``paths`` that are one where letters' case, or how an accent is written, makes no difference.

    So it is on Windows and macOS. Each comes with the one before it that it would take the place of; of directories
    that are twins, what lies in them is not told as well.
    """
    seen: dict[str, str] = {}
    doubled: set[str] = set()
    for path in paths:
        first = seen.setdefault(_folded(path), path)
        if first == path:
            continue
        if path.rpartition("/")[0] not in doubled:
            yield first, path
        doubled.add(path)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
