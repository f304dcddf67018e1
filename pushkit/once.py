"""`Once`: what several ask for is done for the first of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class Once:
    """Does each thing once: what a thing's ``key`` was done for first is what all get. Safe to use from threads.

    What raised is not remembered: it is tried again.
    """

    def __init__(self) -> None:
        self._locks: dict[Hashable, threading.Lock] = {}
        self._results: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, do: Callable[[], ResultT]) -> ResultT:
        """What ``do`` returns, or returned the first time."""
        with self._locks.setdefault(key, threading.Lock()):
            if key not in self._results:
                self._results[key] = do()
            result: ResultT = self._results[key]
            return result
