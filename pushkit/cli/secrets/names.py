"""``push secrets list``: the names of the secrets."""

from __future__ import annotations

import click

from pushkit.cli.columns import columns
from pushkit.cli.secrets.desk import desk, options
from pushkit.cli.settings import Settings
from pushkit.cli.stdout import say
from pushkit.ui.jsonl import line as json_line


@click.command()
@options
@click.pass_obj
def command(settings: Settings) -> None:
    """List each secret with the target it is for. Nothing is decrypted."""
    with desk(settings) as at:
        names = sorted(at.file().secrets)
    if settings.json:
        for name in names:
            say(json_line("secret", name=name.name, target=name.target))
    elif names:
        for line in columns([(name.name, name.target or "every target") for name in names]):
            say(line)
