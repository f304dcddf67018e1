"""Plugins: from entry points to the objects they offer, one plugin at a time.

Listing plugins imports none of them. Getting one imports that one, and every way in which a plugin can be
broken ends as a `PluginError` that names the distribution it came with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pluggy
from msgspec import Struct

from pushkit import __version__, hookspecs, plugin_api
from pushkit.errors import PluginError
from pushkit.suggestion import did_you_mean

if TYPE_CHECKING:
    import click

    from pushkit.host_source import HostSource
    from pushkit.observer import Observer
    from pushkit.secrets.source import SecretSource
    from pushkit.store import Store
    from pushkit.strategy import Strategy
    from pushkit.traffic import Traffic


class Plugin(Struct, frozen=True, order=True):
    """One entry point, by its ``name`` in the group ``pushkit.`` + ``group``. ``module`` is the object it names."""

    group: str
    name: str
    distribution: str
    version: str
    module: str

    def __str__(self) -> str:
        return f'{NOUNS[self.group]} "{self.name}" ({self.distribution} {self.version})'


GROUPS: dict[str, type] = {
    "strategies": hookspecs.StrategyHooks,
    "observers": hookspecs.ObserverHooks,
    "host_sources": hookspecs.HostSourceHooks,
    "secret_sources": hookspecs.SecretSourceHooks,
    "traffic": hookspecs.TrafficHooks,
    "stores": hookspecs.StoreHooks,
    "commands": hookspecs.CommandHooks,
}
"""The groups of plugins, each with the class of its hooks."""

NOUNS = {
    "strategies": "strategy",
    "observers": "observer",
    "host_sources": "host source",
    "secret_sources": "secret source",
    "traffic": "traffic plugin",
    "stores": "store",
    "commands": "command",
}


@cache
def names(group: str) -> Sequence[Plugin]:
    """The installed plugins of a group, by name. One name twice means that two distributions claim it."""
    # Not at the top: `push --help` reads no metadata of distributions.
    from importlib.metadata import entry_points  # noqa: PLC0415

    # Each time that it is asked for, the metadata of a distribution is parsed, all of its description included.
    parsed: dict[int, tuple[str, str]] = {}
    found = []
    for entry in entry_points(group=f"pushkit.{group}"):
        # A bare entry point of no distribution cannot be installed, only made by hand.
        said = parsed.get(id(entry.dist)) or ((entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "0"))
        parsed[id(entry.dist)] = said
        found.append(Plugin(group, entry.name, *said, entry.value))
    return tuple(sorted(found))


def strategy(name: str) -> type[Strategy[Any]]:
    """The strategy's class. Raises `PluginError` when it is unknown, ambiguous or broken."""
    from pushkit.strategy import Strategy  # noqa: PLC0415  (only for those who need it)

    result: type[Strategy[Any]] = _result("strategies", name, "pushkit_strategy", _no_subclass(Strategy, name))
    return result


def observer(name: str) -> type[Observer[Any]]:
    """The observer's class. Raises `PluginError` when it is unknown, ambiguous or broken."""
    from pushkit.observer import Observer  # noqa: PLC0415  (only for those who need it)

    result: type[Observer[Any]] = _result("observers", name, "pushkit_observer", _no_subclass(Observer, name))
    return result


def explained(group: str, name: str) -> type[Any]:
    """The class of a strategy or an observer whose options can all be explained: each has a JSON Schema.

    A push does without: schemas of many options take as long as all else that is loaded. Raises `PluginError`.
    """
    from pushkit.options import without_schema  # noqa: PLC0415  (only for those who need it)

    kind: type[Any] = strategy(name) if group == "strategies" else observer(name)
    if field := without_schema(kind.Options):
        plugin = find(group, name)
        raise PluginError(
            f"{plugin} has an option that nothing can explain, {field}",
            hint=f"this is for the authors of {plugin.distribution}",
        )
    return kind


