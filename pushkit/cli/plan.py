"""``push plan``: what a push would do."""

from __future__ import annotations

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.ui.plain import summary
from pushkit.ui.text import visible


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=complete_target)
@common("pushfile", "json", "prepare_only", "repair", "adopt")
@click.pass_obj
def command(settings: Settings, targets: tuple[str, ...]) -> None:
    """Say what a push would do, step by step and why, and do nothing."""
    show(settings, targets)


def show(settings: Settings, words: tuple[str, ...]) -> None:
    """Write the plan of each selected target to stdout: a line for each step, then one that sums them up."""
    project, names = load(settings, words)
    with engine(settings, project, quiet=True) as made:
        for name in names:
            plan = made.plan(name)
            if settings.json:
                continue
            for step in plan.steps:
                reason = f"  ({visible(step.reason)})" if step.reason else ""
                say(f"{step.action:<8} {visible(step.subject)}{reason}")
            say(f"{visible(name)}: {summary(plan)}")
