"""`Pace`: how fast a connection may send."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any

#: Seconds whose bytes go at once, and seconds whose bytes are let pass late.
BURST, LATE = 0.1, 0.2


AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgtp]?)(i?)b)?", re.IGNORECASE)


class Rate(int):
    """Bytes a second, as a Pushfile has them: ``500000``, ``"2 MB"``, ``"512 KiB"``."""

    @classmethod
    def of_option(cls, value: object) -> Rate:
        """The rate that a Pushfile's ``value`` is. Raises ValueError."""
        found = AMOUNT.fullmatch(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
        if found:
            power = " kmgtp".index((found[2] or " ").lower())
            rate = cls(float(found[1]) * (1024 if found[3] else 1000) ** power)
            if rate >= 1:
                return rate
        raise ValueError('expected bytes a second, such as 500000 or "2 MB"')

    @staticmethod
    def option_schema() -> Mapping[str, Any]:
        """The JSON Schema of an option that is one."""
        return {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}


class Pace:
    """Lets ``rate`` bytes a second pass, whichever channels they go through."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._burst = max(1, int(rate * BURST))
        self._left = float(self._burst)
        self._then = time.monotonic()
        self._lock = threading.Lock()

    def take(self, size: int, within: float) -> int:
        """How many of ``size`` bytes may go now. Waits for the first; raises `TimeoutError` after so many seconds."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._burst + LATE * self._rate, self._left + (now - self._then) * self._rate)
            self._then = now
            # Never a few bytes at a time, where more are to go.
            wanted = min(size, self._burst)
            missing = (wanted - self._left) / self._rate
            if missing <= 0:
                self._left -= wanted
                return wanted
        time.sleep(min(missing, within))
        raise TimeoutError

    def give_back(self, size: int) -> None:
        """Take back what did not go after all."""
        with self._lock:
            self._left += size
