"""The strategy ``script``: a command or a script of the user's does the push."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_script.strategy import ScriptStrategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return ScriptStrategy
