"""One target while a command deals with it: its strategy, connected in a thread, and how far its steps came."""

from __future__ import annotations

import threading
from typing import Any

from pushkit.events import Emitter, Event, PlanReady, StepFailed, StepFinished, StepProgress, StepsPassed, StepStarted
from pushkit.model import Action, Plan, Step, Target
from pushkit.strategy import Strategy

#: Seconds that a strategy has to begin to connect before anything else is done.
HEAD_START = 0.03


class Tally:
    """Listens to the steps of one push, so that a strategy cannot forget a failure."""

    many = True

    def __init__(self) -> None:
        self.begun = 0
        self.done = 0
        self.size = 0
        self.failed: list[Step] = []
        self.switched = False
        self.reverted = False
        self.unsure = False

    def __call__(self, event: Event) -> None:
        """Count ``event``."""
        match event:
            case StepStarted(step=step):
                self.begun += 1
                if step in self.failed:
                    # It is tried again.
                    self.failed.remove(step)
            case StepFinished(step=step):
                self.done += 1
                if step.action in {Action.SWITCH, Action.REVERT}:
                    self.switched = step.action is Action.SWITCH
                    self.reverted = not self.switched
            case StepFailed(step=step):
                self.failed.append(step)
                self.unsure = self.unsure or step.action in {Action.SWITCH, Action.REVERT}
            case StepProgress(size=size):
                self.size += size
            case StepsPassed(steps=steps, size=size):
                self.begun += len(steps)
                self.done += len(steps)
                self.size += size
            case PlanReady():
                # What became of the steps of a plan before does not count any more.
                self.begun = self.done = 0
                self.failed = []
                self.unsure = False


class Session:
    """One target while a command deals with it: its strategy, which connects in a thread, and its events."""

    def __init__(self, target: Target, strategy: Strategy[Any], emit: Emitter, tally: Tally) -> None:
        self.target = target
        self.emit = emit
        self.tally = tally
        self._strategy = strategy
        self._failures: list[BaseException] = []
        self._dialler = threading.Thread(target=self._connect, name="connect", daemon=True)
        self._dialler.start()
        # What it takes to begin needs the interpreter, which who walks through the project meanwhile hardly lends.
        self._dialler.join(HEAD_START)

    @property
    def strategy(self) -> Strategy[Any]:
        """The strategy, connected. Waits for it; raises what `Strategy.connect` raised."""
        while self._dialler.is_alive():
            self._dialler.join(0.2)  # in short waits, so that Ctrl-C is heard
        if self._failures:
            raise self._failures[0]
        return self._strategy

    def close(self) -> None:
        """Give back what the strategy took, also when it could not connect. Waits while it is still connecting."""
        self._dialler.join()
        self._strategy.close()

    def abandon(self) -> None:
        """As `close`, for a person who does not wait: what still connects ends with the process."""
        if not self._dialler.is_alive():
            self._strategy.close()

    def _connect(self) -> None:
        try:
            with self._strategy.run.course.during("connect"):
                self._strategy.connect()
        except BaseException as error:
            self._failures.append(error)

    def whereabouts(self, plan: Plan | None) -> str:
        """How far this push came, in words."""
        name = self.target.name
        if self.tally.reverted:
            return f"on {name} " + (f"{plan.live} is live again" if plan and plan.live else "nothing is live")
        if self.tally.switched:
            return f"on {name} the new release is live"
        if self.tally.unsure:
            return f"on {name} it is not known whether the new release is live; look with push status"
        if plan and plan.count(Action.SWITCH):
            return f"on {name} " + (f"what was live is untouched ({plan.live})" if plan.live else "nothing is live yet")
        if plan and self.tally.begun:
            before = f"; {plan.live} was live before" if plan.live else ""
            return f"on {name} {self.tally.done} of {len(plan.steps)} steps were done{before}"
        return f"on {name} nothing was changed"
