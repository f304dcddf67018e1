"""What a command line asks for whatever its command: the options that stand before or after the command's name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pushkit.model import Receipt
    from pushkit.ui.reporter import Lines


class Settings:
    """The common options of one command line, and what its failure would have to know.

    ``redact`` replaces the secrets that the command has resolved so far. ``receipt`` is that of the last push.
    ``lines`` are those of ``--json`` while there is an engine.
    """

    def __init__(self) -> None:
        self.pushfile = ""
        self.json = False
        self.quiet = False
        self.verbose = False
        self.yes = False
        self.dry_run = False
        self.prepare_only = False
        self.wait = 0.0
        self.repair = False
        self.adopt = False
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self.redact: Callable[[str], str] = str
        self.receipt: Receipt | None = None
        self.lines: Lines | None = None


def settings_of(context: click.Context) -> Settings:
    """The settings of a command line, for a command or a completion."""
    return context.ensure_object(Settings)


def for_every(command: click.Command) -> click.Command:
    """``command``, built in or of a plugin, with the options that every command has.

    One that has an option of that name keeps its own, and one that passes on what it does not know gets none.
    """
    every = click.Command(None)
    for name in () if command.context_settings.get("ignore_unknown_options") else EVERYWHERE:
        _OPTIONS[name](every)
    taken = {word for each in command.params for word in (each.name, *each.opts, *each.secondary_opts)}
    command.params += [option for option in every.params if taken.isdisjoint((option.name, *option.opts))]
    return command


def common(*names: str) -> Callable[[Any], Any]:
    """Give a command the common options ``names``; `Settings` holds what they say. Without names, all of them.

    Those of `for_every` need no name.
    """

    def decorate(function: Any) -> Any:
        for name in reversed(names or tuple(_OPTIONS)):
            function = _OPTIONS[name](function)
        return function

    return decorate


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    # An option that is absent after the command's name does not undo the one before it.
    if value and parameter.name:
        setattr(settings_of(context), parameter.name, value)


def _option(*declaration: str, text: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(*declaration, help=text, expose_value=False, callback=_keep, **more)


EVERYWHERE = ("quiet", "verbose", "no_color")

_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "pushfile": _option(
        "-f",
        "--file",
        "pushfile",
        type=click.Path(),
        metavar="PUSHFILE",
        text="Use this Pushfile, or the one in this directory.",
    ),
    "json": _option("--json", is_flag=True, text="Write JSON lines to stdout, for programs."),
    "quiet": _option("-q", "--quiet", is_flag=True, text="Say only what is wrong."),
    "verbose": _option("-v", "--verbose", is_flag=True, text="Say every step; after a bug, where it is."),
    "yes": _option("--yes", is_flag=True, text="Answer yes to what would be asked."),
    "no_color": _option("--no-color", is_flag=True, text="No colours and no live display (also: NO_COLOR)."),
    "dry_run": _option("--dry-run", is_flag=True, text="Say what a push would do, and do nothing."),
    "prepare_only": _option(
        "--prepare-only", is_flag=True, text="Send the release, and leave it to push switch to make it live."
    ),
    "wait": _option(
        "--wait", type=click.FloatRange(min=0.0), metavar="SECONDS", text="Wait so long for a target that is busy."
    ),
    "repair": _option(
        "--repair", is_flag=True, text="Look at every path that is live, and send what is not as it was pushed."
    ),
    "adopt": _option("--adopt", is_flag=True, text="Take over files on the target that no push put there."),
}
