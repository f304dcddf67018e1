"""``push status``: what is live, who holds the target, who waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.model import Place, Release, Status
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.jsonl import plain
from pushkit.ui.text import visible


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=complete_target)
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, targets: tuple[str, ...]) -> None:
    """Say which release is live on each TARGET and which others are there, the oldest first.

    Then who holds it, and who waits for it, when their push last gave a sign of life by the target's clock, and whether
    pushes are held.
    """
    project, names = load(settings, targets)
    with engine(settings, project, quiet=True) as made:
        for name in names:
            status = made.status(name)
            if settings.json:
                say(json_line("status", target=name, **plain(status)))
                continue
            for text in lines(visible(name), status):
                say(text)


def lines(name: str, status: Status) -> Iterator[str]:
    """A status for people."""
    since = f" since {local(status.since)}" if status.since else ""
    by = f", by {visible(status.who)}" if status.who else ""
    yield f"{name}: {visible(status.live) or 'nothing'} is live{since}{by}"
    for release in status.releases:
        yield f"{'*' if release.id == status.live else ' '} {described(release)}"
    for release in status.prepared:
        yield f"  {described(release)}  prepared"
    if status.hold:
        hold = status.hold
        yield f"{name}: held by {visible(hold.who)} since {visible(hold.when)}: {visible(hold.why)}"
    for index, place in enumerate(status.queue):
        yield f"{name}: {placed(place, first=not index)}"


def described(release: Release) -> str:
    """A release on one line: its id, its revision, when and by whom it was made."""
    made = local(release.created)
    return f"{visible(release.id)}  {visible(release.revision.short)}  {made}  {visible(release.creator)}"


def placed(place: Place, *, first: bool) -> str:
    """A place in the queue on one line."""
    since = f" since {local(place.since)}" if place.since else ""
    seen = f", last sign of life {local(place.seen)}" if place.seen else ""
    begun = ", has begun to change what is live" if place.switching else ""
    holds = "has it" if first else "waits"
    died = "; it has died, and the next push goes on" if place.died else ""
    return f"{visible(place.why)} {place.number} by {visible(place.who)} {holds}{since}{seen}{begun}{died}"


def local(time: datetime) -> str:
    """A time in this machine's zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
