"""``push log``: how the pushes to a target ended."""

from __future__ import annotations

import click

from pushkit.cli.columns import columns
from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.status import local
from pushkit.cli.stdout import say
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.jsonl import plain
from pushkit.ui.text import visible


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("-n", "count", type=click.IntRange(min=1), metavar="N", help="Only the last N.")
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, target: str | None, count: int | None) -> None:
    """Say how each push to TARGET ended, the newest last: number, when, by whom, what for, which release, how."""
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project, quiet=True) as made:
        entries = made.log(name)[-count if count else 0 :]
    if settings.json:
        for entry in entries:
            say(json_line("log-entry", target=name, **plain(entry)))
        return
    rows = [
        (str(each.number), local(each.ended), each.who or "?", each.why or "?", each.release or "-", each.outcome)
        for each in entries
    ]
    for row in columns([tuple(map(visible, row)) for row in rows]):
        say(row)
