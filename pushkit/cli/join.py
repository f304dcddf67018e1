"""``push join``: bring one new host to what is live on the others."""

from __future__ import annotations

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.rollback import tell
from pushkit.cli.settings import Settings, common
from pushkit.errors import UsageError


@click.command()
@click.argument("host")
@click.argument("target", required=False, shell_complete=complete_target)
@common("pushfile", "json", "wait")
@click.pass_obj
def command(settings: Settings, host: str, target: str | None) -> None:
    """Bring the one HOST to the release that is live on the other hosts of TARGET, for boot scripts.

    The project has to be what was pushed then. HOST need not be listed yet.
    The id of what is live on HOST afterwards is the last line of stdout.
    """
    if not host:
        raise UsageError(
            "HOST is empty; nothing was changed", hint="does `hostname -f` say what this machine is called?"
        )
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project) as made:
        live = made.join(name, host)
    tell(settings, name, live, f"is live on {host}")
