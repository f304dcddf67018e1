"""References in a Pushfile's values: ``${SOURCE:ARGUMENT}``; ``$${`` is a literal ``${``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pushkit.errors import PushkitError

_TOKEN = re.compile(r"\$(?P<escape>\$\{)|\$\{(?:(?P<source>[A-Za-z][A-Za-z0-9_-]*):(?P<argument>[^}]+)\})?")


class Reference(NamedTuple):
    """``${source:argument}``: which source knows the value, and what to ask it for."""

    source: str
    argument: str

    def __str__(self) -> str:
        return f"{self.source}:{self.argument}"


def parse(text: str) -> Sequence[str | Reference]:
    """``text`` as literal parts and references, in order. Raises `PushkitError`."""
    parts: list[str | Reference] = []
    at = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        if match["escape"]:
            parts.append("${")
        elif match["source"]:
            parts.append(Reference(match["source"], match["argument"]))
        else:
            raise PushkitError(
                "${ begins no reference", hint="write ${env:NAME} to refer to a value, $${ for a literal ${"
            )
    return [part for part in (*parts, text[at:]) if part]


def refers(value: Any) -> bool:
    """Whether any text in ``value``, at any depth, holds a reference or what looks like one."""
    return any(not match["escape"] for _, text in texts(value) if "${" in text for match in _TOKEN.finditer(text))


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in ``value``, a value of a TOML document, with its path below ``path``."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*path, index))


def replaced(value: Any, change: Callable[[tuple[str | int, ...], str], str], path: tuple[str | int, ...] = ()) -> Any:
    """A copy of ``value`` with every text in it, at any depth, replaced by ``change(path, text)``."""
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, Mapping):
        return {key: replaced(item, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, change, (*path, index)) for index, item in enumerate(value)]
    return value
