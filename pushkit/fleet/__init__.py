"""Pushing to many hosts, written once for every strategy that pushes files to hosts.

A strategy adds `FleetOptions` to its own options, and answers `Strategy.of` with a `Fleet` when there are ``hosts``, or
`Pools` when there are those. A host source is a function (`HostSource`) that lists hosts, a `Traffic` one that turns
the traffic from one pool to the other; a `Store` keeps what hosts fetch. The names here are imported when they are
used: a push to one host does without most of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkit.plugin_api import leaving

if TYPE_CHECKING:
    from pushkit.fleet.host import filled, parse
    from pushkit.fleet.options import FleetOptions, RolloutOptions
    from pushkit.fleet.pools import Pools
    from pushkit.fleet.source import Hosts
    from pushkit.fleet.state import State
    from pushkit.fleet.strategy import Fleet
    from pushkit.host_source import HostSource
    from pushkit.model import Host
    from pushkit.store import Store
    from pushkit.traffic import Traffic

_MODULES = {
    "fleet.host": ("filled", "parse"),
    "fleet.options": ("FleetOptions", "RolloutOptions"),
    "fleet.pools": ("Pools",),
    "fleet.source": ("Hosts",),
    "fleet.state": ("State",),
    "fleet.strategy": ("Fleet",),
    "host_source": ("HostSource",),
    "model": ("Host",),
    "store": ("Store",),
    "traffic": ("Traffic",),
}

__all__ = [
    "Fleet",
    "FleetOptions",
    "Host",
    "HostSource",
    "Hosts",
    "Pools",
    "RolloutOptions",
    "State",
    "Store",
    "Traffic",
    "filled",
    "parse",
]


if not TYPE_CHECKING:
    # Who checks types sees the names that there are, and no others.

    def __getattr__(name: str) -> Any:
        for module, names in _MODULES.items():
            if name in names:
                from importlib import import_module  # noqa: PLC0415  (only when a name is used)

                return getattr(import_module(f"pushkit.{module}"), name)
        return leaving(__name__, name)
