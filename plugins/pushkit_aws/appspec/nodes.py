"""YAML and JSON as a tree whose every node knows its line."""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec import Struct

from pushkit import PluginError, Problem

#: Bytes, nodes and levels that no AppSpec needs. They stop what is made to fill the memory (aliases of aliases).
MOST_BYTES = 1_000_000
MOST_NODES = 50_000
MOST_LEVELS = 50
MOST_NUMBER = 10**18

_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null")}
_MERGE = "tag:yaml.org,2002:merge"


class Node(Struct, frozen=True):
    """A value with its line, 1 for the first.

    ``value`` is None, a bool, an int, a float, a str, a list of nodes, or a dict of nodes by text. ``raw`` is how a
    scalar is written, ``plain`` whether that is without quotes. ``twice`` are the keys of a dict that are there more
    than once, with their lines; the last one counts.
    """

    line: int
    value: Any
    raw: str = ""
    plain: bool = False
    twice: tuple[tuple[str, int], ...] = ()


class UnreadableError(Exception):
    """The text is no YAML or JSON; ``problem`` says where and why."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(line, "", message, hint)


def parse(content: bytes) -> Node | None:
    """The document in ``content``, YAML 1.1 or JSON; None when it is empty.

    Raises `UnreadableError`, and `PluginError` where PyYAML is not installed.
    """
    try:
        import yaml  # noqa: PLC0415  (only who reads an AppSpec pays for it)
    except ImportError as error:
        hint = "install it: pip install 'pushkit[aws]'"
        raise PluginError("an AppSpec is read with PyYAML, which is not installed", hint=hint) from error

    if len(content) > MOST_BYTES:
        raise UnreadableError(0, f"it has {len(content):,} bytes, and no more than {MOST_BYTES:,} are read")
    text = decoded(content)
    try:
        if text.lstrip().startswith("{"):
            text = checked_json(text)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            return None if root is None else Reading(loader).node(root, 0)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(filter(None, (error.context, error.problem)))
        hint = "indent with spaces" if "'\\t'" in words else ""
        raise UnreadableError(mark.line + 1 if mark else 0, f"it is no YAML: {words}", hint) from error
    except yaml.YAMLError as error:
        raise UnreadableError(0, f"it is no YAML: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError) as error:
        raise UnreadableError(0, "it is nested too deeply, or has a number too large, to be read") from error


def decoded(content: bytes) -> str:
    """``content`` as text. Raises `UnreadableError` where it is no UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UnreadableError(line, "it is not in UTF-8", "save it as UTF-8") from error


def checked_json(text: str) -> str:
    """JSON as the same lines of YAML, or ``text`` where it is a flow mapping of YAML that is no JSON at all.

    Every JSON is YAML but for tabs, which stand between tokens only: within strings they are escaped (RFC 8259, 7).
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if '"' not in text.partition(":")[0]:
            return text
        raise UnreadableError(error.lineno, f"it is no JSON: {error.msg} (column {error.colno})") from error
    return text.replace("\t", " ")


class Reading:
    """Turns the nodes of PyYAML into ours."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._left = MOST_NODES

    def node(self, node: Any, level: int) -> Node:
        """``node`` and all below it. Raises `UnreadableError` when there is too much of it."""
        self._left -= 1
        line = node.start_mark.line + 1
        if self._left < 0 or level > MOST_LEVELS:
            raise UnreadableError(line, "it is larger than any AppSpec: its aliases or levels are too many")
        if node.id == "sequence":
            return Node(line, [self.node(each, level + 1) for each in node.value])
        if node.id == "mapping":
            return self._mapping(node, line, level)
        plain = node.style is None
        value = self._loader.construct_object(node) if node.tag in _SCALARS else whole(node.value)
        if isinstance(value, int) and abs(value) >= MOST_NUMBER:
            raise UnreadableError(line, "it has a number that is larger than any of an AppSpec")
        return Node(line, value, node.value, plain)

    def _mapping(self, node: Any, line: int, level: int) -> Node:
        found: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        twice = []
        for key_node, value_node in node.value:
            value = self.node(value_node, level + 1)
            if key_node.tag == _MERGE:
                for each in value.value if isinstance(value.value, list) else [value]:
                    if isinstance(each.value, dict):
                        merged = each.value | merged
                continue
            if key_node.id != "scalar":
                raise UnreadableError(key_node.start_mark.line + 1, "a key is a word, and this is none")
            key = whole(key_node.value)
            if key in found:
                twice.append((key, key_node.start_mark.line + 1))
            found[key] = value
        return Node(line, merged | found, twice=tuple(twice))


def number(value: Any) -> Any:
    """``value``, as a number where it is text of nothing but digits."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value) else value


def whole(text: str) -> str:
    """``text`` with the two halves of characters that JSON writes as two escapes put together (RFC 8259, 7)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
