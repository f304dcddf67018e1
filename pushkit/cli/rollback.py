"""``push rollback``: make an earlier release live again."""

from __future__ import annotations

import sys

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.cli.words import told_apart
from pushkit.model import Release
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible


@click.command()
@click.argument("words", nargs=-1, metavar="[TARGET] [ID]", shell_complete=complete_target)
@common("pushfile", "json", "yes", "wait")
@click.pass_obj
def command(settings: Settings, words: tuple[str, ...]) -> None:
    """Make the last good release before the live one live again, or the release ID. Nothing is sent.

    ID may be short: the number alone, or how the revision begins.
    The id of what is live afterwards is the last line of stdout.
    """
    targets, release = told_apart(settings, words, "release")
    project, (name,) = load(settings, targets)
    with engine(settings, project) as made:
        back = made.rollback(name, release)
    tell(settings, name, back, "is live again")


def tell(settings: Settings, target: str, release: Release, done: str) -> None:
    """Say that ``release`` is what is live, its id on the last line of stdout. A program has read an event of it."""
    if settings.json:
        return
    if not settings.quiet:
        Lines(sys.stderr)(f"{visible(target)}: {visible(release.id)} {done}")
    say(visible(release.id))
