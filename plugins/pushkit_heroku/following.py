"""Follow what Heroku does in its own time, a build or a release, to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from pushkit import PushFailed, Run, TargetError
from pushkit_heroku.api import Api
from pushkit_heroku.replies import Build, Release

#: Seconds between two looks: of the first, and at most.
PAUSES = (0.2, 3.0)
#: Seconds that the last lines of an output may take once all is over.
REST = 5.0
T = TypeVar("T", Build, Release)
AnyT = TypeVar("AnyT")


class Output:
    """Passes the lines of an output stream on, in a thread of its own."""

    def __init__(self, run: Run, api: Api, url: str) -> None:
        # Signed: who has it may read.
        run.hide("output stream", url)
        self._run = run
        self._thread = threading.Thread(target=self._pass, args=(run, api, url), name="output", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait for the last lines, for a moment."""
        until = time.monotonic() + REST
        while self._thread.is_alive() and time.monotonic() < until:
            self._thread.join(0.1)
            self._run.check()

    def _pass(self, run: Run, api: Api, url: str) -> None:
        try:
            for line in api.lines(url):
                run.output("heroku", line)
        except TargetError as error:
            # What is followed is asked for its state too: its end does not depend on this.
            run.warn(f"the output breaks off here: {error.message}")


class Deadline:
    """When to give up following, ``seconds`` from now; the output of each stream is passed on once."""

    def __init__(self, run: Run, api: Api, seconds: float) -> None:
        self._run = run
        self._api = api
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._outputs: dict[str, Output] = {}

    def follow(self, what: str, state: T, look: Callable[[], T]) -> T:
        """``state``, or what ``look`` says later, once it is no longer pending; its output is passed on.

        Raises `PushFailed` when the time is up, or Heroku cannot be asked any more.
        """
        self._listen(state)
        looks = self.looks(what, look)
        while state.status == "pending":
            state = next(looks)
            self._listen(state)
        for output in self._outputs.values():
            output.end()
        return state

    def looks(self, what: str, look: Callable[[], AnyT]) -> Iterator[AnyT]:
        """What ``look`` says, again and again, with pauses. Raises as `follow` does."""
        pause, longest = PAUSES
        while True:
            self._run.sleep(min(pause, longest))
            pause *= 1.5
            if time.monotonic() > self._end:
                raise PushFailed(
                    f"{what} is not done after {self._seconds:g} seconds, and goes on at Heroku",
                    hint="look with push status; for more time: within = 3600",
                )
            try:
                yield look()
            except TargetError as error:
                raise PushFailed(f"{error.message}; {what} goes on there", hint="look with push status") from error

    def _listen(self, state: Build | Release) -> None:
        url = state.output_stream_url
        if url and url not in self._outputs:
            self._outputs[url] = Output(self._run, self._api, url)
