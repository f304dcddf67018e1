"""The page of commands: what ``--help`` knows of each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from markdown_text import code, documented, table
from pushkit import registry
from pushkit.cli.group import COMMANDS, PUSH, group
from pushkit.cli.settings import EVERYWHERE

Named = tuple[str, click.Command]


def commands() -> Iterator[Named]:
    """Every command that comes with pushkit, groups before what is in them, by what is typed."""
    root = click.Context(group, info_name="push")
    for name in (PUSH, *COMMANDS, *own()):
        command = group.get_command(root, name) or registry.command(name)
        yield from within("push" if name == PUSH else f"push {name}", command)


def own() -> list[str]:
    """The commands that come with pushkit as plugins."""
    return [plugin.name for plugin in registry.names("commands") if plugin.distribution == "pushkit"]


def within(typed: str, command: click.Command) -> Iterator[Named]:
    """``command``, then its own commands at any depth."""
    yield typed, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=typed)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, f"{typed} lists {name}, and has none"
            yield from within(f"{typed} {name}", inner)


def page() -> str:
    """The page, a section a command."""
    intro = (
        "# Commands\n\nThis page is made from the program itself: `push COMMAND --help` says the same. Every command "
        "also takes `-q` (say only what is wrong), `-v` (say every step) and `--no-color`, before its name or after "
        "it.\n\n"
    )
    return intro + overview() + "\n".join(section(typed, command) for typed, command in commands())


def overview() -> str:
    """The commands in the order of a person's first days with them, each with its line of help."""
    lines = {"": "Push to the default target, or to those that are named.", **COMMANDS}
    for plugin in own():
        lines[plugin] = (registry.command(plugin).help or "").strip().partition("\n\n")[0]
    rows = [
        (f"[{code(f'push {name}'.rstrip())}](#push{f'-{name}' * bool(name)})", words) for name, words in lines.items()
    ]
    return table(("command", "does"), rows) + "\n\n"


def section(typed: str, command: click.Command) -> str:
    """One command: how it is typed, what it does, its options."""
    help_text = documented(command.help, typed)
    context = click.Context(command, info_name=typed)
    usage = " ".join([typed, *command.collect_usage_pieces(context)])
    told = [each for each in command.params if isinstance(each, click.Option) and each.name not in EVERYWHERE]
    rows = [option_row(typed, each, context) for each in told]
    parts = [f"## {typed}", f"```text\n{usage}\n```", inspect.cleandoc(help_text)]
    if rows:
        parts.append(table(("option", "does"), rows))
    return "\n\n".join(parts) + "\n"


def option_row(typed: str, option: click.Option, context: click.Context) -> tuple[str, str]:
    """How an option is typed, and what it does."""
    told = option.get_help_record(context)
    if told is None:
        raise AssertionError(f"{typed} {option.opts[-1]} is hidden")
    return code(told[0]), documented(option.help, f"{typed} {option.opts[-1]}")
