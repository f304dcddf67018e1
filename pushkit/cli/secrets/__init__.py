"""``push secrets``: the group of commands about the project's secrets file."""

from __future__ import annotations

from importlib import import_module

import click

# Every command with the module that has it as ``command``, and its line of help.
COMMANDS = {
    "init": ("begin", "Make the secrets file."),
    "set": ("keep", "Keep a secret, encrypted."),
    "get": ("show", "Show a secret."),
    "list": ("names", "List the names of the secrets."),
    "rm": ("drop", "Remove a secret."),
    "edit": ("edit", "Change secrets in your editor."),
    "import": ("take", "Take secrets over from a .env file."),
    "recipients": ("recipients", "Say who can read the secrets."),
    "rekey": ("rekey", "Encrypt for the recipients of now."),
    "doctor": ("doctor", "Look for what puts secrets at risk."),
}


class Commands(click.Group):
    """The commands of `COMMANDS`, each imported when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported; None for any other name."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"pushkit.cli.secrets.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group("secrets", cls=Commands, no_args_is_help=False)
def command() -> None:
    """Keep the project's secrets in push.secrets.toml beside the Pushfile, each encrypted for those who may read it.

    A Pushfile refers to one as ${secret:NAME}.
    """
