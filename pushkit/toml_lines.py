"""TOML as push takes it, and the line of each key, which `tomllib` does not tell.

Written after TOML 1.0 (https://toml.io/en/v1.0.0), for documents that `tomllib` has parsed already: what is
not valid TOML has no lines here.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

from pushkit.errors import Problem

Path = tuple[str | int, ...]
"""Where a value lies: keys, and indices counted from 0 within arrays."""

MOST_LEVELS = 50
"""How deeply tables and lists may be nested."""

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRINGS = (
    # A multi-line string may end with up to two quotes that belong to it.
    re.compile(r'"""(?:\\.|[^\\])*?""""{0,2}', re.DOTALL),
    re.compile(r"'''.*?''''{0,2}", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\])*"'),
    re.compile(r"'[^']*'"),
)


class Unfit(ValueError):
    """What is TOML, and of no use to anybody, at ``place``."""

    def __init__(self, place: Path, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message

    def problem(self, text: str) -> Problem:
        """What is wrong with the document ``text``, and where."""
        return Problem(nearest(locate(text), self.place), dotted(self.place), self.message)


def loads(text: str) -> dict[str, Any]:
    """The tables of a document. Raises `tomllib.TOMLDecodeError`, and `Unfit` for what is too deep or too large."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise Unfit((), "tables and lists are nested too deeply") from None
    except ValueError:
        # Python reads no integer of so many digits.
        raise Unfit((), "an integer has more than 64 bits") from None
    todo: list[tuple[Path, Any]] = [((), found)]
    while todo:
        place, value = todo.pop()
        if len(place) > MOST_LEVELS:
            raise Unfit(place[:MOST_LEVELS], "tables and lists are nested too deeply")
        if isinstance(value, dict):
            todo += [((*place, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            todo += [((*place, index), item) for index, item in enumerate(value)]
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise Unfit(place, "an integer has more than 64 bits")
        elif isinstance(value, str) and "\0" in value:
            raise Unfit(place, "a NUL is part of no name, path or command")
    return found


def locate(text: str) -> Mapping[Path, int]:
    """The line, 1 for the first, of every key, array element and table of a valid TOML document.

    A table that several lines mention is where its own header is, else where it is mentioned first. Nothing has a line
    in a document that is nested too deeply.
    """
    try:
        return _Scanner(text.replace("\r\n", "\n")).document()
    except RecursionError:
        return {}


def nearest(lines: Mapping[Path, int], path: Path) -> int:
    """The line of ``path``, or of the closest table around it that has one; 0 when there is none."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def dotted(path: Path) -> str:
    """``path`` as a person writes it: ``target.production.hosts[1]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else f'"{part}"'
            text += f".{key}" if text else key
    return text


class _Scanner:
    """One walk over a document. ``at`` is the index of the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[Path, int] = {}
        self.headers: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}  # arrays of tables, and how many elements each has so far

    def document(self) -> Mapping[Path, int]:
        table: Path = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)
        return self.lines | self.headers

    def header(self) -> Path:
        line = self.line()
        element = self.text.startswith("[[", self.at)
        self.at += 2 if element else 1
        *parents, last = self.key()
        self.at += 2 if element else 1
        path: Path = ()
        for part in parents:
            path = self.within((*path, part))
            self.lines.setdefault(path, line)
        path = (*path, last)
        if not element:
            path = self.within(path)
        else:
            self.lines.setdefault(path, line)
            index = self.arrays.get(path, 0)
            self.arrays[path] = index + 1
            path = (*path, index)
        self.headers[path] = line
        return path

    def within(self, path: Path) -> Path:
        """``path``, or its latest element when it is an array of tables, whose line stays the first one's."""
        if count := self.arrays.get(path):
            return (*path, count - 1)
        return path

    def pair(self, table: Path) -> None:
        line = self.line()
        path = table
        for part in self.key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self.at += 1  # the equals sign
        self.value(path)

    def key(self) -> list[str]:
        parts = []
        while True:
            self.skip(_SPACE)
            if self.text[self.at] in "\"'":
                raw = self.string()
                parts.append(str(tomllib.loads(f"key = {raw}")["key"]))
            else:
                parts.append(self.skip(_BARE_KEY))
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def value(self, path: Path) -> None:
        self.skip(_SPACE)
        first = self.text[self.at]
        if first in "\"'":
            self.string()
        elif first == "[":
            self.each("]", lambda index: self.element((*path, index)))
        elif first == "{":
            self.each("}", lambda _: self.pair(path))
        else:
            self.skip(_SCALAR)

    def element(self, path: Path) -> None:
        self.lines[path] = self.line()
        self.value(path)

    def each(self, end: str, item: Callable[[int], None]) -> None:
        """Call ``item`` at each item of an array or inline table, up to its ``end``."""
        self.at += 1
        index = 0
        self.skip(_BLANK)
        while self.text[self.at] != end:
            item(index)
            index += 1
            self.skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
                self.skip(_BLANK)
        self.at += 1

    def string(self) -> str:
        for pattern in _STRINGS:
            if match := pattern.match(self.text, self.at):
                self.at = match.end()
                return match.group()
        raise ValueError("not a TOML string")

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        found = match.group() if match else ""
        self.at += len(found)
        return found

    def line(self) -> int:
        return bisect_left(self.ends, self.at) + 1
