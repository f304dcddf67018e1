"""``push unlock``: end a push of the queue."""

from __future__ import annotations

import sys

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.resume import number_of
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.cli.words import told_apart
from pushkit.errors import UsageError
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible


@click.command()
@click.argument("words", nargs=-1, metavar="[TARGET] N", shell_complete=complete_target)
@click.option("--why", required=True, metavar="TEXT", help="What to say of it in the log.")
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, words: tuple[str, ...], why: str) -> None:
    """End the push N in the queue of TARGET, whatever became of it: the next one has its turn.

    A push that lives after all notices it before it changes what is live, and stops. push status shows the queue.
    """
    if not why.strip():
        raise UsageError("--why says nothing", hint="say what others have to know: --why 'the CI runner is gone'")
    targets, word = told_apart(settings, words, "push", needed=True)
    number = number_of(word)
    project, (name,) = load(settings, targets)
    with engine(settings, project) as made:
        made.unlock(name, number, why)
    if settings.json:
        say(json_line("unlocked", target=name, number=number, why=why))
    elif not settings.quiet:
        Lines(sys.stderr)(f"{visible(name)}: push {number} is unlocked")
