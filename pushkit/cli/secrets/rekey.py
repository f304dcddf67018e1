"""``push secrets rekey``: encrypt for the recipients of now."""

from __future__ import annotations

import click

from pushkit.amount import counted
from pushkit.cli.secrets.desk import Desk, desk, options
from pushkit.cli.settings import Settings
from pushkit.secrets.name import Name
from pushkit.secrets.secrets_file import SecretsFile, locked


@click.command()
@click.option("--all", "every", is_flag=True, help="Encrypt all anew, also what is encrypted for the right ones.")
@options
@click.pass_obj
def command(settings: Settings, every: bool) -> None:
    """Encrypt each secret anew that is not encrypted for the recipients of now, all of them and nobody else.

    The values stay the same: who could read one before knows it still.
    """
    with desk(settings) as at, locked(at.root):
        file, changed = rekeyed(at, at.file(), every=every)
        if changed:
            file.write()
        names = ", ".join(sorted(file.recipients))
        at.tell(
            f"{counted(len(changed), 'secret')} encrypted anew, for {names}",
            "rekeyed",
            names=[str(name) for name in changed],
        )


def rekeyed(at: Desk, file: SecretsFile, *, every: bool = False) -> tuple[SecretsFile, list[Name]]:
    """``file`` with each secret encrypted for its recipients, and which were not before; ``every`` renews all."""
    changed = []
    for name in sorted(file.secrets):
        opened = at.open(file, name)
        if every or not file.is_for_all(opened):
            file = file.rekeyed(opened)
            changed.append(name)
    return file, changed
