"""The strategy ``http``: an archive of the snapshot, sent to an HTTP endpoint."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_http.strategy import HttpStrategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return HttpStrategy
