"""`Spare`: a channel that is opened ahead of its use, so that nobody waits for the server to begin."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkit_sftp.transport import Channel


class Spare:
    """A channel that ``open`` opens in a thread of its own."""

    def __init__(self, open: Callable[[], Channel]) -> None:  # noqa: A002
        self._open = open
        self._channel: Channel | None = None
        self._lock = threading.Lock()
        self._given_up = False
        self._thread = threading.Thread(target=self._work, name="spare", daemon=True)
        self._thread.start()

    def take(self) -> Channel | None:
        """The channel, once it is open; None when it is not to be had, or has ended."""
        self._thread.join()
        channel, self._channel = self._channel, None
        with suppress(EOFError, OSError):
            if channel and not channel.over:
                return channel
        if channel:
            channel.close()
        return None

    def give_up(self) -> None:
        """Close it, now or when it is open."""
        with self._lock:
            self._given_up = True
            if self._channel:
                self._channel.close()

    def wait(self, seconds: float) -> None:
        """Until nothing is done for it any more, but no longer than so many seconds."""
        self._thread.join(seconds)

    def _work(self) -> None:
        # What is wrong shows when the next channel is opened in its place.
        with suppress(Exception):
            channel = self._open()
            with self._lock:
                if self._given_up:
                    channel.close()
                else:
                    self._channel = channel
