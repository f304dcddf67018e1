"""The versions of the plugin API: what a plugin is written for, and whether that is still, or not yet, to be had.

A plugin's module says ``pushkit_api = 1``. One that says nothing is written for version 1. A version is deprecated for
at least one minor release of pushkit before it goes; who uses a plugin that is written for it is told, and by when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushkit import __version__

#: The version that is current, and the oldest that still works.
CURRENT = 1
OLDEST = 1
#: The versions that will go: the version of pushkit that they go with.
DEPRECATED: Mapping[int, str] = {}
#: What a plugin's module calls the version it is written for.
WORD = "pushkit_api"


def wanted(module: Any) -> int:
    """The version that a plugin's module is written for. Raises ValueError where it says something odd."""
    found = getattr(module, WORD, 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"says {WORD} = {found!r}, where a number from 1 is expected")
    return found


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
