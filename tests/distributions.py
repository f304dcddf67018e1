"""Real distributions for tests: modules and their metadata in a directory that is on ``sys.path``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pushkit import registry

STRATEGY = """
from typing import Annotated

from msgspec import Meta

from pushkit import Options, Plan, Release, Secret, Snapshot, Strategy, checks, hookimpl, public


class {name}Options(Options):
    {options}


class {name}Strategy(Strategy[{name}Options]):
    name = "{name}"
    Options = {name}Options

    def plan(self, snapshot: Snapshot) -> Plan:
        return Plan(self.run.target.name, ())

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        raise NotImplementedError


@hookimpl
def pushkit_strategy():
    return {name}Strategy
"""


def strategy(name: str, options: str = "pass") -> str:
    """The source of a module with a strategy whose options are the class body ``options``."""
    return STRATEGY.format(name=name, options=options)


def install(
    site: Path,
    name: str,
    modules: Mapping[str, str],
    entry_points: Mapping[str, str],
    *,
    version: str = "1.0",
) -> None:
    """Lay a distribution in ``site``. ``entry_points`` maps ``group:name`` to what it names."""
    site.mkdir(exist_ok=True)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups: dict[str, list[str]] = {}
    for key, target in entry_points.items():
        group, _, entry = key.partition(":")
        groups.setdefault(group, []).append(f"{entry} = {target}\n")
    lines = (f"[pushkit.{group}]\n{''.join(entries)}" for group, entries in groups.items())
    (info / "entry_points.txt").write_text("\n".join(lines))


def install_strategy(site: Path, name: str, options: str = "pass") -> None:
    """Lay a distribution ``acme-NAME`` with one strategy."""
    install(site, f"acme-{name}", {f"acme_{name}": strategy(name, options)}, {f"strategies:{name}": f"acme_{name}"})


def forget() -> None:
    """Make the registry look again, as a new process would."""
    importlib.invalidate_caches()
    registry.names.cache_clear()
    registry._manager.cache_clear()


@contextmanager
def importable(site: Path) -> Iterator[Path]:
    """``site`` on ``sys.path``, for as long as this lasts, and nothing of it imported afterwards."""
    site.mkdir(exist_ok=True)
    sys.path.insert(0, str(site))
    forget()
    try:
        yield site
    finally:
        sys.path.remove(str(site))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(site)):
                del sys.modules[name]
        forget()
