"""``push targets``: the targets of this Pushfile."""

from __future__ import annotations

import re

import click

from pushkit import pushfile
from pushkit.cli.columns import columns
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.model import Target
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.text import visible

# What strategies call the place they push to, of any strategy: none is imported to list targets. No other option
# is shown, for it may be a password.
_PLACES = ("host", "hosts", "pools", "app", "bucket", "url", "path", "run", "script")


@click.command()
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings) -> None:
    """List the targets: name, strategy, where it pushes to, and which one is the default.

    No target is validated: push check does that.
    """
    project = pushfile.load(pushfile.find(settings.pushfile), select=None)
    rows = []
    for target in project.targets.values():
        default = target.name == project.default
        if settings.json:
            say(json_line("target", name=target.name, strategy=target.strategy, where=where(target), default=default))
        else:
            rows.append((target.name, target.strategy or "?", where(target) or "-", "default" if default else ""))
    for row in columns([tuple(map(visible, row)) for row in rows]):
        say(row)


def where(target: Target) -> str:
    """The place that a target pushes to, as its Pushfile puts it: ``web1:/srv/blog``. Without passwords."""
    parts = []
    for key in _PLACES:
        match target.table.get(key):
            case str(text) if text:
                parts.append(re.sub(r"://[^/@]*@", "://", text))
            case list(items) if items:
                parts.append(",".join(map(str, items)))
    return ":".join(parts)
