"""The host source ``file``: ``file:hosts`` is a file with a host a line, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushkit.errors import TargetError
from pushkit.fleet.host import expanded, parse
from pushkit.hookspecs import hookimpl
from pushkit.host_source import HostSource
from pushkit.model import Host
from pushkit.strategy import Run

#: A list, and not an address of IPv6 in brackets.
JSON = re.compile(r'\s*\[\s*["{\]]')
#: Words of a line at most, and characters of what is wrong with one.
MOST, SHOWN = 3, 300


@hookimpl
def pushkit_host_source() -> HostSource:
    """The function that reads a file."""
    return hosts


def hosts(argument: str, run: Run) -> Sequence[Host]:
    """The hosts of a file; a relative path starts at the Pushfile's directory."""
    try:
        return read((run.project.root / Path(argument).expanduser()).read_text(), argument)
    except (OSError, RuntimeError, ValueError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or error
        raise TargetError(f"the hosts of {argument} cannot be read: {why}", hint="check the path in `hosts`") from error


def read(text: str, where: str) -> list[Host]:
    """Hosts from lines, with comments behind ``#``, or from a JSON list. ``where`` is for errors."""
    try:
        if JSON.match(text):
            return [host for item in json.loads(text) for host in of_item(item)]
        return [host for line in text.splitlines() for host in of_line(line)]
    except (ValueError, RecursionError) as error:
        # It may be anything, and long.
        raise TargetError(
            f"{where}: {' '.join(str(error).split())[:SHOWN]}", hint="a host a line: HOST [POOL [ZONE]]; or a JSON list"
        ) from None


def of_line(line: str) -> list[Host]:
    """The hosts of one line. Raises ValueError for what is a sentence rather than hosts."""
    words = line.partition("#")[0].split()
    if len(words) > MOST:
        raise ValueError(f"{' '.join(words)!r} is more than a host, a pool and a zone")
    return [parse(name, *words[1:]) for name in expanded(words[0])] if words else []


def of_item(item: Any) -> list[Host]:
    """The hosts of one item of a JSON list: a text, or ``{"host": ..., "pool": ..., "zone": ...}``."""
    if isinstance(item, str):
        return list(map(parse, expanded(item)))
    if not isinstance(item, dict) or not isinstance(item.get("host"), str):
        raise ValueError(f"{item!r} is no host")
    return [parse(item["host"], str(item.get("pool", "")), str(item.get("zone", "")))]
