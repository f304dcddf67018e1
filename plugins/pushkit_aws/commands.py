"""``push codedeploy``: the group of commands about CodeDeploy that need no target."""

from __future__ import annotations

import click

from pushkit import CommandGroup, hookimpl

#: Each command with the module that has it as ``command``, and its line of help.
COMMANDS = {
    "local": ("pushkit_aws.local.command", "Deploy a bundle to this machine, without agent and AWS."),
    "iam": ("pushkit_aws.iam.command", "Print the policies that a target needs."),
    "validate": ("pushkit_aws.local.validate", "Look for what is wrong with an AppSpec."),
}


@click.group(cls=CommandGroup, modules=COMMANDS)
def command() -> None:
    """What is about CodeDeploy and needs no target."""


@hookimpl
def pushkit_command() -> click.Command:
    """The group."""
    return command
