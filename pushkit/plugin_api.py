"""The versions of the plugin API: what a plugin is written for, and whether that is still, or not yet, to be had.

A plugin's module says ``pushkit_api = 1``. One that says nothing is written for version 1. A version is deprecated for
at least one minor release of pushkit before it goes; who uses a plugin that is written for it is told, and by when.
So it is with a single public name: it is taken out of its module's ``__all__``, and stands in `LEAVING` until it goes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from pushkit import __version__

#: The version that is current, and the oldest that still works.
CURRENT = 1
OLDEST = 1
#: The versions that will go: the version of pushkit that they go with.
DEPRECATED: Mapping[int, str] = {}


class Leaving(NamedTuple):
    """A public name that goes with the ``version`` of pushkit, ``instead`` of which there is another.

    Until then it lies at ``where``: a module, a colon, and its name there.
    """

    version: str
    instead: str
    where: str


#: The public names that will go, each behind its module: ``pushkit.files.Stat``.
LEAVING: Mapping[str, Leaving] = {
    "pushkit.fleet.expanded": Leaving("0.2", "a list of names, one for each host", "pushkit.fleet.host:expanded"),
}
#: What has been said of those that were asked for, and nobody has heard yet.
_said: list[str] = []
#: What a plugin's module calls the version it is written for.
WORD = "pushkit_api"


def wanted(module: Any) -> int:
    """The version that a plugin's module is written for. Raises ValueError where it says something odd."""
    found = getattr(module, WORD, 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"says {WORD} = {found!r}, where a number from 1 is expected")
    return found


def leaving(module: str, name: str) -> Any:
    """The public name of a module that its ``__getattr__`` is asked for, if it is one that will go. Warns of that.

    Raises AttributeError when there is no such name.
    """
    found = LEAVING.get(f"{module}.{name}")
    if found is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    text = f"{module}.{name} goes with pushkit {found.version}: use {found.instead}"
    _said.append(text)
    # For who writes a plugin: its tests show it. Who uses one is told by `pushkit.registry`.
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    where, _, there = found.where.partition(":")
    return getattr(import_module(where), there)


def heard() -> list[str]:
    """What has been said by `leaving` since this was asked last."""
    said = list(dict.fromkeys(_said))
    _said.clear()
    return said


def refusal(version: int) -> tuple[str, str]:
    """What is wrong with a plugin that is written for ``version``, and who can mend it; both empty when nothing is."""
    here = f"pushkit {__version__} has " + (f"{OLDEST} to {CURRENT}" if OLDEST < CURRENT else f"{CURRENT}")
    if version > CURRENT:
        return f"is written for version {version} of the plugin API; {here}", "update pushkit"
    if version < OLDEST:
        return f"is written for version {version} of the plugin API; {here}", "update {distribution}"
    return "", ""


def notice(version: int) -> str:
    """What those who use a plugin that is written for ``version`` should know, empty where there is nothing."""
    if version not in DEPRECATED:
        return ""
    return f"is written for version {version} of the plugin API, which goes with pushkit {DEPRECATED[version]}"
