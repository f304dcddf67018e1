"""`Journaled`: a layout that makes a release live by more than one rename, and writes down what before it begins.

A file names the release that is live; a journal is there while a push changes that. Who comes after a push that died
finishes what its journal says, or undoes it. `mirror` and `swap` are such layouts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import ClassVar, Generic, TypeVar

from msgspec import field
from msgspec.structs import replace

from pushkit.amount import counted
from pushkit.errors import Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files.diff import Difference
from pushkit.files.errors import RemoteExists
from pushkit.files.layout import UNDERWAY, Layout, failure, following, patient
from pushkit.files.operation import MakeDirectory, Operation, Put, Remove, RemoveTree, Verify, Write
from pushkit.files.place import GUARD, check_own
from pushkit.files.queue import Queue, expired
from pushkit.files.remote import Remote
from pushkit.files.survey import FORMAT, Look, State, Survey
from pushkit.files.ticket import RECORD, RELEASE_ID, Ticket, number_of
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Plan, Release, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line


class JournaledPlan(Plan, frozen=True):
    """A plan that remembers what it found out. One without a switch has nothing but one step, which comes first.

    ``freed`` is how many bytes go before anything is sent.
    """

    survey: Survey | None = None
    difference: Difference = field(default_factory=lambda: Difference((), (), (), ()))
    freed: int = 0


PlanT = TypeVar("PlanT", bound=JournaledPlan)


class Journaled(Layout, Generic[PlanT]):
    """What is live of one target on one remote. ``times`` is as in `Releases`, ``looking`` what is looked at.

    ``directories`` are made where they are missing, beside what every layout has.
    """

    state: ClassVar[State]
    directories: ClassVar[tuple[str, ...]]
    #: What is to be said of a release whose switch nobody saw the end of.
    doubt: ClassVar[str]

    def __init__(
        self, remote: Remote, run: Run, looking: Look, *, stale: float, times: Callable[[Entry], float] | None
    ) -> None:
        super().__init__(remote, run)
        self._looking = looking
        self._times = times
        self._switched = False
        self._tidied = False
        self.queue = Queue(remote, self.state, run, look=self.look, settle=self._settle, stale=stale)

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = self._looking.at(self._remote, self._known)
        found.check(*self.directories, self.state.pushes)
        check_own(found)
        return found

    def live(self, survey: Survey | None = None) -> str:
        """The id of the live release, empty before the first push, and where that cannot be told."""
        return (survey or self.look()).named_live

    def _due(self, survey: Survey) -> Step | None:
        """The step that comes before any other: to complete what a push has begun."""
        if self.state.journal not in survey.found:
            return None
        why = "its push changes what is live, or died while it did: that comes first"
        return Step(Action.VERIFY, self._journalled(survey) or "journal", why)

    def _leftovers(self, survey: Survey) -> tuple[Step, ...]:
        """The step that removes what a push left that made its release live and died before it had cleaned up."""
        dead = [*self._clearing(survey, survey.last + 1), *expired(survey)]
        if not dead or self._tidied or survey.hold:
            return ()
        return (Step(Action.PRUNE, counted(len(dead), "path"), "left by a push that died"),)

    @abstractmethod
    def _journalled(self, survey: Survey) -> str:
        """The release whose journal is there, empty when it cannot be read."""

    # Acting.

    def push(self, plan: PlanT, snapshot: Snapshot) -> Release:
        """Carry out ``plan``. Until its SWITCH step nothing that is live is touched.

        Raises `Overtaken`, the place in the queue kept, when what is live is not what it was for the plan: another push
        changed it, or it had to be completed first.
        """
        assert plan.survey
        self._check_space(plan)
        ready = plan.count(Action.SWITCH) > 0
        entrance, survey = self._begin(snapshot, plan.live, plan.survey, ready=ready)
        if not ready:
            self._complete(plan, survey)
            raise Overtaken(f"what is live on {plan.target} has been completed; this push has to be planned again")
        if self.state.journal in survey.found or self.live(survey) != plan.live:
            raise Overtaken(f"another push made {self.live(survey) or 'nothing'} live on {plan.target} meanwhile")
        held, self._ticket = entrance.ticket if entrance else self._ticket, None
        assert held
        ticket = replace(held, previous=plan.live)
        release = ticket.release
        assert release
        # What is live may have changed since a ticket was written that had to wait.
        again = Write(f"{self.state.ticket(ticket.number)}/{RECORD}", ticket.record())
        first = entrance.operations if entrance else [again]
        with self.queue.alive(ticket):
            try:
                self._carry_out(ticket, plan, survey, snapshot, first)
            except BaseException as error:
                self._check_entered(entrance, error)
                self._leave(ticket, plan, error)
        self._remember(snapshot.manifest)
        return release

    def switch(self, wanted: str) -> Release:
        """As `rollback`: no release waits here."""
        return self.rollback(wanted)

    def resume(self, number: int = 0) -> Release:
        """Refuse: a push finishes by itself what another has begun."""
        raise PushRefused(
            f"no push to {self._run.target.name} waits to be resumed",
            hint="push: what a push that died had begun is finished first",
        )

    def _check_space(self, plan: PlanT) -> None:
        """Refuse what will not fit: the bytes of all files that are sent. The old ones stay until the switch."""
        assert plan.survey
        sent = sum(entry.size for entry in plan.difference.send)
        free = self._remote.free_space() if sent and plan.survey.exists else None
        if free is not None and sent > free + plan.freed:
            raise TargetError(
                f"{self._remote.root} has no space for {sent:,} bytes, only for {free + plan.freed:,}; "
                "nothing was changed",
                hint="make room on the target",
            )

    @abstractmethod
    def _carry_out(
        self, ticket: Ticket, plan: PlanT, survey: Survey, snapshot: Snapshot, first: Sequence[Operation]
    ) -> None:
        """Send, verify, and make it live; ``first`` comes before that."""

    @abstractmethod
    def _recover(self, ticket: Ticket, survey: Survey) -> bool:
        """Finish what the journal says, or undo it, for ``ticket``, which holds; say which. Whether it was finished.

        Raises `PushRefused` when it can do neither.
        """

    def _complete(self, plan: PlanT, survey: Survey) -> None:
        """Complete what a push that died has begun, or remove what it left: all that there is to do."""
        assert self._ticket
        with self.queue.alive(self._ticket), self._run.step(plan.steps[0]):
            if self.state.journal in survey.found:
                self._recover(self._ticket, survey)
            elif self.live(survey) == plan.live:
                self._tidied = True
                going = [
                    *self._clearing(survey, self._ticket.number),
                    *(RemoveTree(path) for path in expired(survey)),
                ]
                self._perform(going, self.state.name, going)

    def _deliver(
        self,
        operations: Sequence[Operation],
        verifying: Verify,
        release: str,
        snapshot: Snapshot,
        then: Sequence[Operation],
        *,
        made: Collection[str],
    ) -> None:
        """Perform ``operations``, of which ``verifying`` looks at what has arrived for ``release``, and ``then``.

        What has not arrived whole is sent once more, when all of it is of the paths ``made`` of what lay on the target,
        which somebody may have altered. Raises `PushFailed` when it is not whole then. ``then`` may fail.
        """
        stage, tree = self.state.stage(release), verifying.directory
        operations = [*operations, *then]
        wrong = self._perform(operations, stage, then)
        if wrong and made and {entry.path for entry in wrong}.issubset(made):
            again = Transfer(snapshot, wrong, {}, self._run, self._times)
            gone = [Remove(f"{tree}/{entry.path}") for entry in wrong]
            rest = [*gone, Put(tree, again), Verify(tree, wrong), *following(operations, verifying)]
            wrong = self._perform(rest, stage, then)
        if wrong:
            raise PushFailed(
                f"{counted(len(wrong), 'file')} did not arrive whole, {wrong[0].path!r} first; what was live stays",
                hint="push again; if it happens again, look at the target's disk",
            )

    def _preparing(self, survey: Survey, *stage: str) -> list[Operation]:
        """Make what the layout needs where it is missing, and the directories of this push."""
        made: list[Operation] = [
            MakeDirectory(path, 0o700, may_exist=True) for path in self.directories if path not in survey.found
        ]
        made += [MakeDirectory(path, 0o700) for path in stage]
        if self.state / "format" in survey.found:
            return made
        return [
            *made,
            Write(self.state / ".htaccess", GUARD, 0o644),
            Write(self.state / "format", f"{FORMAT}\n".encode()),
        ]

    def _clearing(self, survey: Survey, number: int, live: str = "", *more: str) -> list[Operation]:
        """Remove the uploads of pushes before ``number`` that have ended, and their manifests.

        Those of ``live``, by default what is live in ``survey``, and of the releases ``more`` stay.
        """
        live = live or self.live(survey)
        old = self._older(survey, number, live)
        stages = (name for name in survey.names(self.state.incoming) if old(name))
        # What follows a point was left by a push that died while it wrote.
        gone = (name for name in survey.manifests if old(name.partition(".")[0]) and name not in {live, *more})
        return [
            *(RemoveTree(self.state.stage(name)) for name in stages),
            *(Remove(self.state.manifest(name)) for name in gone),
        ]

    def _older(self, survey: Survey, number: int, live: str) -> Callable[[str], bool]:
        """Whether a name is a release's, of a push before ``number`` that has ended or made it ``live``."""
        queued = {each.release.id for each in survey.open_tickets if each.release} - {live}
        return lambda name: bool(RELEASE_ID.fullmatch(name)) and name not in queued and number_of(name) < number

    def _reported(self, step: Step) -> AbstractContextManager[None]:
        """Report a step. From the SWITCH step on, who asks to stop is heard when it is over."""
        self._switched = self._switched or step.action is Action.SWITCH
        return (patient(self._run) if self._switched else self._run).step(step)

    # After a failure, or a death.

    def _leave(self, ticket: Ticket, plan: PlanT, error: BaseException) -> None:
        """Give up after ``error``, and raise what is to be told; nothing when all of it is live after all."""
        assert ticket.release
        release = ticket.release.id
        told = self._lost(ticket, error) if isinstance(error, RemoteExists) else error
        doubtful, again = self._doubtful(error), self.regained(error)
        # Over the new connection the switch is reported anew.
        self._switched = self._switched and not again
        try:
            left = self._give_up(ticket, plan, told)
            if left is None and again:
                return
            told = left or self._late(release, told)
        except (TargetError, PushRefused):
            # The connection may be what failed; the next push completes it then.
            if doubtful and isinstance(error, TargetError):
                told = self._in_doubt(release, error)
        if told is not error:
            raise told from error
        if again:
            raise Overtaken(f"{one_line(error)}; this push has to be planned again") from error
        raise error

    def _doubtful(self, error: BaseException) -> bool:
        """Whether what is live may have been changed when ``error`` came."""
        return self._switched

    def _in_doubt(self, release: str, error: BaseException) -> PushFailed:
        """The error of who does not know whether ``release`` is live."""
        return PushFailed(
            f"{one_line(error)}; {release} may be {self.doubt}",
            hint="push again: the next push finishes it, or undoes it, first",
        )

    def _lost(self, ticket: Ticket, error: RemoteExists) -> BaseException:
        """The error that says what was in the way."""
        with suppress(TargetError, PushRefused):
            return self.queue.lost(ticket, error)
        return error

    def _give_up(self, ticket: Ticket, plan: PlanT, error: BaseException) -> BaseException | None:
        """Leave nothing half done, where that can be: the error that says how it ended, None when all of it is live."""
        assert ticket.release
        release = ticket.release.id
        survey = self.look()
        if not self.queue.owns(ticket, survey):
            return error
        finished, why = True, ""
        if self.state.journal in survey.found:
            try:
                finished = self._recover(ticket, survey)
                survey = self.look()
            except (TargetError, PushRefused) as second:
                finished, why = False, f" ({one_line(second)})"
        if why or (self.live(survey) == release and not finished):
            with suppress(TargetError):
                self.queue.end(ticket, "failed while it switched")
            return PushFailed(
                f"{one_line(error)}; {release} is {self.doubt}{why}",
                hint="push again: the next push finishes it, or undoes it, first",
            )
        if self.live(survey) == release:
            with self._reported(plan.steps[-1]) if not self._switched else nullcontext():
                self.queue.end(ticket, ticket.success)
            return None
        # What has arrived whole is taken up by the next push, unless something was wrong with it.
        if not isinstance(error, UNDERWAY):
            gone = [RemoveTree(self.state.stage(release)), Remove(self.state.manifest(release))]
            self._perform(gone, self.state.name)
        self.queue.end(ticket, failure(error, self._run))
        return error

    def _late(self, release: str, error: BaseException) -> BaseException:
        """The error of a push that failed when its release was live, or that was completed after a failure."""
        if isinstance(error, (Interrupted, KeyboardInterrupt)):
            return error
        return PushFailed(f"{one_line(error)}; {release} is live", hint=getattr(error, "hint", ""))

    def _settle(self, ticket: Ticket, survey: Survey) -> str:
        """How a push ended that died when it had begun to switch. Who holds the target next completes it."""
        live = ticket.release is not None and self.live(survey) == ticket.release.id
        return ticket.success if live and self.state.journal not in survey.found else "died while it switched"
