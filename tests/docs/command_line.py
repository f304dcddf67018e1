"""Whether the command lines of the documentation are some: those of ``push`` are parsed by the command, and not run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from packaging.requirements import Requirement

from docs.blocks import TOP, blocks
from pushkit import registry
from pushkit.cli.group import COMMANDS, PUSH, group
from pushkit.cli.settings import Settings

EXTRAS = set(tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"])

#: Programs in consoles and scripts that are not ours: what they are there for.
PROGRAMS = {
    ".": "the shell's own",
    "./push.pyz": "push itself, in one file",
    "cd": "the shell's own",
    "chmod": "of every machine",
    "echo": "of every machine",
    "eval": "the shell's own",
    "hugo": "stands for the reader's own generator",
    "install": "of every machine",
    "ln": "of every machine",
    "mkdir": "of every machine",
    "nginx": "of the page's server",
    "pytest": "the tests of the reader's plugin",
    "shiv": "makes one file of push",
    "python3": "makes environments and packages",
    "ssh-add": "of OpenSSH",
    "sudo": "of the page's server",
    "twine": "publishes the reader's plugin",
}


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


def targets_of(page: str) -> list[str]:
    """The targets of the Pushfiles on a page. One that has none is about the target of most pages."""
    found = [
        name for each in blocks("toml") if each.page == page for name in tomllib.loads(each.text).get("target", {})
    ]
    return list(dict.fromkeys(found)) or ["production"]


def validate(line: str, page: str, directory: Path) -> None:
    """Parse a command line of the page, or find the reason why it is there."""
    words = [word for word in shlex.split(re.sub(r" [<>] .*| << .*", "", line), comments=True) if word != "&&"]
    if not words:
        return
    match words[0]:
        case "push":
            (directory / "there").mkdir(exist_ok=True)
            with within(directory, targets_of(page)):
                parse(words[1:])
        case "pip":
            assert words[1] == "install"
            if words[2] != "--editable":
                requirement = Requirement(words[2])
                assert requirement.name in {"pushkit", "shiv"}
                assert requirement.extras <= EXTRAS
        case "make":
            assert re.search(rf"^{words[1]}:", (TOP / "Makefile").read_text(), re.MULTILINE)
        case program:
            assert program in PROGRAMS, f"{page}: {program} is neither push nor a program that is explained"


def script_lines(text: str) -> Iterator[str]:
    """The commands of a script, one a line; what is substituted is a word."""
    for line in re.split(r"\n| \|\| | && | \| |; ", text):
        yield re.sub(r'"?\$\([^)]*\)"?|"?\$\w+"?', "word", line.strip())


def validate_script(text: str, page: str, directory: Path) -> None:
    """Parse a script by the shell, and each of its lines as one of a console."""
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in script_lines(text):
        validate(line, page, directory)


def scripts(document: Any) -> Iterator[str]:
    """The scripts of a workflow of GitHub Actions or of a pipeline of GitLab, at any depth."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in {"script", "before_script", "after_script"}:
                yield "\n".join(value)
            elif key == "run":
                yield value
            else:
                yield from scripts(value)
    elif isinstance(document, list):
        for each in document:
            yield from scripts(each)
