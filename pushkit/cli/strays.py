"""What Python itself would write to stderr: of threads, of warnings, of logs that nobody takes. None of it shows a
secret, and none is a traceback unless somebody asked for one.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pushkit.cli.settings import Settings
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible


class Handler(logging.Handler):
    """Tells a record of a log as a line."""

    def __init__(self, strays: Strays) -> None:
        super().__init__(logging.WARNING)
        self._strays = strays

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one."""
        self._strays.tell(record.name, record.getMessage(), record.exc_info and record.exc_info[1])


class Strays:
    """Tells them by the settings of a command line."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def tell(self, origin: str, text: str, error: BaseException | None = None) -> None:
        """Tell one, on one line; behind it where it is, for who asked for that."""
        redact = self._settings.redact
        lines = [f"push: {origin}: {' '.join(text.split())}"]
        if error and (self._settings.verbose or os.environ.get("PUSHKIT_TRACEBACK")):
            lines.append("".join(traceback.format_exception(error)).rstrip())
        for line in lines:
            Lines(sys.stderr)(visible(redact(line)) if line is lines[0] else redact(line))

    def of_thread(self, args: threading.ExceptHookArgs) -> None:
        """As `threading.excepthook`."""
        name = args.thread.name if args.thread else "a thread"
        self.tell(name, f"{args.exc_type.__name__}: {args.exc_value}", args.exc_value)

    def unraisable(self, args: sys.UnraisableHookArgs) -> None:
        """As `sys.unraisablehook`."""
        self.tell("ignored", f"{args.exc_type.__name__}: {args.exc_value}", args.exc_value)

    def warned(self, message: Warning | str, category: type[Warning], *_: Any) -> None:
        """As `warnings.showwarning`."""
        self.tell(category.__name__, str(message))


@contextmanager
def strays(settings: Settings) -> Iterator[None]:
    """While a command works, whatever goes astray in it is told by its ``settings``."""
    told = Strays(settings)
    before = threading.excepthook, sys.unraisablehook, warnings.showwarning, logging.lastResort
    threading.excepthook, sys.unraisablehook = told.of_thread, told.unraisable
    warnings.showwarning, logging.lastResort = told.warned, Handler(told)  # type: ignore[assignment]
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook, warnings.showwarning, logging.lastResort = before
