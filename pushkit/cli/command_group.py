"""`CommandGroup`: commands within a command, each imported when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class CommandGroup(click.Group):
    """A click group: ``@click.group(cls=CommandGroup, modules=...)``.

    ``modules`` are, by the name of each command, the module that has it as ``command``, and its line of help.
    """

    def __init__(self, *arguments: Any, modules: Mapping[str, tuple[str, str]], **more: Any) -> None:
        # Who names none is told so in one line, as of any other mistake.
        super().__init__(*arguments, **{"no_args_is_help": False, **more})
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported; None for any other name."""
        if cmd_name not in self.modules:
            return None
        command = import_module(self.modules[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.modules.items()])
