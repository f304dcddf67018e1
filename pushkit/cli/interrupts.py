"""Ctrl-C, SIGTERM and SIGHUP while an engine works.

The first asks it to stop between two steps, the next Ctrl-C insists.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from pushkit.errors import Interrupted
from pushkit.ui.reporter import Lines

# True of a step that is finished first, and of a script or a transfer that is ended within its step.
MESSAGE = "push: stopping as soon as it is safe"
AGAIN = "; Ctrl-C again to stop at once"


class Cancelled(threading.Event):
    """Set from the moment on that a signal was ``heard``; who waits for it is woken a moment later."""

    heard = False

    def is_set(self) -> bool:
        """Whether one was heard."""
        return self.heard or super().is_set()


class Interrupts:
    """Sets ``cancelled`` at the first signal, raises `KeyboardInterrupt` at a Ctrl-C after it.

    A context manager, for the main thread. A signal that was ignored before stays ignored (``nohup``).
    """

    def __init__(self) -> None:
        self.cancelled = Cancelled()
        self._asking = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        # The handler runs between any two instructions of the main thread, which may hold the lock of `cancelled`
        # or of stderr just then: it only writes to a pipe, and a thread does the rest.
        self._ear, self._mouth = os.pipe()
        self._listener = threading.Thread(target=self._listen, name="push-interrupts", daemon=True)
        self._listener.start()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # After the first signal all that is left is to end: one more must not take the exit code away.
            signal.signal(number, signal.SIG_IGN if self.cancelled.heard else handler)
        os.close(self._mouth)
        self._listener.join()
        os.close(self._ear)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While a person is asked something, nothing is under way: Ctrl-C is raised at once."""
        self._asking = True
        try:
            yield
        finally:
            self._asking = False

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self._asking or (self.cancelled.heard and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.cancelled.heard = True
        os.write(self._mouth, bytes([number]))

    def _listen(self) -> None:
        if signals := os.read(self._ear, 1):
            self.cancelled.set()
            typed = signals[0] == signal.SIGINT
            # A terminal has just shown ^C: begin a new line there.
            Lines(sys.stderr)("\n" * (typed and sys.stderr.isatty()) + MESSAGE + AGAIN * typed)


def leave(code: int) -> None:
    """End the process now when it was interrupted and a worker that was left behind would keep it."""
    # Also daemons: those of a pool (concurrent.futures) are waited for like the others.
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if code == Interrupted.exit_code and left:
        for stream in (sys.stdout, sys.stderr):
            # Nobody may listen any more.
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
