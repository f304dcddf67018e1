"""``push rollback``: make an earlier release live again."""

from __future__ import annotations

import sys

import click

from pushkit.cli.context import complete_target, engine, load, target_names
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.argument("release", required=False, metavar="[ID]")
@common("pushfile", "json", "yes")
@click.pass_obj
def command(settings: Settings, target: str | None, release: str | None) -> None:
    """Make the last good release before the live one live again, or the release ID. Nothing is sent.

    The id of what is live afterwards is the last line of stdout.
    """
    # A release's id begins with a digit: alone, it is one on the default target.
    if target and not release and target[0].isdigit() and target not in target_names(settings):
        target, release = None, target
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project) as made:
        back = made.rollback(name, release or "")
    if settings.json:
        say(json_line("rolled-back", target=name, release=back))
        return
    if not settings.quiet:
        Lines(sys.stderr)(f"{visible(name)}: {visible(back.id)} is live again")
    say(visible(back.id))
