"""``push status``: what is live."""

from __future__ import annotations

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.model import Release
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.text import visible


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=complete_target)
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, targets: tuple[str, ...]) -> None:
    """Say which release is live on each TARGET, and which others are there, the oldest first."""
    project, names = load(settings, targets)
    with engine(settings, project, quiet=True) as made:
        for name in names:
            status = made.status(name)
            if settings.json:
                say(json_line("status", target=name, live=status.live, releases=status.releases))
                continue
            say(f"{visible(name)}: {visible(status.live) or 'nothing'} is live")
            for release in status.releases:
                say(f"{'*' if release.id == status.live else ' '} {described(release)}")


def described(release: Release) -> str:
    """A release on one line: its id, its revision, when and by whom it was made."""
    made = release.created.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    return f"{visible(release.id)}  {visible(release.revision.short)}  {made}  {visible(release.creator)}"
