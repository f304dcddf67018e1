"""`Layout`: how pushes lie on a target. What every layout has, and what they share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from copy import copy
from datetime import UTC, datetime
from typing import Any

from pushkit.amount import amount
from pushkit.errors import Busy, Interrupted, Overtaken, PushRefused, TargetError
from pushkit.files.errors import RemoteError, RemoteExists, RemoteLost, RemoteMissing
from pushkit.files.known import Known
from pushkit.files.operation import MakeDirectory, Operation, makes_root
from pushkit.files.queue import Entrance, Queue
from pushkit.files.remote import Remote
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket, number_of
from pushkit.model import Entry, Finding, Kind, Plan, Release, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line

#: The most that is kept of why a push failed, in characters.
REASON = 300
#: Seconds that a network is left alone before the target is reached again.
PAUSE = 1.0
#: To enter the queue, to send, to verify and to switch, where nobody else is.
TRIPS = 1
#: What ends a push whose files are as good as they were: what has arrived whole is taken up by the next one.
UNDERWAY = (Interrupted, KeyboardInterrupt, RemoteLost)


class Layout(ABC):
    """How pushes lie on one target. A place in its queue that was not used yet is kept from a push to the next."""

    queue: Queue

    def __init__(self, remote: Remote, run: Run) -> None:
        self._remote = remote
        self._run = run
        self._ticket: Ticket | None = None
        self._known = Known(run)
        self._renewed = False
        #: Whether somebody else pushes at the same time.
        self._crowded = False
        self._shown: dict[str, str] = {}

    @abstractmethod
    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""

    @abstractmethod
    def live(self, survey: Survey | None = None) -> str:
        """The id of the live release, empty before the first push. Refuses what this layout did not make."""

    @abstractmethod
    def history(self, survey: Survey | None = None) -> Sequence[Release]:
        """The good releases that are there, the oldest first."""

    @abstractmethod
    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether the live ``release`` is there and known. One that is not is told of in ``warnings``."""

    @abstractmethod
    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live, by the manifest of that."""

    @abstractmethod
    def verify(self) -> Sequence[Finding]:
        """What of the live release is not as it was pushed."""

    @abstractmethod
    def plan(self, snapshot: Snapshot) -> Plan:
        """What it would take to make ``snapshot`` live."""

    @abstractmethod
    def push(self, plan: Any, snapshot: Snapshot) -> Release:
        """Carry out ``plan``.

        Raises `Overtaken`, the place in the queue kept, when what is live is not what it was for the plan.
        """

    @abstractmethod
    def rollback(self, wanted: str = "") -> Release:
        """Make an earlier release live again. Raises `PushRefused` when there is none."""

    @abstractmethod
    def switch(self, wanted: str) -> Release:
        """Make a release live that was prepared, or live before. Raises `PushRefused` when it is not there."""

    @abstractmethod
    def resume(self, number: int = 0) -> Release:
        """Complete a push that died. Raises `PushRefused` when there is none that takes a person's word."""

    def read_live(self, path: str, limit: int) -> bytes:
        """The content of a live file that `changes` was about. Raises `RemoteError`."""
        where = self._shown.get(path)
        stat = self._remote.stat(where) if where else None
        if where is None or stat is None or stat.kind is not Kind.FILE:
            raise RemoteMissing(f"{path} is no file of what is live")
        if stat.size > limit:
            raise RemoteError(f"{path} is larger than {amount(limit)}")
        return self._remote.read(where, limit)

    def hold(self, why: str) -> None:
        """Let nobody push."""
        self._make_root(self.look())
        self.queue.hold(why)

    def _remember(self, manifest: bytes) -> None:
        """Keep the manifest of what is live now, where it need not travel again then."""
        if self._remote.capabilities.scripts:
            self._known.keep(manifest)

    def close(self) -> None:
        """Give back a place in the queue that was not used."""
        if self._ticket:
            with suppress(TargetError):
                self.queue.end(self._ticket, "given up")
            self._ticket = None

    def regained(self, error: BaseException) -> bool:
        """Whether ``error`` is that the connection was lost, and there is another: once in a push, after a pause."""
        if self._renewed or not isinstance(error, RemoteLost) or self._run.cancelled.wait(PAUSE):
            return False
        self._renewed = True
        try:
            self._remote.renew()
        except (TargetError, PushRefused, Interrupted):
            return False
        self._run.warn(f"{error.message}; there is another, and the push goes on with what has arrived")
        return True

    def _describe(self, number: int, snapshot: Snapshot, live: str) -> Ticket:
        given = self._run.release
        if given and number_of(given.id) != number:
            raise Busy(
                f"another push was here since it was looked at: {given.id} would not be its newest release",
                hint="look at it (push status), then push again",
            )
        return Ticket(number, given or release_of(number, snapshot, self._run.person), live)

    @property
    def _given(self) -> int:
        """The least number that a push is to have; 0 for any."""
        return number_of(self._run.release.id) if self._run.release else 0

    def _round_trips(self, ahead: int = TRIPS) -> tuple[int, int] | None:
        """Those up to now, and those of a push in which nothing is in the way."""
        return (self._remote.round_trips, ahead) if self._remote.capabilities.scripts else None

    def _enter(self, survey: Survey, describe: Callable[[int], Ticket]) -> tuple[Ticket, Survey]:
        """A ticket that holds. Raises `Overtaken` when the connection was lost meanwhile, and there is another."""
        try:
            return self.queue.enter(survey, describe, first=self._given)
        except RemoteLost as error:
            if not self.regained(error):
                raise
            # Whether there is a ticket nobody said. It would hold up its own push.
            self.queue.abandon(failure(error, self._run))
            raise Overtaken(f"{error.message}; this push has to be planned again") from error

    def _check_root(self, survey: Survey) -> None:
        """Raise `TargetError` when the root is not there and cannot be made."""
        if not survey.exists and (obstacle := self._remote.obstacle()):
            raise TargetError(f"{self._remote.root}: {obstacle}", hint="check `path`, and who may write there")

    def _rooting(self, survey: Survey) -> list[Operation]:
        """Make the root, where there is none."""
        return [] if survey.exists else [MakeDirectory("", 0o755, may_exist=True)]

    def _make_root(self, survey: Survey) -> None:
        self._perform(self._rooting(survey), self.queue.state.name)

    def _begin(self, snapshot: Snapshot, live: str, survey: Survey, *, ready: bool) -> tuple[Entrance | None, Survey]:
        """A place in the queue, to push ``snapshot`` over what is ``live``, and the survey that holds for it.

        Where nobody else is and all is ``ready``, it is an entrance, whose operations come before all others, in one
        round trip. Else there is a ticket, which may have had to wait.
        """

        def describe(number: int) -> Ticket:
            return self._describe(number, snapshot, live)

        if self._ticket is not None:
            return None, survey
        if ready and not self._crowded:
            entrance = self.queue.entrance(survey, describe, first=self._given)
            if entrance is not None:
                return entrance._replace(operations=[*self._rooting(survey), *entrance.operations]), survey
        self._make_root(survey)
        self._ticket, survey = self._enter(survey, describe)
        return None, survey

    def _check_entered(self, entrance: Entrance | None, error: BaseException) -> None:
        """Raise `Overtaken` when somebody else was faster, so that nothing of this push was done."""
        if entrance:
            self.queue.heed(entrance, error)
        if entrance and isinstance(error, RemoteExists) and error.operation is entrance.taking:
            self._crowded = True
            raise Overtaken(
                f"another push came to {self._run.target.name} at the same moment; this one has to be planned again"
            ) from error

    def _reported(self, step: Step) -> AbstractContextManager[None]:
        """Report a step around what is done in it."""
        return self._run.step(step)

    def _perform(
        self, operations: Sequence[Operation], stage: str, optional: Sequence[Operation] = ()
    ) -> Sequence[Entry]:
        """Perform ``operations``. Those of them that are ``optional`` may fail, which is only told."""
        left = operations
        while left:
            try:
                return self._remote.perform(left, self._reported, stage)
            except RemoteError as error:
                if isinstance(error, RemoteMissing) and makes_root(error.operation):
                    raise TargetError(
                        f"{self._remote.root} does not exist, nor does the directory it would lie in; "
                        "nothing was changed",
                        hint="check `path`, or make the directory first",
                    ) from error
                if not any(error.operation is each for each in optional):
                    raise
                self._run.warn(f"something old could not be removed: {error.message}")
                left = following(left, error.operation)
        return ()


def release_of(number: int, snapshot: Snapshot, person: str) -> Release:
    """The release that the push ``number`` leaves, made now."""
    created = datetime.now(UTC)
    name = f"{number:06d}-{created:%Y%m%dT%H%M%SZ}-{snapshot.revision.short}"
    return Release(name, snapshot.revision, created, person)


def failure(error: BaseException, run: Run) -> str:
    """The outcome of a push that ``error`` ended, in words that others may read."""
    return f"failed: {run.redact(one_line(error))[:REASON]}"


def patient(run: Run) -> Run:
    """``run``, without an ear for who asks to stop."""
    found = copy(run)
    found.cancelled = threading.Event()
    return found


def following(operations: Sequence[Operation], operation: Operation | None) -> list[Operation]:
    """Those of ``operations`` that come after ``operation``."""
    return list(operations[next(at for at, each in enumerate(operations) if each is operation) + 1 :])
