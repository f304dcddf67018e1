"""How names, numbers and times are written for people."""

from __future__ import annotations

import re

# Colours that a remote command sends to what it takes for a terminal. Nothing else of the kind passes.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def visible(text: str) -> str:
    """``text`` without anything that a terminal would obey or a log would break a line at.

    Control characters, line separators, direction marks and bytes that are not UTF-8 are written as Python
    escapes (``\\x1b``, ``\\n``, ``\\u202e``, ``\\xff``).
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    # A surrogate escape stands for one byte of a file name: PEP 383.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def quoted(path: str) -> str:
    """``path`` as one line that can be told from any other: in double quotes where it needs an escape.

    Backslashes and quotes within the quotes are escaped too, as ``git ls-files`` does it.
    """
    if path.isprintable() and not path.startswith('"'):
        return path
    return '"' + visible(path.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def output_line(line: str) -> str:
    """One line of a command's output: tabs widened, colours dropped, the last state of a redrawn line."""
    line = _COLOUR.sub("", line.expandtabs()).rstrip("\r")
    return visible(line.rpartition("\r")[2])


def duration(seconds: float) -> str:
    """``seconds`` as ``0.4 s``, ``12 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60:02d} min"
