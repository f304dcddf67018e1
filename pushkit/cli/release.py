"""``push release``: let pushes go on."""

from __future__ import annotations

import sys

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, target: str | None) -> None:
    """End the hold of TARGET, whoever holds it. Where there is none, nothing is done."""
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project) as made:
        ended = made.release_hold(name)
    if not settings.quiet and not settings.json:
        what = f"the hold of {visible(ended.who)} is over: {visible(ended.why)}" if ended else "was not held"
        Lines(sys.stderr)(f"{visible(name)}: {what}")
