"""`Pause`: a place to write to that keeps what it is given while somebody else has the terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, ParamSpec

Words = ParamSpec("Words")


class Pause(Generic[Words]):
    """Passes on to ``write`` what it is given; within `aside` not before the end of it. Safe to use from threads."""

    def __init__(self, write: Callable[Words, None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._kept: list[Callable[[], None]] | None = None

    def __call__(self, *words: Words.args, **more: Words.kwargs) -> None:
        """Write, or keep it."""
        with self._lock:
            if self._kept is None:
                self._write(*words, **more)
            else:
                self._kept.append(partial(self._write, *words, **more))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Write nothing until the end; then what was kept, in its order."""
        with self._lock:
            self._kept = []
        try:
            yield
        finally:
            with self._lock:
                kept, self._kept = self._kept, None
                for write in kept:
                    write()
