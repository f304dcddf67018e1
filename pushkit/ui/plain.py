"""The reporter for a log: few lines, each whole and stable enough to grep."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum

from pushkit.amount import amount, counted
from pushkit.events import (
    Event,
    HostChanged,
    Note,
    Output,
    PlanReady,
    PushFinished,
    SnapshotTaken,
    StepFailed,
    StepFinished,
    StepProgress,
    StepsPassed,
    StepStarted,
    Warned,
)
from pushkit.model import Action, Outcome, Plan, Receipt, Step
from pushkit.ui.pause import Pause
from pushkit.ui.progress import Progress, sends
from pushkit.ui.text import duration, output_line, visible

# Seconds between two lines that say how far a long push is.
INTERVAL = 5.0

# Steps of which there may be very many, and that only count.
_MANY = (Action.ADD, Action.REPLACE)

# Steps that people want to see each of, told when they begin: they may take long.
_ANNOUNCED = (Action.RUN, Action.VERIFY)

# What a plan is about; the other steps go with these.
_COUNTED = (Action.ADD, Action.REPLACE, Action.REMOVE, Action.RUN)


class Tone(StrEnum):
    """What a line is, for a reporter that has colours."""

    PLAIN = "plain"
    QUIET = "quiet"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


# What became of a host that people want to see at once.
HOSTS = {
    "unreachable": Tone.WARNING,
    "gone": Tone.WARNING,
    "unknown": Tone.WARNING,
    "failed": Tone.BAD,
    "done": Tone.GOOD,
}


class Plain:
    """Tells the events of pushes as lines, through ``write(line, tone)``.

    ``quiet`` leaves only warnings and failures, ``verbose`` adds a line for every step. ``interval`` is the
    least number of seconds between two lines of progress, 0.0 for none at all. Without ``hosts``, of many hosts only
    what is wrong with one is a line.
    """

    many = True

    def __init__(
        self,
        write: Callable[[str, Tone], None],
        *,
        quiet: bool = False,
        verbose: bool = False,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
        hosts: bool = True,
    ) -> None:
        self._write = Pause(write)
        self._quiet = quiet
        self._verbose = verbose
        self._interval = interval
        self._clock = clock
        self._told = clock()
        self._every_host = hosts or verbose
        self._hosts: dict[str, str] = {}
        self.progress = Progress(clock)

    def __call__(self, event: Event) -> None:  # noqa: PLR0912  (an event a branch)
        """Tell ``event``, if it is worth a line."""
        if self._verbose and isinstance(event, StepsPassed):
            for each in event.each():
                self(each)
            return
        self.progress(event)
        if not self._verbose and counts(event):
            self._tell_progress(event.target)
            return
        name = visible(event.target)
        match event:
            case Warned(message=message):
                self._write(f"{name}: warning: {visible(message)}", Tone.WARNING)
            case StepFailed(step=step, error=error):
                self._write(f"{name}: failed: {described(step)}: {visible(error)}", Tone.BAD)
            case PlanReady(plan=plan):
                self._tell_plan(name, plan)
            case SnapshotTaken(files=files, size=size, revision=revision, seconds=seconds):
                frozen = f"{counted(files, 'file')}, {amount(size)}, revision {visible(revision)}"
                self._say(f"{name}: snapshot: {frozen} ({duration(seconds)})")
            case StepStarted(step=step) if self._verbose or (
                step.action in _ANNOUNCED and step.subject not in self._hosts
            ):
                self._say(f"{name}: {described(step)}")
            case StepProgress():
                self._tell_progress(event.target)
            case StepFinished(step=step):
                # A switch is told when it is done: from then on it is true.
                # What becomes of a host is told as that.
                if (
                    step.action in {Action.SWITCH, Action.REVERT}
                    and not self._verbose
                    and step.subject not in self._hosts
                ):
                    self._say(f"{name}: {described(step)}")
                self._tell_progress(event.target)
            case HostChanged(host=host, state=state, reason=reason, batch=batch):
                self._hosts[host] = state
                if not self._every_host and HOSTS.get(state, Tone.GOOD) is Tone.GOOD:
                    return
                words = f"{visible(host)} {state}" + f" ({batch})" * bool(batch) + f": {visible(reason)}" * bool(reason)
                self._say(f"{name}: {words}", HOSTS.get(state, Tone.PLAIN))
            case Output(source=source, line=line):
                self._say(f"{name}: {visible(source)} | {output_line(line)}", Tone.QUIET)
            case Note(message=message):
                self._say(f"{name}: {visible(message)}")
            case PushFinished(receipt=receipt):
                self._tell_receipt(name, receipt)

    def aside(self) -> AbstractContextManager[None]:
        """While somebody else has the terminal: what there is to tell meanwhile is told at the end."""
        return self._write.aside()

    def close(self) -> None:
        """Nothing is held."""

    def _say(self, line: str, tone: Tone = Tone.PLAIN) -> None:
        if not self._quiet:
            self._write(line, tone)

    def _tell_plan(self, name: str, plan: Plan) -> None:
        for warning in plan.warnings:
            self._write(f"{name}: warning: {visible(warning)}", Tone.WARNING)
        self._say(f"{name}: plan: {summary(plan)}")
        if self._verbose and plan.round_trips:
            looked, ahead = plan.round_trips
            self._say(f"{name}: {counted(looked, 'round trip')} to look, {ahead} to push")
        self._told = self._clock()

    def _tell_progress(self, target: str) -> None:
        if not self._interval or self._quiet:
            return
        now = self._clock()
        if now - self._told < self._interval:
            return
        name = visible(target)
        self._told = now
        progress = self.progress
        if progress.files >= progress.total_files:
            return
        line = (
            f"{name}: {progress.share:.0%}: {progress.files:,} of {counted(progress.total_files, 'file')}, "
            f"{amount(progress.size)} of {amount(progress.total_size)}, {amount(progress.rate)}/s"
        )
        left = progress.left
        self._say(line if left is None else f"{line}, {duration(left)} left")

    def _tell_receipt(self, name: str, receipt: Receipt) -> None:
        # What went wrong is told once, by who catches the error.
        if receipt.outcome is Outcome.NOTHING:
            live = f": {visible(receipt.live)} is live" if receipt.live else ""
            self._say(f"nothing to do on {name}{live}", Tone.GOOD)
        elif receipt.outcome is Outcome.DONE:
            release = f" {visible(receipt.release.id)}" if receipt.release else ""
            done = list(self._hosts.values()).count("done")
            what = counted(done, "host") if done else counted(self.progress.files, "file")
            sent = f"{what}, {amount(receipt.size)}"
            self._say(f"pushed{release} to {name}: {sent} in {duration(receipt.seconds)}", Tone.GOOD)
        elif receipt.outcome is Outcome.PREPARED and receipt.release:
            release = visible(receipt.release.id)
            sent = f"{counted(self.progress.files, 'file')}, {amount(receipt.size)}"
            self._say(f"prepared {release} on {name}: {sent} in {duration(receipt.seconds)}", Tone.GOOD)
            self._say(f"to make it live: push switch {name} {release}")


def counts(event: Event) -> bool:
    """Whether it is one of very many, which say nothing but how far a push is."""
    if isinstance(event, (StepStarted, StepFinished)):
        return event.step.action in _MANY
    return isinstance(event, (StepProgress, StepsPassed))


def described(step: Step) -> str:
    """A step on one line: its action, its subject, its reason."""
    reason = f" ({visible(step.reason)})" if step.reason else ""
    return f"{step.action} {visible(step.subject)}{reason}"


def summary(plan: Plan) -> str:
    """A plan on one line: ``3 to add, 1 to remove, 8 kept; 12 kB to send``."""
    if not plan.steps:
        return "nothing to do" + (f", {plan.kept:,} kept" if plan.kept else "")
    counts = {action: plan.count(action) for action in Action}
    shown = [action for action in _COUNTED if counts[action]] or [action for action in Action if counts[action]]
    parts = [f"{counts[action]:,} to {action}" for action in shown]
    if plan.kept:
        parts.append(f"{plan.kept:,} kept")
    size = f"; {amount(plan.size)} to send" if any(map(sends, plan.steps)) else ""
    return ", ".join(parts) + size
