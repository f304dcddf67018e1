"""The releases layout: every push a directory of its own, ``current`` a symlink to the one that is live.

::

    PATH/
      current -> releases/000042-20261122T193012Z-4f2a91c
      releases/000042-20261122T193012Z-4f2a91c/      complete, or it does not bear this name
      shared/                                        what all releases share, linked into each
      .push/                                         mode 0700
        format                                       the version of this page
        log                                          how each push ended, a line each
        hold                                         present while pushes are held: who, when, why
        fence                                        the highest number whose push changed what is live
        pushes/000042/{ticket.json,hb,switching,end} the queue
        manifests/000042-20261122T193012Z-4f2a91c
        incoming/000042-20261122T193012Z-4f2a91c/    an upload under way
        spare/                                       the tree of the release that went last; the next one begins as it

A push is written under ``incoming``, verified, renamed to ``releases``, and becomes live by the rename of a symlink.
Whatever instant it dies, ``current`` is wholly the old or wholly the new release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from msgspec.structs import replace

from pushkit import manifest
from pushkit.amount import counted
from pushkit.errors import Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files.activation import Activation
from pushkit.files.actual import actual, findings
from pushkit.files.assembly import Assembly, ReleasesPlan
from pushkit.files.commands import AFTER, BEFORE, Commands
from pushkit.files.diff import difference
from pushkit.files.errors import RemoteExists
from pushkit.files.history import good_in, left, pruning
from pushkit.files.lacking import Comparison
from pushkit.files.layout import TRIPS, Layout, patient
from pushkit.files.live_release import held, is_there, live_in, recorded
from pushkit.files.operation import (
    Absent,
    Operation,
    Pointing,
    RemoveTree,
    Rename,
    Write,
)
from pushkit.files.place import CURRENT, RELEASES, STATE, TREE, check_own, look_for
from pushkit.files.queue import STALE, Queue
from pushkit.files.remote import Remote
from pushkit.files.shared import Shared
from pushkit.files.supply import Supply
from pushkit.files.survey import Survey
from pushkit.files.ticket import (
    END,
    GOOD,
    PREPARED,
    RECORD,
    Ticket,
)
from pushkit.files.turn import Turn
from pushkit.files.unfinished import settle, unfinished, waits
from pushkit.model import Action, Entry, Finding, Kind, Release, Severity, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line

NOTHING_SHARED, NO_COMMANDS = Shared(), Commands()


class Releases(Layout):
    """The releases of one target on one remote. ``keep`` good ones stay, the live one among them.

    ``times`` gives the time of a file of the project, where files keep it. With ``hard_links`` what did not change is
    one file in several releases. ``supply`` makes once what the hosts of a fleet have in common.
    """

    def __init__(
        self,
        remote: Remote,
        run: Run,
        keep: int,
        *,
        stale: float = STALE,
        hard_links: bool = False,
        times: Callable[[Entry], float] | None = None,
        shared: Shared = NOTHING_SHARED,
        commands: Commands = NO_COMMANDS,
        supply: Supply | None = None,
    ) -> None:
        super().__init__(remote, run)
        self._keep = keep
        self._assembly = Assembly(
            remote, run, self._perform, self._known, hard_links=hard_links, times=times, supply=supply
        )
        self._shared = shared
        self._comparison = Comparison(remote, run, shared, self._assembly, supply)
        self._commands = commands
        self._tidied = False
        #: What is there once a release was prepared, until it is used.
        self._followed: Survey | None = None
        self.queue = Queue(remote, STATE, run, look=self.look, settle=settle, stale=stale)
        self._activation = Activation(remote, run, self.queue, look=self.look, perform=self._perform, commands=commands)
        self._turn = Turn(
            run,
            self.queue,
            self._activation,
            look=self.look,
            perform=self._perform,
            commands=commands,
            pruning=self._pruning,
        )

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = look_for(self._shared).at(self._remote, self._known)
        found.check(RELEASES, STATE.incoming, STATE.manifests, STATE.spare, STATE.pushes, *self._shared.directories)
        check_own(found)
        return found

    def live(self, survey: Survey | None = None) -> str:
        """The id of the live release, empty before the first push. Refuses what this layout did not make."""
        return live_in(survey or self.look())

    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether a release lies where it should. One that does not is told of in ``warnings``."""
        return is_there(release, survey, warnings)

    def history(self, survey: Survey | None = None) -> list[Release]:
        """The good releases that are there, the oldest first."""
        survey = survey or self.look()
        return [ticket.release for ticket in good_in(survey, self.live(survey)).values() if ticket.release]

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live, by the manifest of that."""
        survey = self.look()
        live = self.live(survey)
        warnings: list[str] = []
        before = held(live, survey, warnings)
        for warning in warnings:
            self._run.warn(warning)
        self._shown = {entry.path: f"{RELEASES}/{live}/{entry.path}" for entry in before if entry.kind is Kind.FILE}
        return difference(before, self._shared.linked(snapshot.entries)[0]).steps

    def verify(self) -> Sequence[Finding]:
        """What of the live release is not as it was pushed."""
        survey = self.look()
        live = self.live(survey)
        place = f"{RELEASES}/{live}"
        warnings: list[str] = []
        if not live:
            return [Finding(Severity.OK, self._remote.root, "nothing was pushed to it yet")]
        pushed = held(live, survey, warnings)
        if not pushed:
            return [Finding(Severity.ERROR, place, warning, "send it again: push --repair") for warning in warnings]
        return findings(place, pushed, actual(self._remote, place, pushed), self._remote.capabilities.digests)

    def plan(self, snapshot: Snapshot) -> ReleasesPlan:
        """What it would take to make ``snapshot`` live."""
        self._commands.check(self._remote)
        survey = self.look()
        self._check_root(survey)
        live = self.live(survey)
        stuck = [unfinished(ticket) for ticket in survey.open_tickets if waits(ticket, live)]
        warnings = [f"{each}; if it died, push resume or push rollback" for each in stuck]
        if survey.hold:
            warnings.append(f"pushes are held by {survey.hold.who} since {survey.hold.when}: {survey.hold.why}")
        entries, left_out, written = self._comparison.wanted(snapshot)
        if left_out:
            left = counted(len(left_out), "path")
            warnings.append(f"{left} of the project in the place of what is shared stay here, {left_out[0]!r} first")
        name = self._run.target.name
        same = survey.found.get(STATE.manifest(live))
        there = same and not self._shared.names and live in survey.names(RELEASES)
        if same and there and not self._run.repair and manifest.claims(same.content, snapshot.digest):
            return self._nothing(survey, live, warnings, snapshot.files)
        was = recorded(live, survey, warnings)
        lacking = self._comparison.lacking(live, was, written, entries)
        warnings += lacking.warnings
        if live and was and not lacking.difference.steps:
            return self._nothing(survey, live, warnings, lacking.kept)
        steps = lacking.steps
        if not self._run.prepare:
            more = [*self._commands.steps(BEFORE)]
            more.append(Step(Action.SWITCH, CURRENT, f"from {live}" if live else "first push"))
            more += self._commands.steps(AFTER)
            going = self._pruning(survey, self._describe(survey.last + 1, snapshot, live), live)
            steps = (*steps, *more, *(operation.step for operation in going if operation.step))
        trips = self._round_trips(TRIPS + self._commands.trips)
        making = self._shared.missing(survey, snapshot.entries)
        return ReleasesPlan(
            name,
            steps,
            lacking.kept,
            live,
            tuple(warnings),
            trips,
            survey,
            lacking.difference,
            lacking.steps_of,
            entries,
            written,
            manifest.digest(was) if was else "",
            making,
        )

    def _nothing(self, survey: Survey, live: str, warnings: Sequence[str], kept: int) -> ReleasesPlan:
        """The plan when what is to be live is live. A push that may have died before it was done comes first."""
        stuck = [ticket for ticket in survey.open_tickets if waits(ticket, live)]
        steps = tuple(Step(Action.VERIFY, f"{each.why} {each.number}", f"{AFTER} has not ended") for each in stuck)
        may = not (steps or survey.hold or self._tidied) and live in good_in(survey, live)
        if may and (dead := left(survey, live)):
            steps = (Step(Action.PRUNE, counted(len(dead), "path"), "left by a push that died"),)
        trips = None if steps else self._round_trips(0)
        return ReleasesPlan(self._run.target.name, steps, kept, live, tuple(warnings), trips, survey)

    # Acting.

    def push(self, plan: ReleasesPlan, snapshot: Snapshot) -> Release:
        """Carry out ``plan``. Until its SWITCH step nothing that is live is touched; there is none in ``run.prepare``.

        Raises `Overtaken`, the place in the queue kept, when another push changed what is live meanwhile.
        """
        assert plan.survey
        self._assembly.check_space(plan)
        entrance, survey = self._begin(snapshot, plan.live, plan.survey, ready=bool(plan.entries))
        if self.live(survey) != plan.live:
            raise Overtaken(f"another push made {self.live(survey) or 'nothing'} live on {plan.target} meanwhile")
        if not plan.entries:
            self._tidy(plan, survey)
            raise Overtaken(f"what came first on {plan.target} has ended; this push has to be planned again")
        ticket, self._ticket = entrance.ticket if entrance else self._ticket, None
        assert ticket
        release = ticket.release
        assert release
        with self.queue.alive(ticket):
            try:
                first = entrance.operations if entrance else []
                if ticket.previous != plan.live:
                    # What is live changed while the ticket waited.
                    ticket = replace(ticket, previous=plan.live)
                    first = [Write(f"{STATE.ticket(ticket.number)}/{RECORD}", ticket.record())]
                self._bring(ticket, plan, survey, snapshot, first)
            except BaseException as error:
                self._check_entered(entrance, error)
                again = self.regained(error)
                self._leave(ticket, plan, error)
                if not again:
                    raise
                if self.live() != release.id:
                    raise Overtaken(f"{one_line(error)}; this push has to be planned again") from error
                self._completed(ticket, plan, error)
        self._remember(plan.manifest)
        if self._run.prepare:
            self._followed = survey.followed(replace(ticket, ended=True, outcome=PREPARED), f"{RELEASES}/{release.id}")
        return release

    def _leave(self, ticket: Ticket, plan: ReleasesPlan, error: BaseException) -> None:
        """Give up after ``error``. Who asked to stop is told what is live: their word may have come too late."""
        stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
        switch = next((each for each in plan.steps if each.action is Action.SWITCH), None)
        try:
            live = self._activation.give_up(ticket, error)
        except (TargetError, PushRefused) as second:
            # The connection may be what failed; the next push cleans up then. What the server still did nobody knows.
            if stopped and switch:
                with suppress(TargetError, PushRefused), patient(self._run).step(switch):
                    raise second
            return
        if live and stopped and switch:
            with patient(self._run).step(switch):
                pass

    def _completed(self, ticket: Ticket, plan: ReleasesPlan, error: BaseException) -> None:
        """Report the switch, of which nobody said that it was done. Raises `PushFailed` when more is due."""
        assert ticket.release
        with self._run.step(next(each for each in plan.steps if each.action is Action.SWITCH)):
            pass
        if ticket.after:
            raise PushFailed(
                f"{one_line(error)}; {ticket.release.id} is live, and {AFTER} has not ended", hint="push resume"
            ) from error

    def _tidy(self, plan: ReleasesPlan, survey: Survey) -> None:
        """Remove what dead pushes left, for a push that has nothing else to do and whose turn it is."""
        assert self._ticket
        self._tidied = True
        made = good_in(survey, plan.live).get(plan.live)
        if made is None or not any(step.action is Action.PRUNE for step in plan.steps):
            return
        going = self._pruning(survey, made, plan.live, below=self._ticket.number)
        going.append(RemoveTree(STATE.stage(plan.live)))
        holds = Absent(f"{STATE.ticket(self._ticket.number)}/{END}")
        with self.queue.alive(self._ticket), self._run.step(plan.steps[0]):
            self._perform([holds, *self._activation.vouching(survey), *going], STATE.name, going)

    def rollback(self, wanted: str = "") -> Release:
        """Make ``wanted``, or the release that was live before the live one, live again."""
        return self._turn.back(wanted)

    def switch(self, wanted: str) -> Release:
        """Make ``wanted`` live, which was prepared or live before. Nothing is done when it is."""
        # What was prepared a moment ago is known, and what somebody changed since is found out by the switch itself.
        survey, self._followed = self._followed or self.look(), None
        return self._turn.to(wanted, survey)

    def resume(self, number: int = 0) -> Release:
        """Run `after_switch` again for a push that died before it had ended, and end that push well."""
        return self._turn.resume(number)

    def _pruning(self, survey: Survey, ticket: Ticket, live: str, below: int = 0) -> list[Operation]:
        return pruning(survey, ticket, live, self._keep, below, spares=self._remote.capabilities.spares)

    def _describe(self, number: int, snapshot: Snapshot, live: str) -> Ticket:
        return replace(super()._describe(number, snapshot, live), after=bool(self._commands.after))

    def _bring(
        self, ticket: Ticket, plan: ReleasesPlan, survey: Survey, snapshot: Snapshot, first: Sequence[Operation]
    ) -> None:
        """Send the release of ``ticket``, make it live, end the ticket, and remove what is old; `switch` makes it live
        in ``run.prepare``. ``first`` comes before all that.
        """
        release = ticket.release
        assert release
        stage = STATE.stage(release.id)
        # What it lies in goes last: what is needed on the way lies there as well.
        away = RemoveTree(stage)
        # Complete, it gets its name; then its ticket still has to hold for it to go live.
        naming = Rename(f"{stage}/{TREE}", f"{RELEASES}/{release.id}")
        first = [*first, *self._activation.vouching(survey)]
        spare = self._assembly.spends(plan, survey)
        if spare:
            del survey.found[STATE.spare]
        assemble = partial(self._assembly.assemble, release.id, plan, survey, snapshot, first=first, spare=spare)
        holding = self.queue.holding(ticket)
        if self._run.prepare:
            then = [*holding, naming, *self.queue.ending(ticket, PREPARED), away]
            with self._losing(ticket, first):
                assemble(then=then, optional=[away])
            return
        step = next(each for each in plan.steps if each.action is Action.SWITCH)
        switching = self._activation.switching(ticket, release.id, plan.live, step)
        going = self._pruning(survey, ticket, plan.live)
        # What is old goes while the ticket holds: somebody who waits may want to go back to it.
        ending = [*going, *self.queue.ending(ticket, GOOD), away]
        after = [] if self._commands.after else ending
        optional = [*going, away]
        with self._losing(ticket, first):
            if self._commands.before:
                assemble(then=[*holding, naming])
                self._activation.command(BEFORE, release.id, plan.live)
                self._perform([*switching, *after], STATE.name, optional)
            else:
                switching.insert(-3, naming)
                assemble(then=[*switching, *after], optional=optional)
        if self._commands.after:
            self._activation.after(ticket, plan.live)
            self._activation.conclude(ticket, ending, optional)

    @contextmanager
    def _losing(self, ticket: Ticket, first: Sequence[Operation]) -> Iterator[None]:
        """Say who was faster, when something is in the way of what comes after ``first``."""
        try:
            yield
        except RemoteExists as error:
            if any(error.operation is each for each in first):
                raise
            if isinstance(error.operation, Pointing):
                # One that is taken for dead, of which the server still did what it had been told.
                raise Overtaken(
                    f"another push made {self.live() or 'nothing'} live meanwhile; this one changed nothing",
                    hint="look at it (push status), then push again",
                ) from error
            raise self.queue.lost(ticket, error) from error
