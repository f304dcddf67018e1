"""``push status``: what is live, who holds the target, who waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click

from pushkit.amount import counted
from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.model import Place, Release, Status
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.jsonl import plain
from pushkit.ui.text import visible

#: So many hosts with the same release are still named.
ODD = 5


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
    if status.live or not status.hosts:
        yield f"{name}: {visible(status.live) or 'nothing'} is live{since}{by}"
    yield from of_hosts(name, status)
    if status.pool:
        yield f"{name}: the traffic goes to {visible(status.pool)}"
    for release in status.releases:
        yield f"{'*' if release.id == status.live else ' '} {described(release)}"
    for release in status.prepared:
        yield f"  {described(release)}  prepared"
    if status.hold:
        hold = status.hold
        yield f"{name}: held by {visible(hold.who)} since {visible(hold.when)}: {visible(hold.why)}"
    for index, place in enumerate(status.queue):
        yield f"{name}: {placed(place, first=not index, many=bool(status.hosts))}"


def of_hosts(name: str, status: Status) -> Iterator[str]:
    """What is live on many hosts: those that are like most in one number, the odd ones by name."""
    groups: dict[str, list[str]] = {}
    for host, live in status.hosts.items():
        groups.setdefault(live, []).append(host)
    for live, hosts in sorted(groups.items(), key=lambda group: -len(group[1])):
        alike = len(hosts) > ODD
        where = counted(len(hosts), "host") if alike else ", ".join(map(visible, hosts))
        yield f"{name}: {visible(live) or 'nothing'} on {where}"


def described(release: Release) -> str:
    """A release on one line: its id, its revision, when and by whom it was made."""
    made = local(release.created)
    return f"{visible(release.id)}  {visible(release.revision.short)}  {made}  {visible(release.creator)}"


def placed(place: Place, *, first: bool, many: bool) -> str:
    """A place in the queue of a target, which may be ``many`` hosts, on one line."""
    since = f" since {local(place.since)}" if place.since else ""
    seen = f", last sign of life {local(place.seen)}" if place.seen else ""
    begun = ", has begun to change what is live" if place.switching else ""
    holds = "has it" if first else "waits"
    died = ""
    if place.died and many and place.switching:
        died = "; it died or was halted in the middle of its hosts: push resume goes on, push rollback goes back"
    elif place.died:
        died = "; it has died, and the next push goes on"
    return f"{visible(place.why)} {place.number} by {visible(place.who)} {holds}{since}{seen}{begun}{died}"


def local(time: datetime) -> str:
    """A time in this machine's zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
