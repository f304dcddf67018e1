"""``push switch``: make a prepared release live."""

from __future__ import annotations

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.rollback import tell
from pushkit.cli.settings import Settings, common
from pushkit.cli.words import told_apart


@click.command()
@click.argument("words", nargs=-1, metavar="[TARGET] ID", shell_complete=complete_target)
@common("pushfile", "json", "wait")
@click.pass_obj
def command(settings: Settings, words: tuple[str, ...]) -> None:
    """Make the release ID live, which push --prepare-only left on TARGET, or which was live before. Nothing is sent.

    ID may be short: the number alone, or how the revision begins.
    The id is the last line of stdout. Nothing is done when it is live already.
    """
    targets, release = told_apart(settings, words, "release", needed=True)
    project, (name,) = load(settings, targets)
    with engine(settings, project) as made:
        live = made.switch(name, release)
    tell(settings, name, live, "is live")
