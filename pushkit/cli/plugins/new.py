"""``push plugins new``: a plugin's project."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from pushkit import __version__, registry
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import UsageError
from pushkit.plugin_api import CURRENT
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines

# Where each template goes.
PLACES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "ci.yml": ".github/workflows/test.yml",
    "init.py": "pushkit_@module@/__init__.py",
    "strategy.py": "pushkit_@module@/strategy.py",
    "test_contract.py": "tests/test_contract.py",
}
# What is otherwise where files are pushed to a remote of the plugin's own.
REMOTE_PLACES = {
    "strategy_remote.py": "pushkit_@module@/strategy.py",
    "remote.py": "pushkit_@module@/remote.py",
    "test_contract_remote.py": "tests/test_contract.py",
}
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option(
    "--remote", is_flag=True, help="Begin with a remote: a dozen primitives, and releases, mirror, queue and rollback."
)
@common("json")
@click.pass_obj
def command(settings: Settings, name: str, *, remote: bool) -> None:
    """Begin a plugin: the directory pushkit-NAME, with a strategy that works, its tests, and what packages it.

    Its tests are pushkit's own contract, and pass. Change the strategy from there. With --remote the strategy pushes
    files by a dozen primitives, which are what to change, and all else comes with them.
    """
    top = Path(f"pushkit-{name}")
    refuse(name, top)
    made = project(name, remote=remote)
    try:
        write(made, top)
    except OSError as error:
        raise UsageError(f"{top} cannot be written: {error.strerror}", hint="nothing is left of it") from error
    if settings.json:
        say(json_line("plugin-project", path=str(top), files=list(made)))
    elif not settings.quiet:
        Lines(sys.stderr)(f"wrote {top}; next: cd {top}, pip install --editable '.[dev]', pytest")


def refuse(name: str, top: Path) -> None:
    """Raise `UsageError` where a plugin cannot be called ``name``."""
    if not NAME.fullmatch(name):
        raise UsageError(f'"{name}" cannot be the name of a plugin', hint="lower-case letters, digits and - make one")
    if taken := [plugin for plugin in registry.names("strategies") if plugin.name == name]:
        raise UsageError(f"there is a {taken[0]} already", hint="two of one name cannot both be used: choose another")
    if os.path.lexists(top):
        raise UsageError(f"{top} is there already", hint="choose another name, or another directory")


def write(made: Mapping[str, str], top: Path) -> None:
    """Write the files of a project into the directory ``top``, which is there with all of them or not at all."""
    with TemporaryDirectory(prefix=f".{top.name}-", dir=top.parent) as name:
        whole = Path(name) / top.name
        for place, text in made.items():
            file = whole / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        whole.rename(top)


def project(name: str, *, remote: bool = False) -> dict[str, str]:
    """The files of the project of the plugin ``name``, which may have a ``remote``, by path."""
    module = name.replace("-", "_")
    words = {
        "@name@": name,
        "@module@": module,
        "@class@": "".join(part.capitalize() for part in name.split("-")),
        "@version@": __version__,
        "@api@": str(CURRENT),
    }

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    templates = files("pushkit.cli.plugins") / "project"
    places = {place: template for template, place in PLACES.items()}
    places |= {place: template for template, place in REMOTE_PLACES.items()} if remote else {}
    return {
        filled(place): filled((templates / f"{template}.txt").read_text(encoding="utf-8"))
        for place, template in places.items()
    }
