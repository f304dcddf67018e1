"""``push codedeploy``: the group of commands about CodeDeploy that need no target."""

from __future__ import annotations

from importlib import import_module

import click

from pushkit import hookimpl

#: Each command with the module that has it as ``command``, and its line of help.
COMMANDS = {
    "local": ("pushkit_aws.local.command", "Deploy a bundle to this machine, without agent and AWS."),
    "iam": ("pushkit_aws.iam.command", "Print the policies that a target needs."),
    "validate": ("pushkit_aws.local.validate", "Look for what is wrong with an AppSpec."),
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
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Commands)
def command() -> None:
    """What is about CodeDeploy and needs no target."""


@hookimpl
def pushkit_command() -> click.Command:
    """The group."""
    return command
