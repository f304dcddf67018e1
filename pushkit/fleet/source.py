"""Where the hosts of a target come from: names, ranges, and host sources, each asked again when a rollout ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from pushkit import registry
from pushkit.errors import TargetError
from pushkit.fleet.host import expanded, in_order, parse
from pushkit.model import Host
from pushkit.strategy import Run

if TYPE_CHECKING:
    from pushkit.fleet.options import FleetOptions

NAMED = re.compile(r"([a-z][a-z0-9_-]*):(?!\d{1,5}$)(.+)", re.DOTALL)
#: A pattern of names: it has a star or a question mark, and no port.
GLOB = re.compile(r"(?=.*[*?])[A-Za-z0-9_.*?\[\]!-]+")


class Hosts(tuple[str, ...]):
    """Hosts and sources of hosts, as a Pushfile has them: one text is a list of one."""

    __slots__ = ()

    @classmethod
    def of_option(cls, value: object) -> Hosts:
        """The hosts that a Pushfile's ``value`` names. Raises ValueError, and TypeError when it is no text or list."""
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
            raise TypeError("no text, and no list of it")
        for each in value:
            if wrong := problem(each):
                raise ValueError(wrong)
        patterns = [each for each in value if GLOB.fullmatch(each)]
        if patterns and not any(NAMED.fullmatch(each) for each in value):
            raise ValueError(f"{patterns[0]!r} chooses among the hosts of a source, and there is none")
        return cls(value)

    @staticmethod
    def option_schema() -> Mapping[str, Any]:
        """The JSON Schema of an option that is one."""
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def listed(texts: Sequence[str], run: Run) -> list[Host]:
    """The hosts that a Pushfile names, each once, in the order of a rollout. Raises `TargetError`.

    Patterns choose among the hosts of the sources; those that are named themselves are there all the same.
    """
    found: list[Host] = []
    patterns = [text for text in texts if GLOB.fullmatch(text)]
    for text in texts:
        named = NAMED.fullmatch(text)
        if named:
            hosts = registry.host_source(named[1])(named[2], run)
            found += [each for each in hosts if not patterns or any(fnmatchcase(each.name, one) for one in patterns)]
        elif text not in patterns:
            found += map(parse, expanded(text))
    if not found:
        raise TargetError(
            f"{', '.join(texts)} names no host; nothing was changed", hint="see what there is: push hosts"
        )
    return in_order(found, run.target.name)


def hosts_of(options: FleetOptions, run: Run) -> list[Host]:
    """The hosts of a target, in the order of a rollout; those of ``pools`` bear its name. Raises `TargetError`."""
    if not options.pools:
        return listed(options.hosts, run)
    found = [replace(host, pool=name) for name, texts in options.pools.items() for host in listed(texts, run)]
    hosts = in_order(found, run.target.name)
    if len(hosts) < len(found):
        raise TargetError("a host is in both `pools`; nothing was changed", hint="see them: push hosts")
    return hosts


def problem(text: str) -> str:
    """What is wrong with a host or a source in a Pushfile; empty when nothing is. Asks no source."""
    if not NAMED.fullmatch(text) and not GLOB.fullmatch(text):
        try:
            for each in expanded(text):
                parse(each)
        except ValueError as error:
            return str(error)
    return ""
