"""``push explain``: a strategy's options."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import asdict

from pushkit import registry
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.expectation import Schema, expected, resolved
from pushkit.options import schema_of
from pushkit.ui.jsonl import line as json_line

_WIDTH = 88


class Option(Struct, frozen=True):
    """One option of a strategy. ``name`` is dotted within a table, ``default`` is None where there is none."""

    name: str
    type: str
    required: bool
    default: Any
    help: str


@click.command()
@click.argument("strategy", shell_complete=lambda *asked: complete_strategy(asked[2]))
@click.option("--observer", is_flag=True, help="It is the name of an observer, not of a strategy.")
@common("json")
@click.pass_obj
def command(settings: Settings, strategy: str, observer: bool) -> None:
    """Explain the options of a STRATEGY: what each may be, its default, and what it is for."""
    kind = registry.explained("observers" if observer else "strategies", strategy)
    options = list(options_of(schema_of(kind.Options)))
    summary = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
    if settings.json:
        say(
            json_line(
                "observer" if observer else "strategy",
                name=strategy,
                help=summary,
                options=[asdict(option) for option in options],
            )
        )
        return
    say(f"{strategy}: {summary}" if summary else strategy)
    for option in options:
        say(f"\n{option.name}  ({described(option)})")
        for text in textwrap.wrap(option.help, _WIDTH - 4):
            say(f"    {text}")


def complete_strategy(incomplete: str) -> list[str]:
    """The strategies that begin with ``incomplete``. None is imported."""
    return [plugin.name for plugin in registry.names("strategies") if plugin.name.startswith(incomplete)]


def described(option: Option) -> str:
    """What an option may be, and whether it has to be given."""
    if option.required:
        return f"{option.type}; required"
    if option.default in (None, "", [], (), {}):
        return option.type
    return f"{option.type}; default {json.dumps(option.default, ensure_ascii=False)}"


def options_of(schema: Schema, root: Schema | None = None, table: str = "") -> Iterator[Option]:
    """The options that a JSON Schema describes, those that are required first; a table is followed by its own."""
    root = root or schema
    required = schema.get("required", ())
    for name, part in sorted(schema.get("properties", {}).items(), key=lambda item: item[0] not in required):
        yield Option(
            table + name,
            expected(part, root),
            name in required,
            part.get("default"),
            " ".join(part.get("description", "").split()),
        )
        for inner in tables(part, root):
            yield from options_of(inner, root, f"{table}{name}.")


def tables(part: Schema, root: Schema) -> list[dict[str, Any]]:
    """The tables with options of their own that an option may be."""
    branches = [resolved(branch, root) for branch in (part, *part.get("anyOf", ()), *part.get("oneOf", ()))]
    return [dict(branch) for branch in branches if "properties" in branch]
