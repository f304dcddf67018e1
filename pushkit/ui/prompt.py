"""`Prompt`: asks a person for a secret or a yes, on the terminal that is standard input and standard error."""

from __future__ import annotations

import select
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from os import read
from typing import Any

from pushkit.errors import Interrupted
from pushkit.ui.text import visible

# Seconds between two looks at whether the person wants to stop instead.
TICK = 0.1
# Where the local modes are in what termios gives (termios(3)).
LOCAL = 3
YES = frozenset({"y", "yes"})
NO = frozenset({"n", "no", ""})


class Prompt:
    """Asks one question at a time, until `close`.

    It reads the terminal itself, and never waits for it alone: a question may come from any thread, and Ctrl-C, which
    only sets ``cancelled``, ends it at once. ``aside`` is entered while the terminal is the question's.
    """

    def __init__(self, cancelled: threading.Event, aside: Callable[[], AbstractContextManager[None]]) -> None:
        self._cancelled = cancelled
        self._aside = aside
        self._closed = False
        self._lock = threading.Lock()

    def __call__(self, question: str) -> str:
        """What the person types, which is not shown; empty at Ctrl-D. Raises `Interrupted` when they want to stop."""
        with self._lock, self._aside(), silent(sys.stdin.fileno()) as hide:
            return self._read(f"{visible(question)}: ", hide).removesuffix("\n")

    def confirm(self, question: str) -> bool:
        """Whether the person says yes. Raises `Interrupted` when they want to stop, or close the terminal."""
        with self._lock, self._aside():
            while typed := self._read(f"{visible(question)} [y/N]: ", shown):
                if typed.strip().lower() in YES | NO:
                    return typed.strip().lower() in YES
                write("Say y or n.\n")
            raise Interrupted("stopped")

    def close(self) -> None:
        """Take back what is asked just now, and give back the terminal."""
        self._closed = True
        with self._lock:
            pass

    def _read(self, text: str, hide: Callable[[], bool]) -> str:
        terminal = sys.stdin.fileno()
        typed = b""
        write(text)
        while not typed.endswith(b"\n"):
            if self._cancelled.is_set() or self._closed:
                raise Interrupted("stopped")
            # Who stopped the process and lets it go on finds the terminal as the shell left it.
            if hide():
                write(text)
            if select.select([terminal], [], [], TICK)[0]:
                try:
                    piece = read(terminal, 4096)
                except OSError:  # the terminal is gone
                    piece = b""
                typed += piece
                if not piece:
                    break
        if hide is not shown or not typed:
            write("\n")
        return typed.decode(sys.stdin.encoding or "utf-8", "surrogateescape")


def shown() -> bool:
    """Hide nothing: the terminal shows what is typed."""
    return False


@contextmanager
def silent(terminal: int) -> Iterator[Callable[[], bool]]:
    """A terminal that shows nothing of what is typed. What was typed before is no answer.

    What it gives hides it again, and says whether that had to be.
    """
    before: list[Any] = termios.tcgetattr(terminal)

    def hide() -> bool:
        modes = termios.tcgetattr(terminal)
        if not modes[LOCAL] & termios.ECHO and modes[LOCAL] & termios.ICANON:
            return False
        modes[LOCAL] = modes[LOCAL] & ~termios.ECHO | termios.ICANON | termios.ISIG
        termios.tcsetattr(terminal, termios.TCSAFLUSH, modes)
        return True

    try:
        hide()
        yield hide
    finally:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def write(text: str) -> None:
    """Show ``text``, if there is still somebody to see it."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
