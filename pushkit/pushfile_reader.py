"""The tables of a Pushfile, one after the other: what they describe, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pushkit import expectation, registry, toml_lines
from pushkit.commands import COMMANDS
from pushkit.errors import PushkitError
from pushkit.expectation import found
from pushkit.model import Notify, Project, Target
from pushkit.secrets import references
from pushkit.suggestion import did_you_mean

if TYPE_CHECKING:
    from pushkit.options import Options

PROJECT_KEYS = ("name", "source", "ignore", "default")
"""The keys of the table ``[project]``."""

COMMON_KEYS = ("strategy", "ignore", "include")
"""The keys that every target has, whatever its strategy. The others are the strategy's options."""

TARGET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What a target may be called, as long as no command is called so."""


class Finding(NamedTuple):
    """What is wrong at a place of the Pushfile, and what to do about it."""

    place: toml_lines.Path
    message: str
    hint: str = ""


class Reader:
    """Reads the parsed ``tables`` of a Pushfile and collects, in ``findings``, everything that is wrong."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.tables = tables
        self.findings: list[Finding] = []

    def project(self, pushfile: Path) -> Project:
        """What the file as a whole describes. The insides of its targets are left to `check`."""
        self._known((), self.tables, ("project", "target", "notify"), "table")
        project = self._table("project")
        self._known(("project",), project, PROJECT_KEYS, "key")
        targets = {name: _target(name, table) for name, table in self._targets().items()}
        notify = {name: _notify(name, table) for name, table in self._table("notify").items() if self._observer(name)}
        root = pushfile.parent
        name = self._text(("project", "name"), project, root.name or "project")
        source = self._text(("project", "source"), project, ".")
        default = self._text(("project", "default"), project, next(iter(targets)) if len(targets) == 1 else "")
        if "default" in project and default and default not in targets:
            self._find(("project", "default"), f'no target "{default}"', did_you_mean(default, targets))
        ignore = self._patterns(("project", "ignore"), project)
        private = tuple(
            sorted(_private([*(each.table for each in targets.values()), *(each.table for each in notify.values())]))
        )
        return Project(name, pushfile, root, source, ignore, default, targets, notify, private)

    def check(self, target: Target) -> None:
        """Find what is wrong in a target: its common keys, its references, its strategy's options."""
        place: toml_lines.Path = ("target", target.name)
        table = self.tables["target"][target.name]
        if not TARGET_NAME.fullmatch(target.name):
            self._find(place, "not a name for a target", "use letters, digits, dots, dashes and underscores")
        if not isinstance(table, dict):
            self._find(place, f"expected a table, found {found(table)}", f"write [target.{target.name}]")
            return
        for key in ("ignore", "include"):
            self._patterns((*place, key), table)
        sound = self._references(place, target.table)
        if "strategy" not in table:
            self._find((*place, "strategy"), "missing, expected the name of a strategy", _installed("strategies"))
        elif self._plugin((*place, "strategy"), table["strategy"], "strategies") and sound:
            self._options(place, registry.strategy(target.strategy).Options, target.table)

    def check_notify(self, notify: Notify) -> None:
        """Find what is wrong in a ``[notify.NAME]`` table: its references, its observer's options."""
        place: toml_lines.Path = ("notify", notify.name)
        if self._references(place, notify.table):
            self._options(place, registry.observer(notify.observer).Options, notify.table)

    def _options(self, place: toml_lines.Path, model: type[Options], raw: Mapping[str, Any]) -> None:
        from pushkit.options import schema_of  # noqa: PLC0415  (only for those who need it)
        from pushkit.validation import UNKNOWN, validate  # noqa: PLC0415

        table = references.replaced(
            raw, lambda _, text: text if references.refers(text) else "".join(map(str, references.parse(text)))
        )
        if references.refers(raw):
            schema = schema_of(model)
            for path, text in references.texts(raw):
                if references.refers(text) and (instead := expectation.public(schema, path)):
                    self._find((*place, *path), "no reference is allowed here: others can see the value", instead)
        _, faults = validate(model, table, raw)
        for fault in faults:
            if fault.open:
                continue
            astray = fault.message == UNKNOWN and fault.path in {(key,) for key in PROJECT_KEYS}
            self._find((*place, *fault.path), fault.message, "write it into [project]" if astray else fault.hint)

    def _references(self, place: toml_lines.Path, table: Mapping[str, Any]) -> bool:
        """Whether every reference in ``table`` is one, of a source that is installed."""
        count = len(self.findings)
        for path, text in references.texts(table, place):
            try:
                parts = references.parse(text)
            except PushkitError as error:
                self._find(path, error.message, error.hint)
                continue
            for part in parts:
                if isinstance(part, references.Reference):
                    self._plugin(path, part.source, "secret_sources")
        return len(self.findings) == count

    def _targets(self) -> Mapping[str, Mapping[str, Any]]:
        targets = {}
        for name, table in self._table("target").items():
            if name in COMMANDS:
                # Wrong for everybody: what a word on the command line means must not depend on who reads it.
                self._find(("target", name), f"`push {name}` is a command", "give the target another name")
            targets[name] = table if isinstance(table, dict) else {}
        if not targets and not self.findings:
            self._find((), "there is no target", "write one as [target.NAME], or let `push init` do it")
        return targets

    def _observer(self, name: str) -> bool:
        """Whether ``[notify.NAME]`` names an observer that is installed."""
        place: toml_lines.Path = ("notify", name)
        table = self.tables["notify"][name]
        if not isinstance(table, dict):
            self._find(place, f"expected a table, found {found(table)}", f"write [notify.{name}]")
        elif "observer" not in table:
            self._find((*place, "observer"), "missing, expected the name of an observer", _installed("observers"))
        else:
            return self._plugin((*place, "observer"), table["observer"], "observers")
        return False

    def _plugin(self, place: toml_lines.Path, name: object, group: str) -> bool:
        """Whether ``name`` is that of a plugin of ``group``. Which of several, and whether it works, is not asked."""
        noun = registry.NOUNS[group]
        if not isinstance(name, str):
            self._find(place, f"expected the name of a {noun}, found {found(name)}", _installed(group))
            return False
        known = {plugin.name for plugin in registry.names(group)}
        if name not in known:
            self._find(place, f'there is no {noun} "{name}"', did_you_mean(name, known) or _installed(group))
        return name in known

    def _table(self, key: str) -> Mapping[str, Any]:
        table = self.tables.get(key, {})
        if isinstance(table, dict):
            return table
        self._find((key,), f"expected a table, found {found(table)}")
        return {}

    def _known(self, place: toml_lines.Path, table: Mapping[str, Any], known: Sequence[str], noun: str) -> None:
        for key, value in table.items():
            if key not in known:
                hint = did_you_mean(key, known) or f"known: {', '.join(known)}"
                if not place and isinstance(value, dict) and "strategy" in value:
                    hint = f"a target is written as [target.{key}]"
                self._find((*place, key), f"unknown {noun}", hint)

    def _text(self, place: toml_lines.Path, table: Mapping[str, Any], default: str) -> str:
        value = table.get(str(place[-1]), default)
        if not isinstance(value, str) or (not value and default):
            self._find(place, f"expected text, found {found(value)}")
            return default
        if references.refers(value):
            self._find(place, "references are only resolved in the options of targets")
        return value

    def _patterns(self, place: toml_lines.Path, table: Mapping[str, Any]) -> tuple[str, ...]:
        value = table.get(str(place[-1]), [])
        if not isinstance(value, list):
            self._find(place, f"expected a list of patterns, found {found(value)}", 'write ["*.log"]')
            return ()
        for index, pattern in enumerate(value):
            if not isinstance(pattern, str) or not pattern:
                self._find((*place, index), f"expected a pattern, found {found(pattern)}")
        return tuple(value)

    def _find(self, place: toml_lines.Path, message: str, hint: str = "") -> None:
        self.findings.append(Finding(place, message, hint))


