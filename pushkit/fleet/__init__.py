"""Pushing to many hosts, written once for every strategy that pushes files to hosts.

A strategy adds `FleetOptions` to its own options, and answers `Strategy.of` with a `Fleet` when there are ``hosts``. A
host source is a function (`HostSource`) that lists hosts. The names here are imported when they are used: a push to one
host does without most of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushkit.fleet.host import Host, expanded, parse
    from pushkit.fleet.options import FleetOptions, RolloutOptions
    from pushkit.fleet.source import HostSource
    from pushkit.fleet.state import State
    from pushkit.fleet.strategy import Fleet

_MODULES = {
    "host": ("Host", "expanded", "parse"),
    "options": ("FleetOptions", "RolloutOptions"),
    "source": ("HostSource",),
    "state": ("State",),
    "strategy": ("Fleet",),
}

__all__ = ["Fleet", "FleetOptions", "Host", "HostSource", "RolloutOptions", "State", "expanded", "parse"]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415  (only when a name is used)

            return getattr(import_module(f"pushkit.fleet.{module}"), name)
    raise AttributeError(f"module 'pushkit.fleet' has no attribute {name!r}")
