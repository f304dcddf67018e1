"""``push plugins``: what is installed, whether it works, and the beginning of one more."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import metadata

import click

from pushkit import registry
from pushkit.cli.columns import columns
from pushkit.cli.command_group import CommandGroup
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import PluginError
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.text import visible

COMMANDS = {"new": ("pushkit.cli.plugins.new", "Begin a plugin: a project whose tests pass.")}


@click.group("plugins", cls=CommandGroup, modules=COMMANDS, invoke_without_command=True)
@click.option("--check", is_flag=True, help="Import each, and say what is wrong with those that are broken.")
@common("json")
@click.pass_context
def command(ctx: click.Context, *, check: bool) -> None:
    """List plugins: kind, name, version, distribution, and the directory that it is installed in.

    Without --check none is imported: one that is listed may still be broken. Where two distributions claim one name,
    neither can be used, and both lines end in "conflict".
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = ctx.obj
    assert isinstance(settings, Settings)
    rows = []
    broken: list[PluginError] = []
    for group in registry.GROUPS:
        plugins = registry.names(group)
        claims = Counter(plugin.name for plugin in plugins)
        for plugin in plugins:
            conflict = claims[plugin.name] > 1
            trouble = trouble_with(plugin) if check else None
            broken += [trouble] if trouble else []
            origin = where(plugin.distribution, plugin.version)
            if settings.json:
                values = {"kind": registry.NOUNS[group], "name": plugin.name, "plugin_version": plugin.version}
                values |= {"distribution": plugin.distribution, "module": plugin.module, "origin": origin}
                say(json_line("plugin", **values, conflict=conflict, broken=text(trouble)))
            kind = registry.NOUNS[group].replace(" ", "-")
            state = "conflict" if conflict else "broken" if trouble else ""
            rows.append((kind, plugin.name, plugin.version, plugin.distribution, origin, state))
    if not settings.json:
        for row in columns([tuple(map(visible, row)) for row in rows]):
            say(row)
    if broken:
        told = dict.fromkeys(map(text, broken))
        raise PluginError("; ".join(told), hint=broken[0].hint)


@cache
def where(distribution: str, version: str) -> str:
    """The directory that holds the metadata of a distribution, empty where that is unknown."""
    for found in metadata.distributions(name=distribution):
        if found.version == version:
            return str(found.locate_file(""))
    return ""


def trouble_with(plugin: registry.Plugin) -> PluginError | None:
    """What is wrong with a plugin, once it is imported."""
    try:
        registry.load(plugin)
    except PluginError as error:
        return error
    return None


def text(trouble: PluginError | None) -> str:
    """What is wrong, empty where nothing is."""
    return trouble.message if trouble else ""
