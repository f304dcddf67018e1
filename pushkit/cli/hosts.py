"""``push hosts``: the hosts of a target, in the order of a rollout."""

from __future__ import annotations

import click

from pushkit.cli.columns import columns
from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.jsonl import plain


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, target: str | None) -> None:
    """List the hosts of TARGET, in the order of a rollout, with their pool and zone. Sources are asked; no host is."""
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project, quiet=True) as made:
        hosts = made.hosts(name)
    if settings.json:
        for host in hosts:
            say(json_line("host", target=name, **plain(host)))
        return
    for row in columns([(str(host), host.pool or "-", host.zone or "-") for host in hosts]):
        say(row)
