"""The strategy ``heroku``: an app on Heroku, by git or by its builds API."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_heroku.strategy import HerokuStrategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return HerokuStrategy
