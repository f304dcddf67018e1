"""``push diff``: what differs between the project and what is live."""

from __future__ import annotations

import sys

import click

from pushkit.amount import counted
from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.comparison import Change
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.jsonl import plain
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--text", is_flag=True, help="Show the lines that differ. Files that may hold secrets are only named.")
@click.option("--exit-code", is_flag=True, help="End with exit code 1 when anything differs.")
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, target: str | None, text: bool, exit_code: bool) -> int:
    """Say what differs between the project and what is live on TARGET, a path a line. Nothing is changed.

    The exit code is 0 whether anything differs or not, unless --exit-code asks for it.
    """
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project, quiet=True) as made:
        changes = made.diff(name, text=text)
    for change in changes:
        if settings.json:
            say(json_line("change", target=name, **plain(change)))
        else:
            write(change)
    if not settings.quiet and not settings.json:
        what = counted(len(changes), "path") if changes else "nothing"
        Lines(sys.stderr)(f"{visible(name)}: {what} differ{'s' * (len(changes) < 2)}")
    return int(exit_code and bool(changes))


def write(change: Change) -> None:
    """Write one path that differs, and its text, without anything that a terminal would obey."""
    step = change.step
    action = "mode" if step.reason.startswith("mode ") else step.action.value
    say(f"{action:<8} {visible(step.subject)}  ({visible(step.reason)})")
    if change.note:
        say(f"{'':<8} {visible(change.note)}")
    for line in change.text:
        say("\t".join(map(visible, line.split("\t"))))
