"""`Ahead`: what is asked for in a thread before anybody needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pushkit_aws.clients import TICK

ResultT = TypeVar("ResultT")


class Ahead(Generic[ResultT]):
    """Begins ``act`` at once. Nobody has to wait for it: what it waits for itself has to be ended elsewhere."""

    def __init__(self, act: Callable[[], ResultT]) -> None:
        self._act = act
        self._result: list[ResultT] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="ahead", daemon=True)
        self._thread.start()

    def result(self, check: Callable[[], None]) -> ResultT:
        """What ``act`` gave; raises what it raised, or what ``check`` does meanwhile."""
        while self._thread.is_alive():
            check()
            self._thread.join(TICK)
        if self._failure:
            raise self._failure
        return self._result[0]

    def _work(self) -> None:
        try:
            self._result.append(self._act())
        except BaseException as error:  # raised where it is waited for
            self._failure = error
