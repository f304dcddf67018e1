"""The strategy ``git``: the snapshot, or the commit it came from, to a branch of a git repository."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_git.options import GitOptions
from pushkit_git.strategy import GitPlan, GitStrategy

__all__ = ["GitOptions", "GitPlan", "GitStrategy"]


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return GitStrategy
