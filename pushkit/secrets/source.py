"""What a secret source is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from pushkit.once import Once
from pushkit.questions import Ask, nobody


def _nowhere(name: str, value: str) -> None:
    """Hide nothing: nothing is shown either."""


class Lookup(Struct, frozen=True):
    """For whom a reference is resolved, and what that may take.

    ``root`` is the directory of the Pushfile, ``target`` the name of the target whose table holds the reference, empty
    for an observer's. ``ask`` asks the person who pushes for a secret, a passphrase say, and raises `PushRefused` when
    there is nobody. ``hide`` is told, by name and value, of a secret that is not the resolved value itself. ``once``
    does what a source needs once in a push, whatever refers to it: log in to a vault. A source that waits for long
    raises `Interrupted` once ``cancelled`` is set.
    """

    root: Path
    target: str = ""
    ask: Ask = nobody
    hide: Callable[[str, str], None] = _nowhere
    once: Once = field(default_factory=Once)
    cancelled: threading.Event = field(default_factory=threading.Event)


class SecretSource(Protocol):
    """A function that resolves a reference: called with its part after the colon, and for whom; returns the value.

    Raises `SecretError`, whose message names the reference and never a value. Called at most once for each reference of
    a target, and for several references at the same time.
    """

    def __call__(self, argument: str, lookup: Lookup, /) -> str: ...
