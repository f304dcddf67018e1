"""The manual page ``push(1)``, from the commands themselves. The wheel brings it; see docs/install.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import click

from pushkit import __version__
from pushkit.cli.group import COMMANDS, group
from pushkit.cli.settings import Settings
from pushkit.secrets.variables import IDENTITY

#: As README.md has them.
EXIT_STATUS = {
    "0": "done, or nothing to do",
    "1": "a bug",
    "2": "the command line",
    "3": "the Pushfile; every problem is listed",
    "4": "a plugin is unknown, ambiguous or broken",
    "5": "a file cannot be read or changed meanwhile, or a revision is unknown",
    "6": "refused by a guard or a hold: nothing changed",
    "7": "the target could not be reached or used: nothing changed, safe to retry",
    "8": "some steps were taken, or the new release's id could not be written; the message says what is live now",
    "9": "another push holds the target, or was faster: nothing changed",
    "130": "interrupted; the message says what is live now",
    "141": "whoever read standard output went away; a push that had begun is done, targets after it are named",
}
ENVIRONMENT = {
    "NO_COLOR": "No colours and no live display, whatever it is set to.",
    ", ".join(
        IDENTITY
    ): "An identity that decrypts the project's secrets, a file with one, or a command that prints one.",
    "XDG_CACHE_HOME": "Where what makes the next push cheaper is kept, in place of ~/.cache.",
    "XDG_CONFIG_HOME": "Where pushkit/age.key is looked for, in place of ~/.config.",
    "XDG_RUNTIME_DIR": "Where a connection of ssh is kept for the next push, in place of /tmp.",
}
FILES = {
    "Pushfile": "What this project is pushed to, in the current directory or the nearest above it that has one.",
    ".pushignore": "What does not travel, as .gitignore has it; in any directory of the project.",
    "push.secrets.toml": "The project's secrets, encrypted.",
}


def page() -> str:
    """The page as roff, for man."""
    return "\n".join([*lines(), ""])


def lines() -> Iterator[str]:
    """The lines of the page."""
    context = click.Context(group, info_name="push", obj=Settings())
    yield f'.TH PUSH 1 "" "pushkit {roff(__version__)}" "User Commands"'
    yield ".SH NAME"
    yield r"push \- get a project from a directory to the place where it runs"
    yield ".SH SYNOPSIS"
    yield r".B push"
    yield roff("[OPTIONS] [TARGET...]")
    yield ".br"
    yield r".B push"
    yield roff("COMMAND [OPTIONS] [ARGS]...")
    yield ".SH DESCRIPTION"
    yield from paragraphs(group.help or "")
    yield ".SH OPTIONS"
    yield from options(group, context)
    yield ".SH COMMANDS"
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None, name
        yield from described(command, name, context)
    yield ".SH EXIT STATUS"
    yield from listed(EXIT_STATUS)
    yield ".SH ENVIRONMENT"
    yield from listed(ENVIRONMENT)
    yield ".SH FILES"
    yield from listed(FILES)
    yield ".SH SEE ALSO"
    yield ".BR git (1),"
    yield ".BR ssh (1),"
    yield ".BR ssh_config (5)"
    yield ".PP"
    yield roff(
        "push COMMAND --help says the same of one command, and push explain STRATEGY which options a target has."
    )


def described(command: click.Command, name: str, above: click.Context) -> Iterator[str]:
    """A command, and the commands within it."""
    context = click.Context(command, info_name=name, parent=above, obj=above.obj)
    yield f'.SS "push {roff(" ".join([name, *command.collect_usage_pieces(context)]))}"'
    yield from paragraphs(command.help or "")
    yield from options(command, context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None, each
            yield from described(inner, f"{name} {each}", above)


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """The options of a command."""
    yield from listed(dict(filter(None, (each.get_help_record(context) for each in command.get_params(context)))))


def listed(items: Mapping[str, str]) -> Iterator[str]:
    """Words, each with what it means."""
    for word, text in items.items():
        yield ".TP"
        yield f"\\fB{roff(word)}\\fR"
        yield roff(" ".join(text.split()))


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a docstring."""
    for number, each in enumerate(re.split(r"\n\s*\n", text.replace("\b", "").strip())):
        if number:
            yield ".PP"
        yield roff(" ".join(each.split()))


def roff(text: str) -> str:
    """``text`` as text of a page, on one line: nothing in it is a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    escaped = escaped.replace("^", "\\(ha").replace("~", "\\(ti").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
