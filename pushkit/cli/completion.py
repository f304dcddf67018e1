"""``push completion``: targets and commands at the press of a key."""

from __future__ import annotations

import sys

import click

from pushkit.cli.settings import settings_of
from pushkit.cli.stdout import say
from pushkit.ui.reporter import Lines

# For each shell, the file that its line belongs in, and the line.
_LINES = {
    "bash": ("~/.bashrc", 'eval "$(_{variable}_COMPLETE=bash_source {program})"'),
    "zsh": ("~/.zshrc", 'eval "$(_{variable}_COMPLETE=zsh_source {program})"'),
    "fish": ("~/.config/fish/completions/{program}.fish", "_{variable}_COMPLETE=fish_source {program} | source"),
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_LINES)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the line that makes SHELL complete commands and targets, and say where it belongs."""
    program = ctx.find_root().info_name or "push"
    file, line = (text.format(program=program, variable=program.upper()) for text in _LINES[shell])
    if not settings_of(ctx).quiet:
        Lines(sys.stderr)(f"for {file}:")
    say(line)
