"""The Pushfile that `push init` writes, made from ``Pushfile.example``: its comments, other values."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pushkit
from pushkit.expectation import Schema, at, resolved
from pushkit.toml_lines import dotted

HEAD = """\
#:schema ./.push/schema.json
# The line above gives an editor that knows TOML completion and checks; push schema --write renews that file.
"""

# An option, in use or not, with the comment behind it.
_OPTION = re.compile(r"(?P<off>#?)(?P<key>[a-z_]+) = (?P<value>.+?)(?P<comment>\s+# .*)?")


def example() -> str:
    """The text of ``Pushfile.example``: in a wheel beside the package's modules, else at the project's root."""
    package = Path(pushkit.__file__).parent
    places = (package / "Pushfile.example", package.parent / "Pushfile.example")
    return next(place for place in places if place.exists()).read_text(encoding="utf-8")


def project_lines() -> Sequence[str]:
    """The lines of the example's table ``[project]``."""
    return _paragraph("[project]") or ()


def target_lines(strategy: str, options: Schema) -> Sequence[str]:
    """The lines of the example's target of a strategy; for one that it does not know, made from its options."""
    return _paragraph(f'strategy = "{strategy}"') or (
        "[target.example]",
        f'strategy = "{strategy}"',
        *(_line(key, resolved(part, options), options) for key, part in options.get("properties", {}).items()),
    )


def used(lines: Sequence[str]) -> list[str]:
    """The keys of the options that ``lines`` have in use, but for the strategy."""
    matches = filter(None, map(_OPTION.fullmatch, lines))
    return [match["key"] for match in matches if not match["off"] and match["key"] != "strategy"]


def filled(lines: Sequence[str], values: Mapping[str, str], target: str = "") -> list[str]:
    """``lines`` with these ``values``, written as TOML, and no others in use. ``target`` is the name in its header."""
    left = dict(values)
    result = []
    for line in lines:
        if line.startswith("[target."):
            result.append(f"[{dotted(('target', target))}]")
        elif not (match := _OPTION.fullmatch(line)) or match["key"] == "strategy":
            result.append(line)
        elif (value := left.pop(match["key"], None)) is not None:
            comment = match["comment"] or ""
            column = match.end("value") + len(comment) - len(comment.lstrip())
            result.append(f"{match['key']} = {value}".ljust(column - 2) + "  " * bool(comment) + comment.lstrip())
        else:
            # The mark takes the place of one blank before the comment, so that comments stay in their column.
            value, comment = match["value"], match["comment"] or ""
            result.append(line if match["off"] else f"#{match['key']} = {value}{comment.replace(' ', '', 1)}")
    return [*result, *(f"{key} = {value}" for key, value in left.items())]


def literal(text: str, key: str, options: Schema) -> str:
    """``text``, as it was typed for an option, as TOML: as it is where the option may be no text, else quoted."""
    part = at(options, tuple(key.split(".")), options)
    is_text = part is None or any(
        resolved(branch, options).get("type") == "string" for branch in (part, *part.get("anyOf", ()))
    )
    if not is_text or text[:1] in {"[", "{"}:
        try:
            if "\n" not in text and len(tomllib.loads(f"value = {text}")) == 1:
                return text
        except tomllib.TOMLDecodeError:
            pass  # then it is text, and what is wrong with it is said where it is validated
    return toml_text(text)


def toml_text(text: str) -> str:
    """``text`` as a TOML string. JSON's escapes are TOML's, but for one control character that JSON leaves alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _paragraph(line: str) -> Sequence[str] | None:
    """The example's lines around ``line``, up to the empty ones."""
    paragraphs = (paragraph.splitlines() for paragraph in example().split("\n\n"))
    return next((lines for lines in paragraphs if line in lines), None)


def _line(key: str, part: Schema, options: Schema) -> str:
    """A line for an option of which nothing but its schema is known."""
    comment = " ".join(part.get("description", "").split())
    default = part.get("default")
    value = default if default is not None else (part.get("examples") or [""])[0]
    off = "" if key in options.get("required", ()) else "#"
    written = toml_text(value) if isinstance(value, str) else json.dumps(value)
    return f"{off}{key} = {written}" + f"  # {comment}" * bool(comment)
