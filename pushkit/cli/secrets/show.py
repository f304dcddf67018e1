"""``push secrets get``: show a secret."""

from __future__ import annotations

import click

from pushkit.cli.secrets.desk import desk, for_target, options
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import PushRefused
from pushkit.ui.jsonl import line as json_line


@click.command()
@click.argument("name")
@for_target
@common("yes")
@options
@click.pass_obj
def command(settings: Settings, name: str, target: str) -> None:
    """Write the value of NAME to stdout, after a yes: as TARGET has it, which may be everybody's."""
    with desk(settings) as at:
        wanted = at.name(name, target)
        file = at.file()
        found = file.find(wanted.name, wanted.target)
        if not at.confirm(f"Show {found} on this screen?"):
            raise PushRefused(f"{found} was not shown")
        value = file.open(found, at.identities(file)).value
        say(json_line("secret-value", name=str(found), value=value) if settings.json else value)
