"""``push resume``: complete a push that died."""

from __future__ import annotations

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.rollback import tell
from pushkit.cli.settings import Settings, common
from pushkit.cli.words import told_apart
from pushkit.errors import UsageError


@click.command()
@click.argument("words", nargs=-1, metavar="[TARGET] [N]", shell_complete=complete_target)
@common("pushfile", "json", "wait")
@click.pass_obj
def command(settings: Settings, words: tuple[str, ...]) -> None:
    """Complete the push N, or whichever it is, that died once it had begun to change what is live on TARGET.

    The id of what is live afterwards is the last line of stdout.
    """
    targets, number = told_apart(settings, words, "push")
    project, (name,) = load(settings, targets)
    with engine(settings, project) as made:
        live = made.resume(name, number_of(number) if number else 0)
    tell(settings, name, live, "is live, and its push is complete")


def number_of(word: str) -> int:
    """The number of a push. Raises `UsageError`."""
    if not word.isascii() or not word.isdigit() or not int(word):
        raise UsageError(f"{word!r} is not the number of a push", hint="see which there are: push status")
    return int(word)
