"""``push secrets``: the group of commands about the project's secrets file."""

from __future__ import annotations

import click

from pushkit.cli.command_group import CommandGroup

# Each command with the module that has it as ``command``, and its line of help.
COMMANDS = {
    "init": ("pushkit.cli.secrets.begin", "Make the secrets file."),
    "set": ("pushkit.cli.secrets.keep", "Keep a secret, encrypted."),
    "get": ("pushkit.cli.secrets.show", "Show a secret."),
    "list": ("pushkit.cli.secrets.names", "List the names of the secrets."),
    "rm": ("pushkit.cli.secrets.drop", "Remove a secret."),
    "edit": ("pushkit.cli.secrets.edit", "Change secrets in your editor."),
    "import": ("pushkit.cli.secrets.take", "Take secrets over from a .env file."),
    "key": ("pushkit.cli.secrets.key", "Say which public key is yours."),
    "recipients": ("pushkit.cli.secrets.recipients", "Say who can read the secrets."),
    "rekey": ("pushkit.cli.secrets.rekey", "Encrypt for the recipients of now."),
    "doctor": ("pushkit.cli.secrets.doctor", "Look for what puts secrets at risk."),
}


@click.group("secrets", cls=CommandGroup, modules=COMMANDS)
def command() -> None:
    """Keep the project's secrets in push.secrets.toml beside the Pushfile, each encrypted for those who may read it.

    A Pushfile refers to one as ${secret:NAME}.
    """
