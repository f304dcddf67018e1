"""Data for a pipeline. Everything that people read goes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pushkit.errors import UsageError

if TYPE_CHECKING:
    from pushkit.ui.reporter import Lines


class OutputClosedError(Exception):
    """Whoever read stdout went away."""


def say(text: str, end: str = "\n") -> None:
    """Write ``text`` and ``end``. Raises `OutputClosedError` when nobody reads them."""
    with _writing():
        sys.stdout.write(text + end)


def say_bytes(data: bytes) -> None:
    """Write ``data`` as it is. Raises `OutputClosedError` when nobody reads it."""
    with _writing():
        sys.stdout.buffer.write(data)


def flush() -> None:
    """Write out what is buffered. Raises `OutputClosedError` when nobody reads it."""
    with _writing():
        sys.stdout.flush()


def check(lines: Lines) -> None:
    """Raise `OutputClosedError` when nobody reads ``lines`` any more, and `UsageError` when one was not written."""
    with _writing():
        if lines.error:
            raise lines.error


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosedError from error
    except OSError as error:
        raise UsageError(f"stdout cannot be written: {(error.strerror or str(error)).lower()}") from error
