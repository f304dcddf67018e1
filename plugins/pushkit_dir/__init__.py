"""The strategy ``dir``: a directory of this machine, or one that is mounted on it."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_dir.strategy import DirStrategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return DirStrategy
