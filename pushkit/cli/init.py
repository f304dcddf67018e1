"""``push init``: a first Pushfile."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from pushkit import pushfile, registry
from pushkit.cli import example, schema, vagrantfile
from pushkit.cli.conversion import converted
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import PluginError, Problem, PushfileError, UsageError
from pushkit.expectation import at, expected
from pushkit.options import schema_of
from pushkit.toml_lines import dotted
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible

TARGET = "production"

# Asks a question with a default until the third, given an answer, no longer says what is wrong with it.
Ask = Callable[[str, str, Callable[[str], str]], str]


@click.command()
@click.option("--strategy", metavar="NAME", help="How to push: sftp, ftp, dir, script, or what push plugins lists.")
@click.option("--target", metavar="NAME", help=f"What the target is called; {TARGET} unless something else is said.")
@click.option("--name", metavar="NAME", help="What the project is called; by default as its directory.")
@click.option("--set", "assignments", metavar="OPTION=VALUE", multiple=True, help="An option of the strategy.")
@click.option("--from", "origin", metavar="VAGRANTFILE", help="Convert the pushes of a Vagrantfile, unexecuted.")
@common("pushfile", "json")
@click.pass_obj
def command(
    settings: Settings,
    *,
    strategy: str | None,
    target: str | None,
    name: str | None,
    assignments: tuple[str, ...],
    origin: str | None,
) -> None:
    """Write a Pushfile with one target, and beside it, in .push, the schema that an editor checks it with.

    On a terminal, asks for what no flag says, again where an answer is wrong. A Pushfile that is there already is
    never overwritten.
    """
    path = pushfile.current() / (settings.pushfile or pushfile.NAME)
    path = path / pushfile.NAME if os.path.isdir(path) else path
    if os.path.lexists(path):
        raise there_is(path)
    if origin is not None:
        if strategy or target or assignments:
            raise UsageError(
                "--from takes the targets from the Vagrantfile", hint="leave out the other flags but --name"
            )
        convert(settings, Path(origin), path, name or path.parent.name)
        return
    texts = dict(map(assignment, assignments))
    ask = prompt if sys.stdin.isatty() and sys.stderr.isatty() else None
    if ask:
        name = name or ask("What is the project called?", path.parent.name, lambda answer: wrong_name(answer, path))
        target = target or ask("What is its target called?", TARGET, lambda answer: wrong_target(answer, path))
        strategy = strategy or ask(f"How is it pushed? ({', '.join(installed())})", "sftp", wrong_strategy)
    if not strategy:
        raise UsageError(
            "no terminal to ask on, and no flag says how to push",
            hint=f"push init --strategy NAME [--target {TARGET}] [--set OPTION=VALUE]...",
        )
    draft = Draft(path, name or path.parent.name, target or TARGET, strategy)
    draft.refuse(texts, only=texts)
    if ask:
        texts |= draft.asked(ask, texts)
    missing = [key for key in draft.options.get("required", ()) if key not in texts]
    if missing:
        # Those that the example uses are wanted too, or another in their place.
        usual = [key for key in example.used(draft.lines) if key not in texts]
        flags = " ".join(f"--set {key}=..." for key in dict.fromkeys([*missing, *usual]))
        raise UsageError(f"the strategy {strategy} needs {', '.join(missing)}", hint=f"add {flags}")
    draft.refuse(texts)
    schema.write(path.parent)
    write(draft.text(texts), path)
    if settings.json:
        say(json_line("pushfile", path=str(path)))
    elif not settings.quiet:
        Lines(sys.stderr)(f"wrote {path.name}; next: push check, then push")


def convert(settings: Settings, origin: Path, path: Path, name: str) -> None:
    """Write what a Vagrantfile has for pushes as the Pushfile ``path``, and say what is left to do."""
    try:
        found = vagrantfile.read(origin.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{origin} cannot be read: {reason}") from error
    notes = [f"line {line} is left out, since only Ruby can read it" for line, _ in found.unread]
    targets = []
    for push in found.pushes:
        called = f"{push.name}-push" if wrong_target(push.name, path) else push.name
        made = converted(push, called)
        targets += [made] if made.strategy else []
        notes += [f"{push.name}: {note}" for note in made.notes]
    if not targets:
        raise UsageError("; ".join([f"{origin} has no push that can be converted", *notes]))
    sources = dict.fromkeys(each.source for each in targets)
    values = {"name": example.toml_text(name)}
    if len(sources) > 1:
        notes += [
            f"{each.name}: Vagrant pushed {each.source} alone, and a Pushfile has one `source`, which is all here: "
            "give it a Pushfile of its own, and push -f FILE"
            for each in targets
            if each.source != "."
        ]
    elif sources != {".": None}:
        values["source"] = example.toml_text(next(iter(sources)))
    project = example.filled(example.project_lines(), values)
    text = "\n".join([example.HEAD, *project, "", *(f"{each.text()}\n" for each in targets)])
    for each in targets:
        if each.strategy in installed():
            notes += [f"{problem.path}: {worded(problem)}" for problem in problems(text, path, each.name)]
        else:
            notes.append(f"{each.name}: the strategy {each.strategy} is not installed; its options are not checked")
    schema.write(path.parent)
    write(text, path)
    if settings.json:
        say(json_line("pushfile", path=str(path), notes=notes))
    elif not settings.quiet:
        lines = Lines(sys.stderr)
        for note in notes:
            lines(f"push: {visible(note)}")
        lines(f"wrote {path.name}; next: push targets, then push check")


class Draft:
    """A Pushfile that is not written yet, which will lie at ``path``, with one target.

    Raises `PushfileError` when there is no such strategy, as the written Pushfile would, and `PluginError` when it
    is broken.
    """

    def __init__(self, path: Path, name: str, target: str, strategy: str) -> None:
        if strategy not in installed():
            problem = Problem(0, dotted(("target", target, "strategy")), wrong_strategy(strategy))
            raise PushfileError(path.name, [problem])
        self.path = path
        self.name = name
        self.target = target
        self.strategy = strategy
        self.options = schema_of(registry.explained("strategies", strategy).Options)
        self.lines = example.target_lines(strategy, self.options)

    def text(self, texts: Mapping[str, str]) -> str:
        """The Pushfile with these options, each as it was typed."""
        values = {key: example.literal(text, key, self.options) for key, text in texts.items()}
        project = example.filled(example.project_lines(), {"name": example.toml_text(self.name)})
        return "\n".join([example.HEAD, *project, "", *example.filled(self.lines, values, self.target), ""])

    def refuse(self, texts: Mapping[str, str], *, only: Collection[str] | None = None) -> None:
        """Raise `UsageError` when the Pushfile with these options is not valid, for what was asked for is then not.

        With ``only``, when one of these options is wrong.
        """
        found = problems(self.text(texts), self.path, self.target)
        if only is not None:
            found = [each for key in only for each in found if self._is_about(each, key)]
        if found:
            hint = f"push explain {self.strategy} lists the options, --set OPTION=VALUE gives one"
            raise UsageError("; ".join(f"{each.path}: {worded(each)}" for each in dict.fromkeys(found)), hint=hint)

    def asked(self, ask: Ask, given: Mapping[str, str]) -> dict[str, str]:
        """The answers for the options that are required and, unless some are given, that the example uses.

        Without the empty ones. A secret's default refers to the environment.
        """
        keys = dict.fromkeys([*([] if given else example.used(self.lines)), *self.options.get("required", ())])
        left = [key for key in keys if key not in given]
        answers: dict[str, str] = {}

        def wrong(key: str, answer: str) -> str:
            texts = {**given, **answers} | ({key: answer} if answer else {})
            # What is wrong with the options together is seen when the last of them is there.
            together = dotted(("target", self.target)) if key == left[-1] and not given else None
            for each in problems(self.text(texts), self.path, self.target):
                if self._is_about(each, key) or each.path == together:
                    return worded(each)
            return ""

        for key in left:
            part = at(self.options, (key,), self.options) or {}
            about = part.get("description") or expected(part, self.options)
            variable = re.sub(r"\W", "_", f"{self.target}_{key}").upper()
            default = f"${{env:{variable}}}" if part.get("format") == "password" else ""
            if answer := ask(f"{key}: {about}\n{key}", default, partial(wrong, key)):
                answers[key] = answer
        return answers

    def _is_about(self, problem: Problem, key: str) -> bool:
        place = dotted(("target", self.target, *key.split(".")))
        return problem.path == place or problem.path.startswith((f"{place}.", f"{place}["))


def assignment(text: str) -> tuple[str, str]:
    """``OPTION=VALUE``, taken apart. Raises `UsageError`."""
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", key):
        raise UsageError(f"--set {text}: expected OPTION=VALUE")
    return key, value


def prompt(question: str, default: str, wrong: Callable[[str], str]) -> str:
    """Ask a person, on stderr, until the answer is not ``wrong``, which says why it is."""
    while True:
        answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
        answer = answer.strip()
        if not (reason := wrong(answer)):
            return answer
        Lines(sys.stderr)(visible(reason))


def wrong_name(name: str, path: Path) -> str:
    """What is wrong with this name for a project; empty when nothing is."""
    text = f"[project]\nname = {example.toml_text(name)}\n[target.x]\nstrategy = 'x'"
    return next((worded(each) for each in problems(text, path, "x") if each.path == "project.name"), "")


def wrong_target(name: str, path: Path) -> str:
    """What is wrong with this name for a target; empty when nothing is."""
    place = dotted(("target", name))
    return next(
        (worded(each) for each in problems(f"[target.{example.toml_text(name)}]", path, name) if each.path == place), ""
    )


def wrong_strategy(name: str) -> str:
    """What is wrong with the strategy of this name; empty when it can be used."""
    try:
        registry.strategy(name)
    except PluginError as error:
        return "; ".join(filter(None, (error.message, error.hint)))
    return ""


def installed() -> list[str]:
    """The names of the strategies that are there to be used."""
    return sorted({plugin.name for plugin in registry.names("strategies")})


def problems(text: str, path: Path, target: str) -> Sequence[Problem]:
    """What is wrong with the Pushfile ``text``, which lies or will lie at ``path``."""
    try:
        pushfile.parse(text, path, [target])
    except PushfileError as error:
        return error.problems
    return ()


def worded(problem: Problem) -> str:
    """What is wrong, and what to do about it."""
    return problem.message + f" ({problem.hint})" * bool(problem.hint)


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
