"""``push init``: a first Pushfile."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from pushkit import pushfile, registry
from pushkit.cli import example
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import PushfileError, UsageError
from pushkit.expectation import Schema, at, expected
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines

TARGET = "production"

Ask = Callable[[str, str], str]


@click.command()
@click.option("--strategy", metavar="NAME", help="How to push: sftp, dir, script, or what push plugins lists.")
@click.option("--target", metavar="NAME", help=f"What the target is called; {TARGET} unless something else is said.")
@click.option("--name", metavar="NAME", help="What the project is called; by default as its directory.")
@click.option("--set", "assignments", metavar="OPTION=VALUE", multiple=True, help="An option of the strategy.")
@common("pushfile", "json")
@click.pass_obj
def command(
    settings: Settings, strategy: str | None, target: str | None, name: str | None, assignments: tuple[str, ...]
) -> None:
    """Write a Pushfile with one target.

    On a terminal, asks for what no flag says. A Pushfile that is there already is never overwritten, and no other
    file is written.
    """
    path = Path.cwd() / (settings.pushfile or pushfile.NAME)
    path = path / pushfile.NAME if path.is_dir() else path
    if os.path.lexists(path):
        raise there_is(path)
    texts = dict(map(assignment, assignments))
    ask = prompt if sys.stdin.isatty() and sys.stderr.isatty() else None
    if ask:
        name = name or ask("What is the project called?", path.parent.name)
        target = target or ask("What is its target called?", TARGET)
        known = ", ".join(sorted({plugin.name for plugin in registry.names("strategies")}))
        strategy = strategy or ask(f"How is it pushed? ({known})", "sftp")
    if not strategy:
        raise UsageError(
            "no terminal to ask on, and no flag says how to push",
            hint=f"push init --strategy NAME [--target {TARGET}] [--set OPTION=VALUE]...",
        )
    target = target or TARGET
    options = registry.strategy(strategy).Options.model_json_schema()
    lines = example.target_lines(strategy, options)
    if ask:
        texts |= asked(ask, target, wanted(lines, options, texts), options)
    missing = [key for key in options.get("required", ()) if key not in texts]
    if missing:
        flags = " ".join(f"--set {key}=..." for key in missing)
        raise UsageError(f"the strategy {strategy} needs {', '.join(missing)}", hint=f"add {flags}")
    values = {key: example.literal(text, key, options) for key, text in texts.items()}
    project = example.filled(example.project_lines(), {"name": example.toml_text(name or path.parent.name)})
    text = "\n".join([example.HEAD, *project, "", *example.filled(lines, values, target), ""])
    check(text, path, target, strategy)
    write(text, path)
    if settings.json:
        say(json_line("pushfile", path=str(path)))
    elif not settings.quiet:
        Lines(sys.stderr)(f"wrote {path.name}; next: push check, then push")


def assignment(text: str) -> tuple[str, str]:
    """``OPTION=VALUE``, taken apart. Raises `UsageError`."""
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", key):
        raise UsageError(f"--set {text}: expected OPTION=VALUE")
    return key, value


def wanted(lines: Sequence[str], options: Schema, given: dict[str, str]) -> list[str]:
    """The options to ask for: those that are required, and, unless some are given, those that the example uses."""
    keys = dict.fromkeys([*([] if given else example.used(lines)), *options.get("required", ())])
    return [key for key in keys if key not in given]


def asked(ask: Ask, target: str, keys: list[str], options: Schema) -> dict[str, str]:
    """The answers for ``keys``, without the empty ones. A secret's default refers to the environment."""
    answers = {}
    for key in keys:
        part = at(options, (key,), options) or {}
        about = part.get("description") or expected(part, options)
        variable = re.sub(r"\W", "_", f"{target}_{key}").upper()
        secret = part.get("format") == "password"
        answers[key] = ask(f"{key}: {about}\n{key}", f"${{env:{variable}}}" if secret else "")
    return {key: answer for key, answer in answers.items() if answer}


def prompt(question: str, default: str) -> str:
    """Ask a person, on stderr."""
    answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
    return answer.strip()


def check(text: str, path: Path, target: str, strategy: str) -> None:
    """Raise `UsageError` when the Pushfile ``text`` is not valid, for what was asked for is then not."""
    try:
        pushfile.parse(text, path, [target])
    except PushfileError as error:
        problems = (f"{each.path}: {each.message}" + f" ({each.hint})" * bool(each.hint) for each in error.problems)
        raise UsageError(
            "; ".join(problems), hint=f"push explain {strategy} lists the options, --set OPTION=VALUE gives one"
        ) from error


def write(text: str, path: Path) -> None:
    """Write a new file. Raises `UsageError`."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise there_is(path) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def there_is(path: Path) -> UsageError:
    """The error for a Pushfile that exists."""
    return UsageError(f"{path} is there already", hint="it is never overwritten; edit it, or move it away first")
