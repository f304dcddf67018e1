"""``push secrets key``: say which public key is yours."""

from __future__ import annotations

import click

from pushkit.cli.context import user
from pushkit.cli.secrets.begin import own
from pushkit.cli.secrets.desk import desk, options
from pushkit.cli.settings import Settings
from pushkit.cli.stdout import say
from pushkit.ui.jsonl import line as json_line


@click.command()
@options
@click.pass_obj
def command(settings: Settings) -> None:
    """Write your public key to stdout, for a recipient to add. Where you have no key yet, one is made.

    It is the first that is found where push looks for one: PUSH_AGE_KEY, PUSH_AGE_KEY_FILE, PUSH_AGE_KEY_COMMAND, your
    configuration, ~/.ssh/id_ed25519.
    """
    with desk(settings) as at:
        public = own(at, user()).key
        say(json_line("secrets-key", key=public) if settings.json else public)
