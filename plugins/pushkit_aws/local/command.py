"""``push codedeploy local``: deploy a bundle to this machine."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pushkit import PlanReady, UsageError, command_options, command_run
from pushkit_aws.appspec import Behavior
from pushkit_aws.local.order import ordered
from pushkit_aws.local.request import DEFAULT_GROUP, Request, default_state, group_of

KINDS = ("directory", "tar", "tgz", "zip")
PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "-l", "--bundle-location", "location", type=PATH, default=".", help="The bundle; by default this directory."
)
@click.option(
    "-t", "--type", "kind", type=click.Choice(KINDS), help="What the bundle is; by default what its name says."
)
@click.option(
    "-b",
    "--file-exists-behavior",
    "behavior",
    type=click.Choice([each.value for each in Behavior]),
    default=Behavior.DISALLOW.value,
    help="What to do with files in the way, where the AppSpec does not say.",
)
@click.option("-g", "--deployment-group", "group", default=DEFAULT_GROUP, help="The deployment group, by its id.")
@click.option("-d", "--deployment-group-name", "group_name", default="LocalFleet", help="Its name, for scripts.")
@click.option("-a", "--application-name", "application", help="The application's name, for scripts.")
@click.option(
    "-e", "--events", multiple=True, metavar="EVENT,...", help="The lifecycle events to go through, in order."
)
@click.option("-A", "--appspec-filename", "appspec", default="appspec.yml", help="What the AppSpec is called.")
@click.option("--root", type=PATH, default="/", metavar="DIR", help="Install into DIR instead of /.")
@click.option("--state", type=PATH, metavar="DIR", help="Where revisions, logs and what is remembered lie.")
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
@command_options("json")
def command(
    *,
    location: Path,
    kind: str | None,
    behavior: str,
    group: str,
    group_name: str,
    application: str | None,
    events: tuple[str, ...],
    appspec: str,
    root: Path,
    state: Path | None,
    dry_run: bool,
) -> None:
    """Deploy a bundle to this machine, without agent and AWS: run its AppSpec as CodeDeploy would.

    The options are those of codedeploy-local. The deployment's id is the one line of stdout; with --dry-run, what would
    be done is there.
    """
    from pushkit_aws.local.deployment import Deployment  # noqa: PLC0415  (a line of help needs none of it)
    from pushkit_aws.local.hooks import printable  # noqa: PLC0415

    place = location.resolve()
    if not place.exists():
        raise UsageError(f"there is no bundle at {location}", hint="name it: -l LOCATION")
    if "/" in appspec or appspec in {"", ".", ".."}:
        raise UsageError(f"{appspec!r} is no name of a file", hint="the AppSpec lies at the top of the bundle")
    if not root.is_dir():
        raise UsageError(f"{root} is no directory to install into", hint=f"make it: mkdir -p {root}")
    with command_run(group) as run:
        request = Request(
            location=place,
            kind=kind_of(place, kind),
            behavior=Behavior(behavior),
            group=group_of(group),
            group_name=group_name,
            application=application or place.name or "/",
            events=ordered([name.strip() for each in events for name in each.split(",") if name.strip()]),
            appspec=appspec,
            root=root.resolve(),
            state=Path(os.path.abspath(state or default_state(root.resolve(), run.environment))),
        )
        deployment = Deployment(request, run)
        if request.installs_elsewhere:
            run.note(
                f"installs into {request.root}; scripts run on this machine as they are, PUSH_ROOT tells them where"
            )
        json = bool(click.get_current_context().obj.json)
        if not dry_run:
            name = deployment.carry_out()
            if not json:
                click.echo(name)
            return
        plan = deployment.plan()
        run.emit(PlanReady(run.target.name, plan))
        for step in () if json else plan.steps:
            reason = f"  ({step.reason})" if step.reason else ""
            click.echo(printable(f"{step.action:<8} {step.subject}{reason}"))


def kind_of(location: Path, kind: str | None) -> str:
    """What the bundle is: ``kind``, or what its name says. Raises `UsageError` where it cannot be that."""
    if kind is None:
        endings = {".zip": "zip", ".tar": "tar", ".tgz": "tgz", ".tar.gz": "tgz"}
        found = (each for ending, each in endings.items() if location.name.endswith(ending))
        kind = "directory" if location.is_dir() else next(found, "")
    if not kind:
        raise UsageError(f"what {location} is, its name does not say", hint=f"say it: -t {'|'.join(KINDS)}")
    if (kind == "directory") != location.is_dir():
        raise UsageError(f"{location} is {'a' if location.is_dir() else 'no'} directory, and -t says {kind}")
    return kind