def secret_source(name: str) -> SecretSource:
    """The function behind ``${name:...}``. Raises `PluginError` when it is unknown, ambiguous or broken."""
    result: SecretSource = _result("secret_sources", name, "pushkit_secret_source", _not_a_function)
    return result


def host_source(name: str) -> HostSource:
    """The function behind ``NAME:...`` in `hosts`. Raises `PluginError` when it is unknown, ambiguous or broken."""
    result: HostSource = _result("host_sources", name, "pushkit_host_source", _not_a_function)
    return result


def traffic(name: str) -> Traffic:
    """The function that turns the traffic. Raises `PluginError` when it is unknown, ambiguous or broken."""
    result: Traffic = _result("traffic", name, "pushkit_traffic", _not_a_function)
    return result


def store(name: str) -> type[Store[Any]]:
    """The store's class. Raises `PluginError` when it is unknown, ambiguous or broken."""
    from pushkit.store import Store  # noqa: PLC0415  (only for those who need it)

    result: type[Store[Any]] = _result("stores", name, "pushkit_store", _no_subclass(Store, name))
    return result


def command(name: str) -> click.Command:
    """The click command. Raises `PluginError` when it is unknown, ambiguous or broken."""
    import click  # noqa: PLC0415  (only for a command that a plugin brings)

    def check(result: Any) -> str:
        if isinstance(result, click.Command):
            return ""
        return f"gives {_described(result)} where a click command is expected"

    result: click.Command = _result("commands", name, "pushkit_command", check)
    return result


def load(plugin: Plugin) -> Any:
    """What a plugin of any group offers. Raises `PluginError` when its name is ambiguous, or it is broken."""
    getters: dict[str, Callable[[str], Any]] = {
        "strategies": partial(explained, "strategies"),
        "observers": partial(explained, "observers"),
        "host_sources": host_source,
        "secret_sources": secret_source,
        "traffic": traffic,
        "stores": store,
        "commands": command,
    }
    return getters[plugin.group](plugin.name)


def find(group: str, name: str) -> Plugin:
    """The one plugin of that name. Imports nothing. Raises `PluginError` for none and for several."""
    claimants = [plugin for plugin in names(group) if plugin.name == name]
    noun = NOUNS[group]
    if not claimants:
        known = sorted({plugin.name for plugin in names(group)})
        raise PluginError(
            f'there is no {noun} "{name}"',
            hint=did_you_mean(name, known) or (f"installed: {', '.join(known)}" if known else "none is installed"),
        )
    if len(claimants) > 1:
        both = " and ".join(f"{each.distribution} {each.version}" for each in claimants)
        raise PluginError(
            f'the {noun} "{name}" is claimed by {both}', hint="uninstall all but one of these distributions"
        )
    return claimants[0]


@cache
def _manager(group: str) -> pluggy.PluginManager:
    # One manager a group: on a shared one, the second plugin of a name is skipped, whatever its group.
    manager = pluggy.PluginManager("pushkit")
    manager.add_hookspecs(GROUPS[group])
    return manager


# Secrets are resolved in threads: two of them must not register one plugin.
_LOCK = threading.RLock()
_notices: list[str] = []


def _result(group: str, name: str, hook: str, check: Callable[[Any], str]) -> Any:
    """What the plugin's hook returns. ``check`` says what is wrong with that, if anything.

    A plugin that turns out to be broken is forgotten again, so that it breaks no other.
    """
    with _LOCK:
        return _asked(find(group, name), hook, check)


def _asked(plugin: Plugin, hook: str, check: Callable[[Any], str]) -> Any:
    name = plugin.name
    manager = _manager(plugin.group)
    try:
        if not manager.has_plugin(name):
            _import(plugin, manager)
            _negotiate(plugin, manager.get_plugin(name))
        this = manager.get_plugin(name)
        others = [each for each in manager.get_plugins() if each is not this]
        call = manager.subset_hook_caller(hook, remove_plugins=others)
        results = _guarded(plugin, f"failed in {hook}", call)
        if len(results) != 1:
            raise PluginError(f"{plugin} does not implement {hook}", hint=f"its module is {plugin.module}")
        if wrong := check(results[0]):
            raise PluginError(f"{plugin} {wrong}", hint=f"this is for the authors of {plugin.distribution}")
    except PluginError:
        if manager.has_plugin(name):
            manager.unregister(name=name)
        raise
    return results[0]


