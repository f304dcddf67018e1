"""The queue of a target, which no server keeps: tickets are directories, and making one is atomic.

The holder is the lowest ticket that has not ended. It alone may change the target, and before each change it looks that
it still holds. A push that died is told by its heartbeat, which the target's own clock dates, or at once by the
machine that it ran on. See docs/explanation/queue.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from pushkit.errors import Busy, PushRefused
from pushkit.events import Note
from pushkit.files.errors import RemoteError, RemoteExists, RemoteLost, RemoteMissing
from pushkit.files.heartbeat import Heartbeat
from pushkit.files.log import course_of
from pushkit.files.machine import machine, runs
from pushkit.files.operation import (
    Absent,
    Fence,
    Log,
    MakeDirectory,
    Operation,
    Present,
    Remove,
    RemoveTree,
    Rename,
    Write,
)
from pushkit.files.remote import Remote
from pushkit.files.survey import State, Survey
from pushkit.files.ticket import (
    END,
    GOOD,
    GOOD_ENDS,
    HEARTBEAT,
    OUTCOME,
    RECORD,
    SWITCHING,
    UNLOCKED,
    Ticket,
    encoded,
    recorded,
)
from pushkit.model import Hold
from pushkit.strategy import Run

#: Seconds without a heartbeat after which a push is taken for dead, and how many beats fit in between.
STALE, BEATS = 60.0, 6
#: Seconds between two looks at the queue.
PAUSE = 1.0
#: So many tickets that have ended stay where they are, and so many where each has to be asked for by itself; the log
#: remembers them all.
KEPT, FEW = 30, 3
#: How the name of a ticket ends that is being removed.
EXPIRED = ".expired"


class Entrance(NamedTuple):
    """A ticket that holds as soon as ``operations`` are done.

    ``taking`` is the one of them that takes its number: `RemoteExists` when somebody else has it.
    """

    ticket: Ticket
    operations: Sequence[Operation]
    taking: Operation


class Queue:
    """The queue in ``state`` of ``remote``. A push without a heartbeat for ``stale`` seconds is taken for dead.

    ``look`` surveys the target. ``settle`` is asked how a dead push ended that had begun to switch; it raises
    `PushRefused` when a person has to decide.
    """

    def __init__(
        self,
        remote: Remote,
        state: State,
        run: Run,
        *,
        look: Callable[[], Survey],
        settle: Callable[[Ticket, Survey], str],
        stale: float = STALE,
    ) -> None:
        self._remote = remote
        self.state = state
        self._run = run
        self._look = look
        self._settle = settle
        self._stale = stale
        #: The last ticket of this push, and whether its number is known to be this push's: None where that was lost.
        self._mine: Ticket | None = None
        self._taken: bool | None = False
        #: When tickets were first seen that nobody had signed, by number and this machine's clock.
        self._nameless: dict[int, float] = {}

    def enter(
        self,
        survey: Survey,
        describe: Callable[[int], Ticket],
        settle: Callable[[Ticket, Survey], str] | None = None,
        *,
        first: int = 0,
    ) -> tuple[Ticket, Survey]:
        """Take a ticket and wait until it holds: the ticket, and the survey that holds for it.

        ``describe`` gives what a ticket of a number says. ``settle`` takes the place of the queue's own for who knows
        what a dead push is to come to. The number is at least ``first``. Waits as long as ``run.wait`` says, then
        raises `Busy`; raises `PushRefused` while pushes are held.
        """
        self.check_hold(survey)
        number = max(survey.last + 1, first)
        alone = not survey.open_tickets
        while True:
            ticket = self._signed(describe(number))
            entering = self._entering(ticket)
            operations = [*self._prepare(survey), *entering]
            try:
                self._perform(operations)
            except RemoteExists:
                # Somebody took it since the survey.
                number, alone = number + 1, False
            except RemoteError as error:
                self.heed(Entrance(ticket, operations, entering[0]), error)
                raise
            else:
                break
        if alone:
            # No number between the survey and ours was another's, so nobody was here.
            return ticket, survey
        try:
            return ticket, self._wait(ticket, settle or self._settle)
        except BaseException:
            self.end(ticket, "gave up waiting")
            raise

    def entrance(self, survey: Survey, describe: Callable[[int], Ticket], *, first: int = 0) -> Entrance | None:
        """As `enter`, for who does more in one go; None when somebody is there, who has to be waited for."""
        self.check_hold(survey)
        if survey.open_tickets:
            return None
        ticket = self._signed(describe(max(survey.last + 1, first)))
        entering = self._entering(ticket)
        # Was its number between the survey and then another's, somebody was here; else nobody.
        return Entrance(ticket, [*self._prepare(survey), *entering], entering[0])

    def heed(self, entrance: Entrance, error: BaseException) -> None:
        """Remember what ``error`` tells of the number of ``entrance``: whether it was taken."""
        if not isinstance(error, RemoteError):
            return
        place = next(at for at, each in enumerate(entrance.operations) if each is entrance.taking)
        later = error.operation and all(error.operation is not each for each in entrance.operations[: place + 1])
        if later or any(each is entrance.taking for each in error.done):
            self._taken = True
        elif isinstance(error, RemoteLost):
            self._taken = None

    def owns(self, ticket: Ticket, survey: Survey) -> bool:
        """Whether the ticket of that number is this push's, and no other's that was faster.

        One that nobody has signed is, when this push took the number. Where the line was cut before it heard whether it
        had, it waits for another to sign: who has not after a beat has died, or is this push.
        """
        first = time.monotonic()
        while True:
            found = next((each for each in survey.tickets if each.number == ticket.number), None)
            if found is None or ticket.release is None:
                return False
            if found.release:
                return whose(found) == (ticket.number, machine(), os.getpid(), ticket.release.id)
            if found.ended or not same(ticket, self._mine) or self._taken is False:
                return False
            if self._taken or time.monotonic() - first > self._stale / BEATS:
                return True
            self._run.sleep(PAUSE)
            survey = self._look()

    def abandon(self, outcome: str) -> None:
        """End the ticket of this push, if it has one."""
        if self._mine and self.owns(self._mine, self._look()):
            self.end(self._mine, outcome)

    def alive(self, ticket: Ticket) -> Heartbeat:
        """Shows that the push of ``ticket`` is alive while it is entered."""
        place = self.state.ticket(ticket.number)
        return Heartbeat(self._remote, f"{place}/{HEARTBEAT}", place, self._stale / BEATS)

    def holding(self, ticket: Ticket) -> list[Operation]:
        """The operations that fail when ``ticket`` does not hold any more, to be done before any change."""
        place = self.state.ticket(ticket.number)
        return [
            Present(f"{place}/{RECORD}"),
            Absent(f"{place}/{END}"),
            Absent(self.state / "hold"),
            Fence(self.state / "fence", ticket.number),
        ]

    def switching(self, ticket: Ticket) -> Operation:
        """The operation that says that ``ticket`` begins to change what is live."""
        return MakeDirectory(f"{self.state.ticket(ticket.number)}/{SWITCHING}", 0o700, may_exist=True)

    def ending(self, ticket: Ticket, outcome: str) -> list[Operation]:
        """The operations that end ``ticket``, which can be done once."""
        place = self.state.ticket(ticket.number)
        record: dict[str, object] = {"number": ticket.number, "outcome": outcome, "ended": now(), "who": ticket.holder}
        if ticket.release:
            record |= {"why": ticket.why, **recorded(ticket.release), "previous": ticket.previous}

        def tell() -> dict[str, object]:
            if not same(ticket, self._mine):
                return record
            return record | {"ended": now()} | course_of(self._run.course, failed=outcome not in GOOD_ENDS)

        return [
            MakeDirectory(f"{place}/{END}", 0o700),
            # Who finds no outcome says it once more, and twice in the log is once; what has one is in the log.
            Log(self.state / "log", tell),
            Write(f"{place}/{OUTCOME}", encoded(record), whole=False),
        ]

    def end(self, ticket: Ticket, outcome: str) -> bool:
        """End a ticket; False when somebody else has, who may have removed it since."""
        try:
            self._perform(self.ending(ticket, outcome))
        except (RemoteExists, RemoteMissing):
            return False
        return True

    def unlock(self, number: int, why: str) -> None:
        """End the ticket of another push, whether that is dead or alive; alive, it changes nothing any more.

        Raises `PushRefused` when there is no such ticket, or when it has ended.
        """
        found = next((each for each in self._look().tickets if each.number == number), None)
        if found is None:
            raise PushRefused(
                f"no push {number} is known on {self._run.target.name}; nothing was changed",
                hint="see which there are: push status, push log",
            )
        outcome = f"{UNLOCKED}{self._run.person}: {why}"
        if found.ended or not self.end(found, outcome):
            raise PushRefused(
                f"{found.why} {number} by {found.holder} has ended already ({found.outcome or 'without a word'}); "
                "nothing was changed"
            )

    def hold(self, why: str) -> None:
        """Freeze pushes. Raises `PushRefused` when they are."""
        survey = self._look()
        self.check_hold(survey)
        record = encoded({"who": self._run.person, "when": now(), "why": why})
        try:
            self._perform([*self._prepare(survey), Absent(self.state / "hold"), Write(self.state / "hold", record)])
        except RemoteExists:
            self.check_hold(self._look())
            raise

    def release_hold(self) -> Hold | None:
        """Let pushes go on. The hold that ended, None when there was none."""
        hold = self._look().hold
        if hold:
            self._perform([Remove(self.state / "hold")])
        return hold

    def lost(self, ticket: Ticket, error: RemoteExists) -> Exception:
        """The error that says why ``ticket`` does not hold any more; ``error`` itself when it does."""
        survey = self._look()
        self.check_hold(survey)
        mine = next((each for each in survey.tickets if each.number == ticket.number), None)
        if mine is None or mine.ended:
            why = mine.outcome if mine and mine.outcome else "it was removed"
            return Busy(
                f"push {ticket.number} lost its place in the queue ({why}); what is live was not changed by it",
                hint="look at it (push status), then push again",
            )
        return error

    def dead(self, ticket: Ticket, clock: float) -> bool:
        """Whether the push of an open ticket is over, ``clock`` being the target's time."""
        # That there is such a process proves nothing: its number may be another's by now.
        if over(ticket):
            return True
        if ticket.release:
            return clock - ticket.heartbeat > self._stale
        # A push says who it is as soon as it has its number: one that has not after a beat died in between. There are
        # targets that date a directory to the minute only, or not at all.
        seen = time.monotonic() - self._nameless.setdefault(ticket.number, time.monotonic())
        return max(clock - ticket.heartbeat, seen) > self._stale / BEATS

    def bury(
        self, survey: Survey, tickets: Sequence[Ticket], clock: float, settle: Callable[[Ticket, Survey], str]
    ) -> list[Ticket]:
        """End those of ``tickets`` whose push is dead. The others, which live."""
        living = []
        for ticket in tickets:
            if not self.dead(ticket, clock):
                living.append(ticket)
                continue
            outcome = settle(ticket, survey) if ticket.switching or ticket.why == "resume" else "died"
            if self.end(ticket, outcome):
                words = {"died": "had died", GOOD: "died at its end, and is good"}.get(outcome, f"died: {outcome}")
                self._run.emit(Note(self._run.target.name, f"{ticket.why} {ticket.number} of {ticket.holder} {words}"))
        return living

    def check_hold(self, survey: Survey) -> None:
        """Raise `PushRefused` while pushes are held."""
        if survey.hold:
            raise held(survey.hold, self._run.target.name)

    def _wait(self, ticket: Ticket, settle: Callable[[Ticket, Survey], str]) -> Survey:
        """Until ``ticket`` holds: the survey that shows it."""
        limit = time.monotonic() + self._run.wait
        told: list[int] = []
        with self.alive(ticket), self._run.course.during("wait"):
            while True:
                survey = self._look()
                self.check_hold(survey)
                mine = next((each for each in survey.open_tickets if each.number == ticket.number), None)
                if mine is None:
                    raise Busy(f"push {ticket.number} lost its place in the queue", hint="look at it: push status")
                ahead = [each for each in survey.open_tickets if each.number < ticket.number]
                living = self.bury(survey, ahead, mine.heartbeat, settle)
                if not ahead:
                    return survey
                if len(living) < len(ahead):
                    continue
                # Who has not said who they are is waited for: they do, or are found dead, in a moment.
                late = time.monotonic() - limit
                if late >= self._stale or (late >= 0 and all(each.release for each in living)):
                    raise busy(ahead, self._run)
                if told != (numbers := [each.number for each in ahead]):
                    told = numbers
                    self._run.emit(Note(self._run.target.name, f"waiting: {described(ahead)}"))
                self._run.sleep(PAUSE)

    def _signed(self, ticket: Ticket) -> Ticket:
        """``ticket``, which says who has it, where, since when."""
        here = replace(ticket, machine=machine(), process=os.getpid())
        self._mine, self._taken = replace(here, who=self._run.person, since=moment()), False
        return self._mine

    def _prepare(self, survey: Survey) -> list[Operation]:
        """What has to be there before the first ticket."""
        return [
            MakeDirectory(path, 0o700, may_exist=True)
            for path in (self.state.name, self.state.pushes)
            if path not in survey.found
        ]

    def _entering(self, ticket: Ticket) -> list[Operation]:
        place = self.state.ticket(ticket.number)
        return [
            MakeDirectory(place, 0o700),
            Write(f"{place}/{RECORD}", ticket.record(), whole=False),
            Write(f"{place}/{HEARTBEAT}", b"alive\n", whole=False),
        ]

    def _perform(self, operations: Sequence[Operation]) -> None:
        self._remote.perform(operations, self._run.step, self.state.name)


