"""What Python imports at its start where this directory is on PYTHONPATH: where errors are made is written down.

A test that reaches a message may do so in a process of its own, which may be killed a moment later: a place is written
as soon as it is reached, to the file that ``PUSHKIT_TESTS_REACHED`` names, a line ``FILE:LINE`` each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

ERRORS = "pushkit.errors"
FILE = "PUSHKIT_TESTS_REACHED"


class Finder:
    """Lets who loads the errors be followed by `watch`."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != ERRORS:
            return None
        sys.meta_path[:] = [each for each in sys.meta_path if each is not self]
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                watch(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def recorded() -> dict[str, str]:
    """The variables without which a process that a test starts would write down nothing."""
    return {name: os.environ[name] for name in (FILE, "PYTHONPATH") if name in os.environ}


def watch(errors: Any) -> None:
    """From now on, write down where errors, and what is wrong with a Pushfile, are made. Again is as good as once."""
    if errors.PushkitError.__init__.__module__ != errors.__name__:
        return
    seen: set[tuple[str, int]] = set()

    def note(made: object) -> None:
        frame = sys._getframe(2)
        # A class of its own may make its message in its constructor: who called that is the place.
        while frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is made and frame.f_back:
            frame = frame.f_back
        place = frame.f_code.co_filename, frame.f_lineno
        if place not in seen:
            seen.add(place)
            line = "{}:{}\n".format(*place).encode("utf-8", "surrogateescape")
            try:
                descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            except (OSError, KeyError):  # a test may leave a process without either
                return
            # Nor may one that no process is let write to end what is tested.
            with suppress(OSError):
                os.write(descriptor, line)
            os.close(descriptor)

    begin, make = errors.PushkitError.__init__, errors.Problem.__new__

    def __init__(self: object, *arguments: Any, **named: Any) -> None:  # noqa: N807
        note(self)
        begin(self, *arguments, **named)

    def __new__(cls: type, *arguments: Any, **named: Any) -> Any:  # noqa: N807
        note(None)
        return make(cls, *arguments, **named)

    errors.PushkitError.__init__, errors.Problem.__new__ = __init__, __new__


if FILE in os.environ:
    sys.meta_path.insert(0, Finder())
