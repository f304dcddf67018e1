"""`Rotation`: one thread that deals with several connections, each when its server has answered."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from pushkit.files import RemoteLost
from pushkit_ftp.steps import Steps, Wait


class Rotation:
    """Steps under way, each of which waits for something.

    A thread for each would be woken for each answer; who comes by in turn finds several at once.
    """

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self._ready: list[Steps[None]] = []
        self._waiting: dict[int, tuple[Steps[None], Wait, float]] = {}
        self._poll = select.poll()

    def __len__(self) -> int:
        return len(self._ready) + len(self._waiting)

    def run(self, begin: Callable[[], Steps[None] | None]) -> None:
        """Go through the steps that ``begin`` gives until there are none, whether those before are over or not.

        It is asked again whenever any has gone on. After a failure nothing new is begun, and what is under way ends;
        at once where a server is silent, for which each of them would wait as long. Raises an `ExceptionGroup`.
        """
        while True:
            while not self.failures and (steps := begin()):
                self._ready.append(steps)
            if not self:
                break
            self._find_ready()
            ready, self._ready = self._ready, []
            for steps in ready:
                self._go_on(steps, partial(next, steps))
        if self.failures:
            raise ExceptionGroup(f"{len(self.failures)} failed", self.failures)

    def _go_on(self, steps: Steps[None], how: Callable[[], Wait]) -> None:
        try:
            wait = how()
        except StopIteration:
            return
        except Exception as error:  # all of them are raised in the end
            self.failures.append(error)
            if silent(error):
                self._abandon(error)
            return
        number = wait.sock.fileno()
        if number < 0:  # it was closed by another thread, which who goes on is told
            self._ready.append(steps)
            return
        self._waiting[number] = steps, wait, time.monotonic() + wait.seconds
        self._poll.register(number, select.POLLOUT if wait.writing else select.POLLIN)

    def _find_ready(self) -> None:
        """Wait until one of them can go on. The one that has waited longest comes first."""
        if not self._waiting:
            return
        left = min(end for _, _, end in self._waiting.values()) - time.monotonic()
        found = dict(self._poll.poll(0 if self._ready else max(0, left) * 1000))
        self._ready += [self._take(number)[0] for number in tuple(self._waiting) if number in found]
        if not found and left <= 0:
            now = time.monotonic()
            late = [number for number, (_, _, end) in self._waiting.items() if end <= now]
            for number in late:
                if number in self._waiting:  # with the first one all may be given up
                    steps, _, _ = self._take(number)
                    self._go_on(steps, partial(steps.throw, TimeoutError("timed out")))

    def _take(self, number: int) -> tuple[Steps[None], Wait, float]:
        self._poll.unregister(number)
        return self._waiting.pop(number)

    def _abandon(self, error: Exception) -> None:
        """End all of them where they are."""
        under_way = [*self._ready, *(self._take(number)[0] for number in tuple(self._waiting))]
        self._ready = []
        for steps in under_way:
            with suppress(Exception):
                steps.throw(error)


def silent(error: Exception) -> bool:
    """Whether a connection was lost since no answer came in time: it may be that none comes from that server."""
    return isinstance(error, RemoteLost) and isinstance(error.__cause__, TimeoutError)
