"""What a command works with: the project that the Pushfile describes, its targets, an engine that is told of."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

from pushkit import pushfile
from pushkit.cli.core_files import leave_none
from pushkit.cli.interrupts import Interrupts
from pushkit.cli.settings import Settings, settings_of
from pushkit.cli.strays import strays
from pushkit.commands import COMMANDS
from pushkit.errors import Interrupted, PushkitError, PushRefused, UsageError
from pushkit.events import Event, PushFinished
from pushkit.model import Project
from pushkit.questions import Ask, nobody
from pushkit.ui.prompt import Prompt
from pushkit.ui.reporter import Lines, Reporter, reporters

if TYPE_CHECKING:
    from pushkit.engine import Engine


def load(settings: Settings, words: Sequence[str] = ()) -> tuple[Project, tuple[str, ...]]:
    """The project, and the names of the targets that ``words`` select: the default one when there are none.

    Each target is there once, and valid. Raises `PushfileError`, and `UsageError` for a word that is no target.
    """
    for word in words:
        if word in COMMANDS:
            raise UsageError(f'"{word}" is a command, not a target', hint=f"a command goes first: push {word}")
    project = pushfile.load(pushfile.find(settings.pushfile), select=words)
    return project, tuple(dict.fromkeys(words)) or (project.default,)


def target_names(settings: Settings) -> Sequence[str]:
    """The names of all targets of the Pushfile, valid or not."""
    return pushfile.names(pushfile.find(settings.pushfile))


def complete_target(context: click.Context, _: click.Parameter | None, incomplete: str) -> list[str]:
    """The targets that begin with ``incomplete``. A Pushfile that cannot be read completes nothing."""
    try:
        return [name for name in target_names(settings_of(context)) if name.startswith(incomplete)]
    except PushkitError:
        return []


@contextmanager
def engine(settings: Settings, project: Project, *, quiet: bool = False) -> Iterator[Engine]:
    """An engine whose events are told, and that Ctrl-C stops between two steps.

    ``quiet`` tells warnings and failures only, for a command that says the rest on stdout.
    """
    from pushkit.engine import Engine  # noqa: PLC0415  (completing a target's name does without)

    leave_none()
    told = tellers(settings, quiet=quiet)
    try:
        with conversation(settings, told) as talk:
            made = Engine(
                project,
                listeners=(Remembering(settings), *told),
                cancelled=talk.cancelled,
                confirm=talk.confirm,
                ask=talk.ask,
                attended=talk.attended,
                environment=dict(os.environ),
                person=f"{user()}@{socket.gethostname()}",
                wait=settings.wait,
                prepare=settings.prepare_only,
                repair=settings.repair,
                adopt=settings.adopt,
            )
            settings.redact = made.redactor
            yield made
    finally:
        for teller in told:
            teller.close()


class Conversation(NamedTuple):
    """How a command asks a person for a secret and for a yes, and what is set when they want to stop.

    ``attended`` is whether there is one.
    """

    ask: Ask
    confirm: Callable[[str], bool]
    cancelled: threading.Event
    attended: bool


@contextmanager
def conversation(settings: Settings, told: Sequence[Reporter] = ()) -> Iterator[Conversation]:
    """The terminal for questions, during which ``told`` show nothing; Ctrl-C is heard."""

    def confirm(question: str) -> bool:
        if settings.yes:
            return True
        if not on_terminal():
            raise PushRefused(f"this needs a yes: {question}", hint="say it beforehand: --yes")
        try:
            with interrupts.asking():
                return prompt.confirm(settings.redact(question))
        except KeyboardInterrupt:
            # Whoever knows says what is live.
            raise Interrupted("stopped") from None

    @contextmanager
    def aside() -> Iterator[None]:
        with ExitStack() as stack:
            for teller in told:
                stack.enter_context(teller.aside())
            yield

    # Who reads events is a program, also where it has a terminal.
    attended = not settings.json and on_terminal()

    def ask(question: str) -> str:
        return prompt(question) if attended else nobody(question)

    with strays(settings), Interrupts() as interrupts, closing(Prompt(interrupts.cancelled, aside)) as prompt:
        yield Conversation(ask, confirm, interrupts.cancelled, attended)


def tellers(settings: Settings, *, quiet: bool = False) -> tuple[Reporter, ...]:
    """Who tells the events of this command line; `engine` says what ``quiet`` is. To be closed."""
    settings.lines = Lines(sys.stdout) if settings.json else None
    return reporters(
        json=settings.lines,
        quiet=settings.quiet or (quiet and not settings.verbose),
        verbose=settings.verbose,
        color=not settings.no_color,
    )


class Remembering:
    """A listener that keeps the last receipt for who tells how the command ended."""

    many = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, event: Event) -> None:
        """Keep it, if it is one."""
        if isinstance(event, PushFinished):
            self._settings.receipt = event.receipt


def on_terminal() -> bool:
    """Whether there is a person to ask something: who reads what is asked and can type an answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def user() -> str:
    """Who runs this command, by name or by number where the machine has no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
