"""Whether a command line of ``push`` is one: parsed by the command itself, and not run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from pushkit import registry
from pushkit.cli.group import COMMANDS, PUSH, group
from pushkit.cli.settings import Settings


@contextmanager
def within(directory: Path, targets: Sequence[str]) -> Iterator[None]:
    """In ``directory``, where a Pushfile has those targets."""
    tables = "".join(f'[target.{name}]\nstrategy = "dir"\npath = "there"\n' for name in targets)
    (directory / "Pushfile").write_text(tables)
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def parse(words: Sequence[str]) -> None:
    """Parse the words behind ``push``, down to the command they name. What is wrong is raised as push raises it."""
    settings = Settings()
    context = group.make_context("push", list(words), obj=settings)
    command: click.Command = group
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        _, inner, rest = command.resolve_command(context, rest)
        assert inner is not None, words
        context = inner.make_context(inner.name, rest, parent=context, obj=settings)
        command = inner


def named(words: Sequence[str]) -> click.Command:
    """The command that the words behind ``push`` begin with, a push where they name none."""
    root = click.Context(group, info_name="push")
    plain = [word for word in words if not word.startswith("-")]
    first = plain.pop(0) if plain else PUSH
    if first not in COMMANDS and first not in {each.name for each in registry.names("commands")}:
        first = PUSH
    command = group.get_command(root, first) or registry.command(first)
    while isinstance(command, click.Group) and plain:
        inner = command.get_command(click.Context(command), plain.pop(0))
        if inner is None:
            break
        command = inner
    return command


def unknown_options(words: Sequence[str]) -> set[str]:
    """The options among the words behind ``push`` that the command they name does not have."""
    known = {opt for command in (named(words), group) for each in command.params for opt in each.opts}
    return (
        {found for word in words if (found := re.sub(r"=.*", "", word)).startswith("-")}
        - known
        - {"--help", "--version"}
    )
