"""How many hosts go at once: ``"1"``, ``"10%"``, ``"100%"``, each as many as all up to and with it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

SIZE = re.compile(r"([1-9][0-9]{0,5})(%?)")
T = TypeVar("T")


def problem(sizes: Sequence[str]) -> str:
    """What is wrong with them; empty when nothing is."""
    for size in sizes:
        found = SIZE.fullmatch(size)
        if not found or (found[2] and int(found[1]) > 100):
            return f'{size!r} is no batch; expected a number of hosts, "5", or a share of them, "10%"'
    return "" if sizes else "expected at least one batch"


def batches(hosts: Sequence[T], sizes: Sequence[str], pool: Callable[[T], str] = lambda host: "") -> list[list[T]]:
    """``hosts`` in batches. A number is that many hosts, a share is of all; what is left goes last, together.

    The first batch has one host of each ``pool`` at least: what only breaks in one of them shows on a canary.

    A share counts the hosts that went before: ``["1", "10%", "100%"]`` of 100 is 1, 9 and 90.
    """
    canaries = list({pool(host): host for host in reversed(hosts)}.values())[::-1]
    least = len(canaries)
    hosts = [*canaries, *(host for host in hosts if host not in canaries)]
    done = 0
    found: list[list[T]] = []
    for size in sizes:
        number, share = SIZE.fullmatch(size).groups()  # type: ignore[union-attr]
        end = math.ceil(len(hosts) * int(number) / 100) if share else done + int(number)
        end = min(len(hosts), max(end, least))
        if end > done:
            found.append(list(hosts[done:end]))
            done = end
    return [*found, list(hosts[done:])] if done < len(hosts) else found
