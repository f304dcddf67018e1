"""What an option may be, in plain words, read from its JSON Schema; and what a value is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

PUBLIC = "x-public"
"""The key that marks the schema of a `pushkit.public` option; its value says what to write in place of a reference."""

_FORMATS = {
    "path": "a path",
    "file-path": "the path of a file",
    "directory-path": "the path of a directory",
    "password": "secret text",
    "uri": "a URL",
    "date": "a date",
    "date-time": "a date and time",
    "time": "a time",
    "duration": "a duration",
}


def expected(schema: Schema, root: Schema) -> str:
    """What ``schema`` allows: ``a whole number from 1 to 65535``. ``root`` holds the ``$defs`` it refers to."""
    schema = resolved(schema, root)
    branches = _branches(schema)
    values = choices(schema)
    if values or branches:
        words = _either([_literal(value) for value in values] or [expected(branch, root) for branch in branches])
        return f"{words}, no references" if PUBLIC in schema else words
    match schema.get("type"):
        case "string":
            words = _text(schema)
        case "integer":
            words = "a whole number" + _bounds(schema)
        case "number":
            words = "a number" + _bounds(schema)
        case "boolean":
            words = "true or false"
        case "array":
            words = _list(schema, root)
        case "object":
            inner = schema.get("additionalProperties")
            words = f"a table, each value {expected(inner, root)}" if isinstance(inner, Mapping) else "a table"
        case _:
            words = "a value"
    return f"{words}, no references" if PUBLIC in schema else words


def public(schema: Schema, path: tuple[str | int, ...]) -> str:
    """What to write in place of a reference at ``path``; empty where one is allowed."""
    parts = (at(schema, path[: depth + 1], schema) or {} for depth in range(len(path)))
    return next((str(part[PUBLIC]) for part in parts if PUBLIC in part), "")


def found(value: object, *, hidden: bool = False) -> str:
    """What ``value`` is. The value itself is shown only where it is a number, and not ``hidden``."""
    match value:
        case bool():
            words = "true or false" if hidden else str(value).lower()
        case int() | float():
            words = "a number" if hidden else str(value)
        case str():
            words = "text" if value or hidden else "empty text"
        case list():
            words = "a list" if value else "an empty list"
        case dict():
            words = "a table"
        case _:
            words = "a date or time"  # the only other values that TOML has
    return words


def at(schema: Schema, path: tuple[str | int, ...], root: Schema) -> Schema | None:
    """The part of ``schema`` that rules the value at ``path``, absent when it cannot be told."""
    schema = resolved(schema, root)
    if not path:
        return schema
    first, *rest = path
    if isinstance(first, int):
        fixed = schema.get("prefixItems", ())
        below = fixed[first] if first < len(fixed) else schema.get("items")
    else:
        below = schema.get("properties", {}).get(first, schema.get("additionalProperties"))
    if isinstance(below, Mapping):
        return at(below, tuple(rest), root)
    parts = (at(branch, path, root) for branch in _branches(schema))
    return next((part for part in parts if part is not None), None)


def choices(schema: Schema) -> list[Any]:
    """The values that ``schema`` lists, where it lists them."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def is_secret(schema: Schema, root: Schema) -> bool:
    """Whether ``schema`` is that of a `pushkit.Secret`, or of what may be one."""
    schema = resolved(schema, root)
    return schema.get("format") == "password" or any(is_secret(branch, root) for branch in _branches(schema))


def resolved(schema: Schema, root: Schema) -> Schema:
    """``schema``, or what its ``$ref`` refers to."""
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = {**root["$defs"][name], **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _branches(schema: Schema) -> list[Schema]:
    branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
    # TOML has no null: an option that may be null is one that may be left out.
    return [branch for branch in branches if branch.get("type") != "null"]


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _either(words: list[str]) -> str:
    distinct = list(dict.fromkeys(words))
    return distinct[0] if len(distinct) == 1 else f"{', '.join(distinct[:-1])} or {distinct[-1]}"


def _text(schema: Schema) -> str:
    words = _FORMATS.get(schema.get("format", ""), "text")
    if schema.get("minLength") == 1:
        words += " that is not empty"
    elif "minLength" in schema:
        words += f" of at least {schema['minLength']} characters"
    if "maxLength" in schema:
        words += f" of at most {schema['maxLength']} characters"
    if "pattern" in schema:
        words += f" that matches {schema['pattern']}"
    return words


def _list(schema: Schema, root: Schema) -> str:
    items = schema.get("items")
    words = f"a list, each item {expected(items, root)}" if isinstance(items, Mapping) and items else "a list"
    if "prefixItems" in schema:
        fixed = [expected(each, root) for each in schema["prefixItems"]]
        words = f"a list of {len(fixed)} items: {', '.join(fixed)}"
    elif schema.get("minItems") == 1:
        words += ", not empty"
    return words


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    words = f" from {low} to {high}" if low is not None and high is not None else ""
    if not words:
        words = f" of at least {low}" if low is not None else ""
        words += f" of at most {high}" if high is not None else ""
    if "exclusiveMinimum" in schema:
        words += f" above {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema:
        words += f" below {schema['exclusiveMaximum']}"
    return words
