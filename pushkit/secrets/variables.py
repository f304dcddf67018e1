"""The environment variables that say what decrypts a project's secrets. What push starts does not get them."""

from __future__ import annotations

import os

KEY = "PUSH_AGE_KEY"
FILE = "PUSH_AGE_KEY_FILE"
COMMAND = "PUSH_AGE_KEY_COMMAND"
IDENTITY = (KEY, FILE, COMMAND)

_kept: dict[str, str] = {}


def keep() -> None:
    """Take them out of this process's environment, for `given` alone: git, hooks, editors and whatever a plugin starts
    inherit it.
    """
    for name in IDENTITY:
        if name in os.environ:
            _kept[name] = os.environ.pop(name)


def given(name: str) -> str:
    """The variable ``name``, empty when it is not set."""
    return os.environ.get(name) or _kept.get(name, "")
