"""One host of a rollout: its strategy, its state, and what was live on it before."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from pushkit.course import Course
from pushkit.errors import PushkitError
from pushkit.events import Event, HostChanged, Note, Output, StepProgress, Warned
from pushkit.files.assembly import ReleasesPlan
from pushkit.files.strategy import FileStrategy
from pushkit.files.supply import Supply
from pushkit.fleet.state import BAD, OUT, State
from pushkit.model import Host, Plan, Release, Step
from pushkit.strategy import Run, one_line

Make = Callable[[Host, Run], FileStrategy[Any]]


class Member:
    """A host, worked on by one thread at a time. ``before`` is the id of the release that was live when it was seen."""

    def __init__(self, host: Host, make: Make, run: Run, supply: Supply | None = None) -> None:
        self.host = host
        #: What it is called in what is told, which no other is.
        self.name = host.name
        self.state = State.PENDING
        self.reason = ""
        #: What to do about that, where it is known.
        self.hint = ""
        self.before = ""
        self.plan: Plan | None = None
        #: Whether what is live on it may be another since it was seen, by this rollout.
        self.touched = False
        #: The step of the rollout that is about it now, to which the bytes count that it is sent.
        self.step: Step | None = None
        self._fleet = run
        self._run = copy(run)
        self._run.emit = self._pass_on
        self._run.course = Course(run.redact)
        self._run.prepare = True
        self._run.wait = 0.0
        self.strategy = make(host, self._run)
        self.strategy.supply = supply

    @property
    def bad(self) -> bool:
        """Whether it counts as a failure."""
        return self.state in BAD

    @property
    def out(self) -> bool:
        """Whether the rollout is over for it."""
        return self.state in OUT

    @property
    def last(self) -> int:
        """The highest number that a push ever took on it, as far as was seen."""
        survey = self.plan.survey if isinstance(self.plan, ReleasesPlan) else None
        return survey.last if survey else 0

    def named(self, release: Release | None) -> None:
        """What its next push is to leave."""
        self._run.release = release

    def become(self, state: State, reason: str = "", batch: str = "") -> None:
        """Change its state, and tell of it."""
        self.state, self.reason = state, reason
        self._fleet.emit(HostChanged(self._fleet.target.name, self.name, state.value, reason, batch))

    def fail(self, error: BaseException, state: State = State.FAILED, batch: str = "") -> None:
        """It failed with ``error``."""
        self.hint = error.hint if isinstance(error, PushkitError) else ""
        self.become(state, one_line(error), batch)

    def live(self) -> str:
        """The id of the release that is live on it now. Raises `TargetError`."""
        return self.strategy.status().live

    def _pass_on(self, event: Event) -> None:
        """What happens on it, as something that happens in the rollout: its own steps are not those of the fleet."""
        target, name = self._fleet.target.name, self.name
        self._run.course(event)
        match event:
            case StepProgress(size=size) if self.step:
                self._fleet.emit(StepProgress(target, self.step, size))
            case Output(source=source, line=line):
                self._fleet.emit(Output(target, f"{name} {source}", line))
            case Note(message=message):
                self._fleet.emit(Note(target, f"{name}: {message}"))
            case Warned(message=message):
                self._fleet.emit(Warned(target, f"{name}: {message}"))
