"""The pages of keys and options: what the Pushfile's JSON Schema knows of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from markdown_text import code, documented, prose, table
from pushkit import registry
from pushkit.cli.explain import Option, described, options_of
from pushkit.cli.schema import installed_schema
from pushkit.options import schema_of

HEAD = ("option", "is", "for")


def own(group: str) -> Sequence[str]:
    """The names of the plugins of a group that come with pushkit."""
    return [plugin.name for plugin in registry.names(group) if plugin.distribution == "pushkit"]


def keys() -> str:
    """The page of the tables ``[project]`` and what every target has."""
    schema = json.loads(installed_schema())
    project = schema["properties"]["project"]
    known = set(options(registry.strategy("dir").Options))
    target = schema["$defs"]["target.dir"]
    common = {name: part for name, part in target["properties"].items() if name not in known}
    # The schema of a file lets a reference stand for any value; of these keys none is one.
    common["strategy"] = {"type": "string", "description": common["strategy"]["description"]}
    return (
        "# Pushfile keys\n\n"
        "A Pushfile is a [TOML](https://toml.io) file with three kinds of tables. [The Pushfile](../pushfile.md) says "
        "how they work together. An unknown key is an error that suggests the right one.\n\n"
        "## [project]\n\n" + rows("project", project) + "\n\n"
        "## [target.NAME]\n\nEvery target has these keys. The others are the [options of its strategy](strategies.md)."
        "\n\n" + rows("target", {"properties": common, "required": target["required"]}) + "\n\n"
        "## [notify.NAME]\n\n`observer` names who is told; the other keys are the [observer's options](observers.md).\n"
    )


def rows(name: str, schema: Mapping[str, Any]) -> str:
    """The table of the options that a schema describes. Raises `UndocumentedError` where one has no words."""
    return table(HEAD, [row(name, option) for option in options_of(schema)])


def row(name: str, option: Option) -> tuple[str, str, str]:
    """One option of ``name``."""
    words = documented(option.help, f"the option {option.name} of {name}")
    # A pattern is full of what Markdown takes for its own.
    may_be = re.sub(
        r"(?<=matches )\S+?(?=; required$|; default |$| or | in )", lambda found: code(found[0]), described(option)
    )
    return code(option.name), may_be, words


def options(kind: Any) -> Mapping[str, Option]:
    """The options of a class of `pushkit.Options`, those of its tables too, by their dotted names."""
    return {option.name: option for option in options_of(schema_of(kind))}


def strategies() -> str:
    """The page of the options of every strategy."""
    intro = (
        "# Options of the strategies\n\nEvery option of every strategy, as `push explain STRATEGY` prints them. "
        "Each strategy's own page, in the menu, shows how to use them.\n\n"
    )
    return intro + "\n\n".join(plugin(name, registry.strategy(name)) for name in own("strategies")) + "\n"


def observers() -> str:
    """The page of the options of every observer."""
    intro = (
        "# Options of the observers\n\nEvery option of every observer, as `push explain --observer NAME` prints them. "
        "[Tell others of a push](../notify.md) shows how to use them.\n\n"
    )
    return intro + "\n\n".join(plugin(name, registry.observer(name)) for name in own("observers")) + "\n"


def plugin(name: str, kind: Any) -> str:
    """The section of a strategy or an observer."""
    summary = documented(kind.__doc__, name)
    return f"## {name}\n\n{prose(summary)}\n\n" + rows(name, schema_of(kind.Options))


def sources() -> str:
    """The page of what ``${NAME:...}``, ``hosts = ["NAME:..."]`` and ``store = "NAME://..."`` may refer to."""
    parts = [
        "# Sources",
        "## Secret sources",
        "What a [reference](../secrets.md) `${NAME:...}` may name.",
        sourced("secret_sources"),
        "## Host sources",
        'What `hosts = ["NAME:..."]` may name: see [many hosts](../fleet.md#where-the-hosts-come-from).',
        sourced("host_sources"),
        "## Stores",
        'What `store = "NAME://..."` may name, and the options of its table: see [many hosts](../fleet.md).',
        *(f"#{plugin(name, registry.store(name))}" for name in own("stores")),
    ]
    return "\n\n".join(parts) + "\n"


def sourced(group: str) -> str:
    """What each source of a group says of itself."""
    found = [each for each in registry.names(group) if each.distribution == "pushkit"]
    return "\n\n".join(
        f"### {each.name} {{ #{group.replace('_', '-')}-{each.name} }}\n\n"
        + prose(documented(import_module(each.module.partition(":")[0]).__doc__, each.module))
        for each in found
    )
