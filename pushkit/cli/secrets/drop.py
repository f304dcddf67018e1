"""``push secrets rm``: remove a secret."""

from __future__ import annotations

import click

from pushkit.cli.secrets.desk import desk, for_target, options
from pushkit.cli.settings import Settings
from pushkit.errors import UsageError
from pushkit.secrets.secrets_file import FILE, locked
from pushkit.suggestion import did_you_mean


@click.command()
@click.argument("name")
@for_target
@options
@click.pass_obj
def command(settings: Settings, name: str, target: str) -> None:
    """Remove NAME from the secrets file. What was committed stays in its history: change it where it is used too."""
    with desk(settings) as at, locked(at.root):
        wanted = at.name(name, target)
        file = at.file()
        if wanted not in file.secrets:
            known = list(map(str, file.secrets))
            hint = did_you_mean(str(wanted), known) or "see which there are: push secrets list"
            raise UsageError(f"{FILE} has no secret {wanted}", hint=hint)
        file.without_secret(wanted).write()
        at.tell(f"{wanted} is removed", "secret-changed", name=str(wanted), done="removed")
