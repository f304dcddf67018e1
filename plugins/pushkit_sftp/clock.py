"""`Clock`: does things when their time has come, for all connections in one thread, since a fleet has hundreds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Alarm:
    """Something to ``act`` on at the moment ``at`` of the monotonic clock; nothing once it is given up."""

    __slots__ = ("act", "at", "number")

    def __init__(self, at: float, number: int, act: Callable[[], None]) -> None:
        self.at = at
        self.number = number
        self.act: Callable[[], None] | None = act

    def __lt__(self, other: Alarm) -> bool:
        return (self.at, self.number) < (other.at, other.number)


class Clock:
    """Its thread runs while there is something to wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._alarms: list[Alarm] = []
        self._waiting = 0
        self._acting: Alarm | None = None
        self._numbers = count()
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, act: Callable[[], None]) -> Alarm:
        """Do ``act``, which must neither raise nor take long, in so many seconds."""
        alarm = Alarm(time.monotonic() + seconds, next(self._numbers), act)
        with self._changed:
            heappush(self._alarms, alarm)
            self._waiting += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="clock", daemon=True)
                self._thread.start()
            elif self._alarms[0] is alarm:
                self._changed.notify_all()
        return alarm

    def give_up(self, alarm: Alarm) -> None:
        """Do not act on ``alarm``; when that is under way, wait until it is over."""
        with self._changed:
            if alarm.act is not None:
                alarm.act = None
                self._waiting -= 1
                if not self._waiting:
                    self._changed.notify_all()
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: self._acting is not alarm)

    def _work(self) -> None:
        with self._changed:
            while self._waiting:
                alarm = self._alarms[0]
                left = alarm.at - time.monotonic()
                if alarm.act is not None and left > 0:
                    self._changed.wait(left)
                    continue
                heappop(self._alarms)
                if alarm.act is None:
                    continue
                act, alarm.act = alarm.act, None
                self._waiting -= 1
                self._acting = alarm
                self._changed.release()
                try:
                    act()
                finally:
                    self._changed.acquire()
                    self._acting = None
                    self._changed.notify_all()
            self._alarms.clear()
            self._thread = None


CLOCK = Clock()
