"""``push secrets import``: take secrets over from a .env file."""

from __future__ import annotations

import io
from pathlib import Path

import click

from pushkit.amount import counted
from pushkit.cli.secrets.desk import desk, for_target, options
from pushkit.cli.settings import Settings, common
from pushkit.errors import PushRefused, SnapshotError, UsageError
from pushkit.git import git
from pushkit.secrets.secrets_file import locked


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@for_target
@common("yes")
@options
@click.pass_obj
def command(settings: Settings, path: Path, target: str) -> None:
    """Keep each NAME=value of FILE as a secret, all of them or none. FILE stays as it is: remove it then."""
    values = read(path)
    with desk(settings) as at, locked(at.root):
        file = at.file()
        names = {at.name(name, target): value for name, value in values.items()}
        for name, value in names.items():
            at.lookup.hide(str(name), value)
        known = ", ".join(str(name) for name in names if name in file.secrets)
        if known and not at.confirm(f"These are secrets already: {known}. Change them?"):
            raise PushRefused("nothing was imported")
        for name, value in names.items():
            file = file.with_secret(name, value)
        file.write()
        at.tell(f"{counted(len(names), 'secret')} of {path} kept", "imported", names=[str(name) for name in names])
        if not settings.json:
            advice = " and change the values: its history has them" if tracked(path) else ""
            at.tell(f"now remove {path}{advice}", "")


def read(path: Path) -> dict[str, str]:
    """The variables of a .env file. Nothing in it is expanded. Raises `UsageError`."""
    from dotenv.parser import parse_stream  # noqa: PLC0415  (only this command reads such a file)

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    values = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise UsageError(f"{path}, line {binding.original.line}: expected NAME=value; nothing was imported")
        if binding.key and binding.value:
            values[binding.key] = binding.value
    if not values:
        raise UsageError(f"{path} has no NAME=value")
    return values


def tracked(path: Path) -> bool:
    """Whether git has the file."""
    try:
        return bool(git(str(path.absolute().parent), "ls-files", "--", path.name))
    except SnapshotError:
        return False
