"""``push hold``: let nobody push."""

from __future__ import annotations

import sys

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.errors import UsageError
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("-m", "--message", "why", required=True, metavar="TEXT", help="What others are told.")
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, target: str | None, why: str) -> None:
    """Let nobody push to TARGET, roll it back or switch it until push release. A push under way stops, unless it has
    begun to change what is live.
    """
    if not why.strip():
        raise UsageError("-m says nothing", hint="say what others have to know: -m 'the shop is full until Monday'")
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project) as made:
        made.hold(name, why)
    if not settings.quiet and not settings.json:
        Lines(sys.stderr)(f"{visible(name)}: held until push release {visible(name)}")
