"""Which reporter tells a push: one for people on stderr, and one for programs on stdout when asked for."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import Protocol, TextIO

from pushkit.events import Event
from pushkit.ui.jsonl import JsonLines
from pushkit.ui.plain import Plain, Tone


class Reporter(Protocol):
    """A listener that is closed at the end, and leaves the terminal to somebody else within `aside`."""

    def __call__(self, event: Event) -> None: ...
    def aside(self) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...


def reporters(*, json: Lines | None, quiet: bool, verbose: bool, color: bool) -> tuple[Reporter, ...]:
    """The reporters of one command line. ``json`` takes the lines for a program, if there is one.

    ``color`` false means neither colours nor a live display; nor is there one where stderr is no terminal, or one
    that obeys nothing (``TERM=dumb``).
    A program that reads the events wants people to see warnings only, unless ``verbose`` says otherwise.
    """
    quiet = quiet or (json is not None and not verbose)
    people: Reporter
    dumb = os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}
    if color and not quiet and not dumb and sys.stderr.isatty():
        from pushkit.ui.rich import Rich  # noqa: PLC0415  (only a terminal pays for it)

        people = Rich(sys.stderr, verbose=verbose)
    else:
        errors = Lines(sys.stderr)

        def write(line: str, _: Tone) -> None:
            errors(line)

        people = Plain(write, quiet=quiet, verbose=verbose)
    return (JsonLines(json), people) if json else (people,)


class Lines:
    """Writes lines to ``stream``, each seen at once. A reader that went away does not end a push half-way.

    ``error`` is why not all of them were written.
    """

    def __init__(self, stream: TextIO) -> None:
        self.error: OSError | None = None
        self._stream = stream

    def __call__(self, line: str) -> None:
        """Write one line."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except OSError as error:
            self.error = self.error or error
            discard(self._stream)


def discard(stream: TextIO) -> None:
    """Let nothing that is written to ``stream`` from now on go anywhere, what its buffer holds included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
