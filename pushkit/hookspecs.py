"""Every hook that a plugin may implement, one entry-point group a class.

A plugin is a module that an entry point names. The name of the entry point is the name a Pushfile or a
command line uses; the module is imported only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from pushkit.host_source import HostSource
    from pushkit.observer import Observer
    from pushkit.secrets.source import SecretSource
    from pushkit.store import Store
    from pushkit.strategy import Strategy
    from pushkit.traffic import Traffic

hookspec = pluggy.HookspecMarker("pushkit")
hookimpl = pluggy.HookimplMarker("pushkit")


class StrategyHooks:
    """Group ``pushkit.strategies``: ways to push."""

    @hookspec
    def pushkit_strategy(self) -> type[Strategy]:  # type: ignore[type-arg,empty-body]
        """Return the strategy's class. Its ``name`` is the name of the entry point."""


class SecretSourceHooks:
    """Group ``pushkit.secret_sources``: what ``${NAME:...}`` may refer to."""

    @hookspec
    def pushkit_secret_source(self) -> SecretSource:  # type: ignore[empty-body]
        """Return the function that resolves the part of a reference after the colon."""


class HostSourceHooks:
    """Group ``pushkit.host_sources``: what ``hosts = ["NAME:..."]`` may refer to."""

    @hookspec
    def pushkit_host_source(self) -> HostSource:  # type: ignore[empty-body]
        """Return the function that lists the hosts of the part after the colon."""


class TrafficHooks:
    """Group ``pushkit.traffic``: what turns the traffic, ``traffic = { plugin = "NAME:..." }``."""

    @hookspec
    def pushkit_traffic(self) -> Traffic:  # type: ignore[empty-body]
        """Return the function that turns the traffic to a pool, and says which one has it."""


class StoreHooks:
    """Group ``pushkit.stores``: where hosts fetch what is pushed to them, ``store = "NAME://..."``."""

    @hookspec
    def pushkit_store(self) -> type[Store]:  # type: ignore[type-arg,empty-body]
        """Return the store's class. Its ``name`` is the name of the entry point."""


class ObserverHooks:
    """Group ``pushkit.observers``: who hears of a push and cannot stop it."""

    @hookspec
    def pushkit_observer(self) -> type[Observer]:  # type: ignore[type-arg,empty-body]
        """Return the observer's class. Its ``name`` is the name of the entry point."""


class CommandHooks:
    """Group ``pushkit.commands``: more commands of ``push``."""

    @hookspec
    def pushkit_command(self) -> click.Command:  # type: ignore[empty-body]
        """Return the click command. Its name is the name of the entry point."""
