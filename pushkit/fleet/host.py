"""One machine of a target, and the order in which a rollout goes through them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import product

from pushkit.model import Host

# An address must never look like an option, a path or a line of its own: it may come from anywhere.
HOST = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*\$?)@)?"
    r"(?:\[(?P<address>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\]|(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
WORD = re.compile(r"[A-Za-z0-9_.-]{0,64}")
NUMBERS = "[0-9]{1,18}(?:-[0-9]{1,18})?"
RANGE = re.compile(rf"\[({NUMBERS}(?:,{NUMBERS})*)\]")
WORDS = re.compile(r"(?<!\$)\{(host|pool|zone)\}")
#: More hosts than one range or one source may name.
MANY = 10_000
#: Characters of a name, and of one part between its dots.
LONG, LABEL = 254, 63


def parse(text: str, pool: str = "", zone: str = "") -> Host:
    """``[USER@]NAME[:PORT]``, an IPv6 address in brackets. Raises ValueError."""
    found = HOST.fullmatch(text)
    port = int(found["port"] or 0) if found else 0
    # A longer one cannot be looked up (RFC 1035, 2.3.4).
    name = (found["name"] or "") if found else ""
    if not found or port > 65535 or len(name) > LONG or any(len(label) > LABEL for label in name.split(".")):
        raise ValueError(
            f'{text[:80]!r} is no host; expected "web1.example.com", "deploy@web1.example.com:2222" or "[::1]"'
        )
    for word in (pool, zone):
        if not WORD.fullmatch(word):
            raise ValueError(f"{word!r} is no name of a pool or a zone")
    return Host(found["address"] or found["name"].rstrip("."), found["user"] or "", port, pool, zone)


def expanded(text: str) -> Iterator[str]:
    """``web[01-24]`` as web01 to web24; ``[1,3,5-7]`` names each. Raises ValueError for more than `MANY`."""
    pieces = RANGE.split(text)
    choices = [[piece] if number % 2 == 0 else list(numbers(piece)) for number, piece in enumerate(pieces)]
    for count, chosen in enumerate(product(*choices)):
        if count >= MANY:
            raise ValueError(f"{text!r} names more than {MANY:,} hosts")
        yield "".join(chosen)


def numbers(ranges: str) -> Iterator[str]:
    """The numbers of ``01-03,7``, as wide as the first of each range is written."""
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        last = last or first
        if int(last) < int(first) or int(last) - int(first) >= MANY:
            raise ValueError(f"{part!r} is no range of at most {MANY:,} numbers")
        yield from (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))


def filled(text: str, host: Host) -> str:
    """``text`` with the host's words in the place of ``{host}``, ``{pool}`` and ``{zone}``.

    They are letters, digits, and ``.-_:%``: neither a shell nor a URL takes them for anything else. What a shell takes
    for a variable, ``${host}``, stays.
    """
    words = {"host": host.in_url, "pool": host.pool, "zone": host.zone}
    return WORDS.sub(lambda found: words[found[1]], text)


def key(host: Host) -> str:
    """What tells ``host`` from others, whoever logs in there."""
    return f"{host.in_url}:{host.port}"


def in_order(hosts: Iterable[Host], seed: str) -> list[Host]:
    """Each host once, in the order of a rollout: the same for the same hosts, whatever order they came in.

    ``seed`` is the target's name, so that not every target has the same first host.
    """
    each = {(host.name, host.port): host for host in hosts}
    return sorted(each.values(), key=lambda host: hashlib.sha256(f"{seed}\0{host.name}\0{host.port}".encode()).digest())
