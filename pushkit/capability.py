"""What only some strategies can do, asked of one that may not: `UsageError` says so by its name."""

from __future__ import annotations

from typing import Any

from pushkit.errors import UsageError
from pushkit.strategy import Comparable, Inspectable, Joinable, Lockable, Preparable, Resumable, Revertible, Strategy


def inspectable(strategy: Strategy[Any]) -> Inspectable:
    """``strategy``, if its target remembers pushes."""
    if not isinstance(strategy, Inspectable):
        raise UsageError(f"the {strategy.name} strategy does not know what is live on its target")
    return strategy


def comparable(strategy: Strategy[Any]) -> Comparable:
    """``strategy``, if it can look into what is live."""
    if not isinstance(strategy, Comparable):
        raise UsageError(f"the {strategy.name} strategy cannot look into what is live on its target")
    return strategy


def lockable(strategy: Strategy[Any]) -> Lockable:
    """``strategy``, if its target has a queue."""
    if not isinstance(strategy, Lockable):
        raise UsageError(f"the {strategy.name} strategy keeps no queue")
    return strategy


def preparable(strategy: Strategy[Any]) -> Preparable:
    """``strategy``, if it can send now and switch later."""
    if not isinstance(strategy, Preparable):
        raise UsageError(f"the {strategy.name} strategy cannot prepare a release: what it pushes is live at once")
    return strategy


def revertible(strategy: Strategy[Any]) -> Revertible:
    """``strategy``, if it can make an earlier release live again."""
    if not isinstance(strategy, Revertible):
        raise UsageError(f"the {strategy.name} strategy cannot roll back")
    return strategy


def resumable(strategy: Strategy[Any]) -> Resumable:
    """``strategy``, if it can complete a push that died."""
    if not isinstance(strategy, Resumable):
        raise UsageError(f"the {strategy.name} strategy cannot resume a push")
    return strategy


def joinable(strategy: Strategy[Any]) -> Joinable:
    """``strategy``, if its target is many hosts."""
    if not isinstance(strategy, Joinable):
        raise UsageError("there are no other hosts to join", hint="`hosts` in the Pushfile makes a target many")
    return strategy