def same(ticket: Ticket, other: Ticket | None) -> bool:
    """Whether both are the place of one push."""
    return other is not None and whose(ticket) == whose(other)


def whose(ticket: Ticket) -> tuple[int, str, int, str]:
    """What no two pushes have in common."""
    return ticket.number, ticket.machine, ticket.process, ticket.release.id if ticket.release else ""


def held(hold: Hold, target: str) -> PushRefused:
    """The error that tells of a hold."""
    return PushRefused(
        f"pushes to {target} are held by {hold.who} since {hold.when}: {hold.why}; nothing was changed",
        hint=f"wait, or end the hold: push release {target}",
    )


def busy(ahead: Sequence[Ticket], run: Run) -> Busy:
    """The error that names who is ahead."""
    return Busy(
        f"{run.target.name} is busy: {described(ahead)}; nothing was changed",
        hint="wait for it (push --wait SECONDS), or look at it: push status",
    )


def described(ahead: Sequence[Ticket]) -> str:
    """Who is ahead, in words."""
    holder = ahead[0]
    since = f" since {holder.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if holder.since else ""
    more = f", and {len(ahead) - 1} more in the queue" if len(ahead) > 1 else ""
    return f"{holder.why} {holder.number} by {holder.holder} has it{since}{more}"


def moment() -> datetime:
    """This moment, by this machine's clock, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def now() -> str:
    """This moment, as records have it."""
    return moment().isoformat()


def over(ticket: Ticket) -> bool:
    """Whether the push of ``ticket`` is known to be over, without a look at the clock: it ran on this machine."""
    return runs(ticket.machine, ticket.process) is False


def expiring(survey: Survey, keep: Sequence[int], kept: int = 0) -> list[Operation]:
    """Remove the tickets that have ended, are not among the newest, and whose numbers are not in ``keep``.

    There are ``kept`` newest ones, by default `KEPT`. Each loses its name first: half gone, it would look like one that
    has not ended.
    """
    operations: list[Operation] = [RemoveTree(path) for path in expired(survey)]
    for ticket in [each for each in survey.tickets if each.ended and each.number not in keep][: -(kept or KEPT)]:
        place = survey.state.ticket(ticket.number)
        operations += [Rename(place, place + EXPIRED), RemoveTree(place + EXPIRED)]
    return operations


def expired(survey: Survey) -> list[str]:
    """The tickets that were being removed when their remover died."""
    pushes = survey.state.pushes
    return [f"{pushes}/{name}" for name in sorted(survey.names(pushes)) if name.endswith(EXPIRED)]
