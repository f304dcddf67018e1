"""``push plugins``: what is installed."""

from __future__ import annotations

from collections import Counter

import click

from pushkit import registry
from pushkit.cli.columns import columns
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.text import visible


@click.command()
@common("json")
@click.pass_obj
def command(settings: Settings) -> None:
    """List plugins: kind, name, version and distribution.

    None is imported: one that is listed may still be broken. Where two distributions claim one name, neither can
    be used, and both lines end in "conflict".
    """
    rows = []
    for group in registry.GROUPS:
        plugins = registry.names(group)
        claims = Counter(plugin.name for plugin in plugins)
        for plugin in plugins:
            conflict = claims[plugin.name] > 1
            if settings.json:
                values = {"kind": registry.NOUNS[group], "name": plugin.name, "plugin_version": plugin.version}
                say(json_line("plugin", **values, distribution=plugin.distribution, conflict=conflict))
            kind = registry.NOUNS[group].replace(" ", "-")
            rows.append((kind, plugin.name, plugin.version, plugin.distribution, "conflict" if conflict else ""))
    if not settings.json:
        for row in columns([tuple(map(visible, row)) for row in rows]):
            say(row)
