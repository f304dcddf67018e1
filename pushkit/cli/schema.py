"""``push schema``: the Pushfile's JSON Schema, for editors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pushkit import pushfile, registry
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.commands import COMMANDS
from pushkit.errors import PluginError, UsageError
from pushkit.expectation import PUBLIC
from pushkit.ignore import GITIGNORE
from pushkit.options import schema_of
from pushkit.pushfile_reader import TARGET_NAME
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible

Schema = dict[str, Any]

FILE = ".push/schema.json"
"""Where a Pushfile's first line looks for the schema, from the Pushfile's directory."""

_PATTERNS = {"type": "array", "items": {"type": "string", "minLength": 1}}


@click.command()
@click.option("--write", "to_file", is_flag=True, help=f"Write it to {FILE} beside the Pushfile, as push init does.")
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, to_file: bool) -> None:
    """Print the JSON Schema of a Pushfile: of the built-in strategies and of those that are installed.

    An editor that knows TOML completes and checks a Pushfile with it. push init writes it to a file, and the line
    of the Pushfile that names that file; --write does so again, after a plugin was installed. A strategy that
    cannot be imported is left out, and named on stderr.
    """
    if not to_file:
        say(installed_schema())
        return
    path = write(pushfile.find(settings.pushfile).parent)
    if settings.json:
        say(json_line("schema", path=str(path)))
    elif not settings.quiet:
        Lines(sys.stderr)(f"wrote {visible(str(path))}")


def write(directory: Path) -> Path:
    """Write the schema to its file beside the Pushfile in ``directory``; return its path. Raises `UsageError`."""
    path = directory / FILE
    text = installed_schema() + "\n"
    try:
        path.parent.mkdir(exist_ok=True)
        if not (ignore := path.parent / GITIGNORE).exists():
            # The schema is made from what is installed here: nothing to commit.
            ignore.write_text("*\n")
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return path


def installed_schema() -> str:
    """The schema of a Pushfile with every strategy that is installed, as text."""
    targets = dict(_schemas("strategies", "{name}"))
    observers = dict(_schemas("observers", "notify.{name}"))
    return json.dumps(pushfile_schema(targets, observers), indent=2)


def _schemas(group: str, prefix: str) -> Iterator[tuple[str, Schema]]:
    """The options of each plugin of a group, by name, what it refers to under ``prefix``. A broken one is left out."""
    for name in sorted({plugin.name for plugin in registry.names(group)}):
        template = f"#/$defs/{prefix.format(name=name)}.{{name}}"
        try:
            yield name, schema_of(registry.explained(group, name).Options, template)
        except PluginError as error:
            Lines(sys.stderr)(f"left out: {error.message}")


def pushfile_schema(strategies: dict[str, Schema], observers: dict[str, Schema]) -> Schema:
    """The schema of a Pushfile (draft 2020-12), from the schemas of the options of strategies and observers.

    Where a strategy's schema refers to definitions, they are named ``STRATEGY.NAME``; ``notify.OBSERVER.NAME`` where an
    observer's does.
    """
    definitions: Schema = {
        "reference": {
            "type": "string",
            "pattern": r"\$\{[A-Za-z][A-Za-z0-9_-]*:[^}]+\}",
            "description": "A value from elsewhere: ${secret:NAME}, ${env:NAME}, ${file:PATH}, ${command:PROGRAM}.",
        }
    }
    for name, options in strategies.items():
        inner = options.pop("$defs", {})
        definitions |= {f"{name}.{key}": _open(part) for key, part in inner.items()}
        definitions[f"target.{name}"] = _target(name, _open(options))
    for name, options in observers.items():
        inner = options.pop("$defs", {})
        definitions |= {f"notify.{name}.{key}": _open(part) for key, part in inner.items()}
        definitions[f"notify.{name}"] = _observer(name, _open(options))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pushfile",
        "description": "The targets of a project, for the command push.",
        "type": "object",
        "properties": {
            "project": _PROJECT,
            "target": {
                "type": "object",
                "description": "The places to push to, by name.",
                "minProperties": 1,
                "propertyNames": {"pattern": f"^{TARGET_NAME.pattern}$", "not": {"enum": list(COMMANDS)}},
                "additionalProperties": {
                    "type": "object",
                    "properties": {"strategy": {"enum": list(strategies)}},
                    "required": ["strategy"],
                    # Not oneOf: what is wrong is told where it is, by the strategy that the target names.
                    "allOf": [
                        {
                            "if": {"properties": {"strategy": {"const": name}}, "required": ["strategy"]},
                            "then": {"$ref": f"#/$defs/target.{name}"},
                        }
                        for name in strategies
                    ],
                },
            },
            "notify": {
                "type": "object",
                "description": "Who hears of pushes, by name.",
                "additionalProperties": {
                    "type": "object",
                    "properties": {"observer": {"enum": list(observers)}},
                    "required": ["observer"],
                    "allOf": [
                        {
                            "if": {"properties": {"observer": {"const": name}}, "required": ["observer"]},
                            "then": {"$ref": f"#/$defs/notify.{name}"},
                        }
                        for name in observers
                    ],
                },
            },
        },
        "required": ["target"],
        "additionalProperties": False,
        "$defs": definitions,
    }


_PROJECT: Schema = {
    "type": "object",
    "properties": {
        "name": {
            "type": "string",
            "minLength": 1,
            "description": "What the project is called; by default as its directory.",
        },
        "source": {
            "type": "string",
            "minLength": 1,
            "default": ".",
            "description": "What is pushed: a directory, or git:REVISION, or git:REVISION:DIRECTORY.",
        },
        "ignore": _PATTERNS
        | {"description": "gitignore patterns of what is not pushed, after .gitignore and .pushignore."},
        "default": {"type": "string", "description": "The target of a push that names none."},
    },
    "additionalProperties": False,
}


def _target(name: str, options: Schema) -> Schema:
    """The schema of a target: the strategy's options, and what every target has."""
    return options | {
        "title": f"A target of the strategy {name}",
        "properties": {
            "strategy": {"const": name, "description": "How to push."},
            **options.get("properties", {}),
            "ignore": _PATTERNS | {"description": "More patterns of what is not pushed to this target."},
            "include": _PATTERNS | {"description": "Patterns of what git ignores and this target needs."},
        },
        "required": ["strategy", *options.get("required", ())],
    }


def _observer(name: str, options: Schema) -> Schema:
    """The schema of a ``[notify.NAME]`` table."""
    return options | {
        "title": f"An observer {name}",
        "properties": {"observer": {"const": name, "description": "Who is told."}, **options.get("properties", {})},
        "required": ["observer", *options.get("required", ())],
    }


def _open(schema: Schema) -> Schema:
    """``schema`` with every property as it is, or a reference to its value."""
    properties = {name: _or_reference(part) for name, part in schema.get("properties", {}).items()}
    return schema | {"properties": properties} if properties else schema


def _or_reference(part: Schema) -> Schema:
    described = {key: part[key] for key in ("description", "default", "title") if key in part}
    rest = {key: value for key, value in part.items() if key not in described}
    if PUBLIC in part:
        return part | _plain(part)
    if rest == {"type": "string"}:
        return part
    return described | {"anyOf": [rest, {"$ref": "#/$defs/reference"}]}


def _plain(part: Schema) -> Schema:
    """What keeps references out of an option that others can see: out of its text, or out of each text in it."""
    reference = {"not": {"$ref": "#/$defs/reference"}}
    return {"items": part["items"] | reference} if "items" in part else reference
