"""Markdown from what the code says of itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence


class UndocumentedError(Exception):
    """Something that users see has no words in the code. The message says what, and where to write them."""


def documented(text: str | None, what: str) -> str:
    """``text``, cleaned. Raises `UndocumentedError` for ``what`` when it is empty."""
    if not text or not text.strip():
        raise UndocumentedError(f"{what} is not documented: say in the code what it is for")
    return inspect.cleandoc(text)


def prose(docstring: str) -> str:
    """A docstring as Markdown: its literals, and its indented blocks after ``::``."""
    lines: list[str] = []
    block: list[str] | None = None
    for line in [*docstring.splitlines(), "end"]:
        if block is not None and (line.startswith(" ") or not line):
            block.append(line)
            continue
        if block is not None:
            lines += ["```text", *inspect.cleandoc("\n".join(block)).splitlines(), "```", ""]
            block = None
        if line.rstrip().endswith("::"):
            lines += [line.rstrip().removesuffix("::").rstrip() + ":" * bool(line.strip(": ")), ""]
            block = []
        else:
            lines.append(line)
    return re.sub(r"(?<!`)``([^`]+)``(?!`)", r"`\1`", "\n".join(lines[:-1])).strip()


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. What would end a cell in one is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell(each) for each in line) + " |" for line in lines)


def cell(text: str) -> str:
    """``text`` on one line of a table. A bar ends a cell, but not within code."""
    return re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or "\\|", " ".join(text.split()))


def code(text: str) -> str:
    """``text`` as it is typed."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"