def _target(name: str, table: Mapping[str, Any]) -> Target:
    """The target that ``table`` describes, as far as it does."""
    strategy, ignore, include = (table.get(key) for key in COMMON_KEYS)
    return Target(
        name,
        strategy if isinstance(strategy, str) else "",
        {key: value for key, value in table.items() if key not in COMMON_KEYS},
        tuple(ignore) if isinstance(ignore, list) else (),
        tuple(include) if isinstance(include, list) else (),
    )


def _notify(name: str, table: Mapping[str, Any]) -> Notify:
    return Notify(name, table["observer"], {key: value for key, value in table.items() if key != "observer"})


def _private(tables: Sequence[Mapping[str, Any]]) -> set[str]:
    """The files that ``tables`` take secrets from: those of ``${file:PATH}``, and private keys."""
    found = set()
    for table in tables:
        if isinstance(key := table.get("key"), str):
            found.add(key)
        for _, text in references.texts(table):
            try:
                parts = references.parse(text)
            except PushkitError:
                continue  # told of where the target is checked
            found |= {
                part.argument for part in parts if isinstance(part, references.Reference) and part.source == "file"
            }
    return found


def _installed(group: str) -> str:
    known = sorted({plugin.name for plugin in registry.names(group)})
    return f"installed: {', '.join(known)}" if known else "none is installed"
