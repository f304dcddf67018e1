"""A sign of life: while a push is under way, a file on the target is written again and again."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from pushkit.errors import PushkitError
from pushkit.files.operation import Write
from pushkit.files.remote import Remote
from pushkit.model import Step


class Heartbeat:
    """Writes ``path`` every ``interval`` seconds while it is entered. What goes wrong, the push meets as well."""

    def __init__(self, remote: Remote, path: str, stage: str, interval: float) -> None:
        self._remote = remote
        self._path = path
        self._stage = stage
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        # A second Ctrl-C does not wait for a server that is silent.
        if not isinstance(error, KeyboardInterrupt):
            self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self._remote.perform([Write(self._path, b"alive\n")], unreported, self._stage)
            except PushkitError:
                # Also that somebody asked to stop: what is to be put right still takes its time.
                continue


def unreported(_: Step) -> AbstractContextManager[None]:
    """A beat is no step of the push."""
    return nullcontext()