def _import(plugin: Plugin, manager: pluggy.PluginManager) -> None:
    for other in names(plugin.group):
        # pluggy registers an object once, whatever its name, and raises a ValueError for the second.
        if other.module == plugin.module and manager.has_plugin(other.name):
            raise PluginError(
                f"{plugin} is the same module as {other}: {plugin.module}",
                hint="a plugin is a module of its own",
            )
    group = f"pushkit.{plugin.group}"
    plugin_api.heard()
    _guarded(plugin, "cannot be imported", lambda: manager.load_setuptools_entrypoints(group, name=plugin.name))
    _notices.extend(f"{plugin} uses what will go: {each}" for each in plugin_api.heard())
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        callers = manager.get_hookcallers(manager.get_plugin(plugin.name)) or []
        mistyped = [caller.name for caller in callers if not caller.has_spec()]
        known = [name for name in vars(GROUPS[plugin.group]) if not name.startswith("_")]
        raise PluginError(
            f"{plugin} implements {', '.join(mistyped)}, which is no hook of a {NOUNS[plugin.group]}",
            hint=did_you_mean(mistyped[0], known) or f"a {NOUNS[plugin.group]} implements {', '.join(known)}",
        ) from error


def _negotiate(plugin: Plugin, module: Any) -> None:
    """Refuse a plugin that is written for another version of the API, and note one whose version will go."""
    try:
        version = plugin_api.wanted(module)
    except ValueError as error:
        raise PluginError(f"{plugin} {error}", hint=f"this is for the authors of {plugin.distribution}") from error
    wrong, hint = plugin_api.refusal(version)
    if wrong:
        raise PluginError(f"{plugin} {wrong}", hint=hint.format(distribution=plugin.distribution))
    if told := plugin_api.notice(version):
        _notices.append(f"{plugin} {told}: update {plugin.distribution}, or tell its authors")


def notices() -> list[str]:
    """What those who use the plugins that were loaded since this was asked last should know of them."""
    with _LOCK:
        told = list(_notices)
        _notices.clear()
    return told


def _guarded(plugin: Plugin, what: str, act: Callable[[], Any]) -> Any:
    """Do ``act``, which runs the plugin's code. A plugin may raise anything at all, and even try to exit."""
    try:
        return act()
    except ImportError as error:
        hint = f"{plugin.distribution} is not installed completely: install it again, in this environment"
        if (error.name or "").split(".")[0] == "pushkit":
            hint = f"it is written for another version of pushkit than {__version__}: update one of them"
        raise PluginError(f"{plugin} {what}: {error}", hint=hint) from error
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{plugin} {what}: {type(error).__name__}: {error}",
            hint=f"this is for the authors of {plugin.distribution}",
        ) from error


def _no_subclass(base: type, name: str) -> Callable[[Any], str]:
    """A check that a plugin gives a complete subclass of ``base`` that is called ``name``."""
    from pushkit.options import Options  # noqa: PLC0415  (only for those who need it)

    def check(result: Any) -> str:
        if not (isinstance(result, type) and issubclass(result, base)):
            return f"gives {_described(result)} where a subclass of {base.__name__} is expected"
        if (own_name := getattr(result, "name", None)) != name:
            return f"calls itself {own_name!r}; its `name` has to be that of its entry point"
        options = getattr(result, "Options", None)
        if not (isinstance(options, type) and issubclass(options, Options)):
            return "has no `Options`, a subclass of pushkit.Options"
        undefined = ", ".join(sorted(getattr(result, "__abstractmethods__", ())))
        return f"does not define {undefined}" if undefined else ""

    return check


def _not_a_function(result: Any) -> str:
    return "" if callable(result) else f"gives {_described(result)} where a function is expected"


def _described(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
