"""``push codedeploy validate``: look for what is wrong with an AppSpec."""

from __future__ import annotations

from pathlib import Path

import click

from pushkit import Problem, UsageError
from pushkit_aws.appspec import AppSpec, Platform, load
from pushkit_aws.local.hooks import printable

NAMES = ("appspec.yml", "appspec.yaml", "appspec.json")


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--platform",
    type=click.Choice(["server", "lambda", "ecs"]),
    help="What it is for; by default what it looks like.",
)
@click.option("--event", "events", multiple=True, metavar="EVENT", help="An event of your own that may have hooks.")
@click.option("--strict", is_flag=True, help="Fail for warnings too.")
def command(file: Path | None, platform: Platform | None, events: tuple[str, ...], strict: bool) -> None:
    """Look for what is wrong with an AppSpec: every problem with its line.

    FILE is the AppSpec or the directory that it is in, by default this one. Exit code 3 when something is wrong.
    """
    path = found(file or Path())
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    spec = load(content, str(path), platform or guessed(content), events=events)
    for warning in spec.warnings:
        click.echo(printable(told(str(path), warning)), err=True)
    if strict and spec.warnings:
        from pushkit_aws.appspec import AppSpecError  # noqa: PLC0415

        raise AppSpecError(str(path), spec.warnings)
    click.echo(printable(summary(path, spec)))


def found(path: Path) -> Path:
    """The AppSpec that ``path`` is or holds. Raises `UsageError` that says where it was looked for."""
    if not path.is_dir():
        if path.exists():
            return path
        raise UsageError(f"{path} does not exist", hint="name the AppSpec, or the directory that it is in")
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    here = "this directory" if path == Path() else str(path)
    raise UsageError(f"there is no AppSpec in {here}", hint=f"it is called {', '.join(NAMES[:-1])} or {NAMES[-1]}")


def guessed(content: bytes) -> Platform:
    """The platform that an AppSpec is for, by its words; ``server`` when nothing speaks for another."""
    if b"AWS::Lambda::" in content:
        return "lambda"
    return "ecs" if b"AWS::ECS::" in content or b"esources" in content else "server"


def told(name: str, problem: Problem) -> str:
    """A warning on one line, as problems are told."""
    place = f"{name}:{problem.line}" if problem.line else name
    words = "; ".join(filter(None, (problem.message, problem.hint)))
    return ": ".join(filter(None, (place, "warning", problem.path, words)))


def summary(path: Path, spec: AppSpec) -> str:
    """A valid AppSpec on one line."""
    if spec.resource is not None:
        return f"{path} is valid: {spec.resource.type} {spec.resource.name}"
    parts = {
        "file": len(spec.files),
        "permission": len(spec.permissions),
        "script": sum(map(len, spec.hooks.values())),
    }
    words = (f"{count} {noun}{'s' * (count != 1)}" for noun, count in parts.items())
    return f"{path} is valid: {', '.join(words)}"
