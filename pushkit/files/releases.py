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

A push is written under ``incoming``, verified, renamed to ``releases``, and becomes live by the rename of a symlink.
Whatever instant it dies, ``current`` is wholly the old or wholly the new release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from pushkit import manifest
from pushkit.amount import counted
from pushkit.errors import Busy, Interrupted, Overtaken, PushFailed, PushkitError, PushRefused, TargetError
from pushkit.files.actual import actual, findings
from pushkit.files.assembly import Assembly, ReleasesPlan, in_order
from pushkit.files.commands import AFTER, BEFORE, Commands, When
from pushkit.files.diff import Difference, difference
from pushkit.files.errors import RemoteExists
from pushkit.files.history import before, forgetting, good_in, left, meant, pruning
from pushkit.files.layout import TRIPS, UNDERWAY, Layout
from pushkit.files.merge import merge
from pushkit.files.operation import (
    Absent,
    Operation,
    Point,
    Pointing,
    Present,
    Remove,
    RemoveTree,
    Rename,
    Write,
)
from pushkit.files.place import CURRENT, RELEASES, STATE, TREE, check_own, look_for
from pushkit.files.queue import STALE, Entrance, Queue, now
from pushkit.files.remote import Remote
from pushkit.files.shared import Shared
from pushkit.files.status import prepared
from pushkit.files.supply import Same, Supply
from pushkit.files.survey import Survey
from pushkit.files.ticket import (
    END,
    GOOD,
    OUTCOME,
    PREPARED,
    RECORD,
    RELEASE_ID,
    UNLOCKED,
    Ticket,
    encoded,
    number_of,
)
from pushkit.model import Action, Entry, Finding, Kind, Release, Severity, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line

NOTHING_SHARED, NO_COMMANDS = Shared(), Commands()


class Lacking(NamedTuple):
    """What a target lacks: the steps that bring it there, those of its paths by path, and how many files it has."""

    difference: Difference
    steps: tuple[Step, ...]
    steps_of: dict[str, Step]
    kept: int
    warnings: tuple[str, ...]


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
        self._hard_links = hard_links
        self._assembly = Assembly(
            remote, run, self._perform, self._known, hard_links=hard_links, times=times, supply=supply
        )
        self._supply = supply
        self._shared = shared
        self._commands = commands
        self._tidied = False
        #: What is there once a release was prepared, until it is used.
        self._followed: Survey | None = None
        self.queue = Queue(remote, STATE, run, look=self.look, settle=self._settle, stale=stale)

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = look_for(self._shared).at(self._remote, self._known)
        found.check(RELEASES, STATE.incoming, STATE.manifests, STATE.pushes, *self._shared.directories)
        check_own(found)
        return found

    def live(self, survey: Survey | None = None) -> str:
        """The id of the live release, empty before the first push. Refuses what this layout did not make."""
        survey = survey or self.look()
        found = survey.found.get(CURRENT)
        if found is None:
            return ""
        where = f"{self._remote.root}/{CURRENT}"
        if found.stat.kind is not Kind.SYMLINK:
            raise PushRefused(
                f"{where} is a {found.stat.kind or 'special file'}, not a symlink to a release; nothing was sent",
                hint=f"move it away (mv {where} {where}.before), or push to another path",
            )
        release = found.link.removeprefix(f"{RELEASES}/")
        if release == found.link or not RELEASE_ID.fullmatch(release):
            raise PushRefused(
                f"{where} points to {found.link!r}, which is not a release of push; nothing was sent",
                hint=f"move it away (mv {where} {where}.before), or push to another path",
            )
        return release

    def history(self, survey: Survey | None = None) -> list[Release]:
        """The good releases that are there, the oldest first."""
        survey = survey or self.look()
        return [ticket.release for ticket in good_in(survey, self.live(survey)).values() if ticket.release]

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live, by the manifest of that."""
        survey = self.look()
        live = self.live(survey)
        warnings: list[str] = []
        before = self._manifest(live, survey, warnings) if self.is_there(live, survey, warnings) else []
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
        pushed = self._manifest(live, survey, warnings) if self.is_there(live, survey, warnings) else []
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
        entries, left_out, written = self._wanted(snapshot)
        if left_out:
            left = counted(len(left_out), "path")
            warnings.append(f"{left} of the project in the place of what is shared stay here, {left_out[0]!r} first")
        name = self._run.target.name
        same = survey.found.get(STATE.manifest(live))
        there = same and not self._shared.names and live in survey.names(RELEASES)
        if same and there and not self._run.repair and manifest.claims(same.content, snapshot.digest):
            return self._nothing(survey, live, warnings, snapshot.files)
        was = self._recorded(live, survey, warnings) if self.is_there(live, survey, warnings) else None
        lacking = self._lacking(live, was, written, entries)
        warnings += lacking.warnings
        if live and was and not lacking.difference.steps:
            return self._nothing(survey, live, warnings, lacking.kept)
        steps = lacking.steps
        if not self._run.prepare:
            more = [*self._commands.steps(BEFORE)]
            more.append(Step(Action.SWITCH, CURRENT, f"from {live}" if live else "first push"))
            more += self._commands.steps(AFTER)
            going = pruning(survey, self._describe(survey.last + 1, snapshot, live), live, self._keep)
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

    def _wanted(self, snapshot: Snapshot) -> tuple[Sequence[Entry], Sequence[str], bytes]:
        """What a release of ``snapshot`` holds, the paths that stay here, and the manifest of what it holds."""

        def make() -> tuple[Sequence[Entry], Sequence[str], bytes]:
            entries, left_out = self._shared.linked(snapshot.entries)
            return entries, left_out, snapshot.manifest if entries is snapshot.entries else manifest.encode(entries)

        return self._supply.once(("wanted", Same(snapshot)), make) if self._supply else make()

    def _lacking(self, live: str, was: bytes | None, after: bytes, entries: Sequence[Entry]) -> Lacking:
        """What the target lacks of ``entries``, whose manifest is ``after``; ``was`` is that of the live release."""
        if self._supply is None or self._run.repair:
            return self._compared(live, was, after, entries)
        # Hosts are mostly alike: what one of them lacks is computed once, and kept once.
        key = ("lacking", live, was, self._remote.capabilities, Same(after))
        return self._supply.once(key, lambda: self._compared(live, was, after, entries))

    def _compared(self, live: str, was: bytes | None, after: bytes, entries: Sequence[Entry]) -> Lacking:
        warnings: list[str] = []
        found = self._difference(live, was, after, entries, warnings)
        kept = sum(entry.kind is Kind.FILE for entry in found.keep)
        steps = list(found.steps)
        linked, copied = self._assembly.taken(found)
        if taken := (*linked, *copied):
            how = "linked" if linked else "copied"
            steps.append(Step(Action.KEEP, counted(len(taken), "file"), f"unchanged since {live}: {how} there"))
        if again := set(found.keep).difference(taken):
            known = {entry.path for entry in found.modes}
            why = "unchanged, but this server cannot copy: sent again"
            steps += [Step(Action.ADD, e.path, why, e.size) for e in found.keep if e in again and e.path not in known]
            modes = tuple(entry for entry in found.modes if entry not in again)
            found = Difference(found.steps, in_order(entries, found.send, again), taken, modes, found.replaced)
        by_path = {step.subject.rstrip("/"): step for step in steps if step.action in {Action.ADD, Action.REPLACE}}
        how = "by sha256" if self._remote.capabilities.digests else "by size"
        count = sum(entry.kind is Kind.FILE for entry in (*found.send, *found.keep))
        steps.append(Step(Action.VERIFY, counted(count, "file"), how))
        return Lacking(found, tuple(steps), by_path, kept, tuple(warnings))

    def _difference(
        self, live: str, was: bytes | None, after: bytes, entries: Sequence[Entry], warnings: list[str]
    ) -> Difference:
        """What makes ``entries`` of the live release, whose manifest is ``was``; ``after`` is theirs."""
        try:
            if was is None:
                return difference((), entries)
            if self._run.repair and not self._remote.capabilities.digests:
                warnings.append("this server cannot compare contents: every file is sent again")
                return difference((), entries)
            if self._run.repair:
                return difference(actual(self._remote, f"{RELEASES}/{live}", manifest.decode(was)), entries)
            merged = merge(was, after, entries)
        except ValueError as error:
            warnings.append(damaged(live, error))
            return difference((), entries)
        return difference(merged.gone, merged.new, merged.same)

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
            live = self._give_up(ticket, error)
        except (TargetError, PushRefused) as second:
            # The connection may be what failed; the next push cleans up then. What the server still did nobody knows.
            if stopped and switch:
                with suppress(TargetError, PushRefused), self._patient().step(switch):
                    raise second
            return
        if live and stopped and switch:
            with self._patient().step(switch):
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
        going = pruning(survey, made, plan.live, self._keep, below=self._ticket.number)
        going.append(RemoveTree(f"{STATE.incoming}/{plan.live}"))
        holds = Absent(f"{STATE.ticket(self._ticket.number)}/{END}")
        with self.queue.alive(self._ticket), self._run.step(plan.steps[0]):
            self._perform([holds, *self._vouching(survey), *going], STATE.name, going)

    def rollback(self, wanted: str = "") -> Release:
        """Make ``wanted``, or the release that was live before the live one, live again."""
        survey = self.look()
        return self._turn(survey, self._target_of_rollback(survey, wanted), "rollback", named=bool(wanted))

    def switch(self, wanted: str) -> Release:
        """Make ``wanted`` live, which was prepared or live before. Nothing is done when it is."""
        # What was prepared a moment ago is known, and what somebody changed since is found out by the switch itself.
        survey, self._followed = self._followed or self.look(), None
        live = self.live(survey)
        there = prepared(survey) | good_in(survey, live)
        wanted = meant(wanted, there)
        ticket = there.get(wanted)
        if ticket is None or ticket.release is None:
            raise PushRefused(
                f"there is no release {wanted!r} to switch to",
                hint=f"releases to choose from: {', '.join(sorted(there)) or 'none'}",
            )
        return ticket.release if wanted == live else self._turn(survey, ticket.release, "switch", named=True)

    def _turn(self, survey: Survey, release: Release, why: str, *, named: bool) -> Release:
        """Make ``release``, which is there, live. Unless it was ``named``, what is live must not change meanwhile."""
        live = self.live(survey)
        forward = why == "switch"

        def describe(number: int) -> Ticket:
            return Ticket(number, release, live, why, after=bool(self._commands.after))

        # Where nobody else is and no command runs, it is all done in one go.
        commands = self._commands.after or (forward and self._commands.before)
        if not commands and (entrance := self.queue.entrance(survey, describe)):
            try:
                self._turn_at_once(entrance, survey, release, live, forward=forward)
            except RemoteExists as error:
                if error.operation is not entrance.taking:
                    raise
                # Somebody was faster.
                survey = self.look()
            else:
                return release
        # A push that died before `after_switch` had ended is what one may want to leave.
        ticket, survey = self.queue.enter(survey, describe, None if forward else self._decided("left by a rollback"))
        with self.queue.alive(ticket):
            if self.live(survey) != live:
                live = self.live(survey)
                if not named or live == release.id or release.id not in survey.names(RELEASES):
                    self.queue.end(ticket, "overtaken")
                    raise Busy(
                        f"another push made {live or 'nothing'} live meanwhile; this {why} changed nothing",
                        hint=f"look at it (push status), then {why} again",
                    )
            with self._ended_by_failure(ticket):
                if ticket.previous != live:
                    ticket = replace(ticket, previous=live)
                    self._perform([Write(f"{STATE.ticket(ticket.number)}/{RECORD}", ticket.record())], STATE.name)
                if forward and self._commands.before:
                    self._perform(self.queue.holding(ticket), STATE.name)
                    self._command(BEFORE, release.id, live)
                switching, then, ending = self._turning(ticket, survey, live, forward=forward)
                if ticket.after:
                    self._perform(switching, STATE.name)
                    # What a person leaves is not what to go back to.
                    self._after(ticket, live, back=forward)
                    self._conclude(ticket, ending, then)
                else:
                    self._perform([*switching, *ending], STATE.name, then)
        return release

    def _turn_at_once(self, entrance: Entrance, survey: Survey, release: Release, live: str, *, forward: bool) -> None:
        """Enter the queue, make ``release`` live in place of ``live``, and end: one script, where there are any."""
        ticket = entrance.ticket
        switching, then, ending = self._turning(ticket, survey, live, forward=forward)
        with self.queue.alive(ticket), self._ended_by_failure(ticket, entrance):
            self._perform([*entrance.operations, *switching, *ending], STATE.name, then)

    def _turning(
        self, ticket: Ticket, survey: Survey, live: str, *, forward: bool
    ) -> tuple[Sequence[Operation], Sequence[Operation], Sequence[Operation]]:
        """What makes the release of ``ticket`` live; what removes what is old; and that with what ends the ticket."""
        assert ticket.release
        release = ticket.release.id
        way = "to" if forward else "back to"
        step = Step(Action.SWITCH, CURRENT, f"from {live or 'nothing'} {way} {release}")
        switching = [*self._vouching(survey), *self._switching(ticket, release, live, step)]
        then = pruning(survey, ticket, self.live(survey), self._keep) if forward else []
        return switching, then, [*then, *self.queue.ending(ticket, ticket.success)]

    @contextmanager
    def _ended_by_failure(self, ticket: Ticket, entrance: Entrance | None = None) -> Iterator[None]:
        """End a ticket that was to make a release live, when that fails; unless it is live after all."""
        assert ticket.release
        try:
            yield
        except BaseException as error:
            taken = entrance and isinstance(error, RemoteExists) and error.operation is entrance.taking
            with suppress(TargetError, PushRefused):
                if not taken and self.live() != ticket.release.id:
                    self.queue.end(ticket, self._failed(error))
                elif not taken and not ticket.after:
                    # The answer to the switch may be lost.
                    self.queue.end(ticket, ticket.success)
            if isinstance(error, RemoteExists) and not taken:
                raise self.queue.lost(ticket, error) from error
            raise

    def resume(self, number: int = 0) -> Release:
        """Run `after_switch` again for a push that died before it had ended, and end that push well.

        ``number`` is the push's, 0 when there is only one. As in a push, what was live before is live again when it
        fails. Raises `PushRefused` when there is none, `Busy` while it is alive.
        """
        survey = self.look()
        live = self.live(survey)
        found = next((each for each in survey.open_tickets if waits(each, live) and number in {0, each.number}), None)
        if found is None or found.release is None:
            push = f"push {number} does not wait" if number else "no push waits"
            raise PushRefused(
                f"{push} to be resumed on {self._run.target.name}; nothing was changed",
                hint="see what there is: push status",
            )
        release, previous = found.release, found.previous

        def describe(number: int) -> Ticket:
            return Ticket(number, release, previous, "resume", after=True)

        ticket, survey = self.queue.enter(survey, describe, self._decided("left to push resume"))
        with self.queue.alive(ticket):
            if self.live(survey) != live:
                self.queue.end(ticket, "overtaken")
                raise Busy(f"{self.live(survey) or 'nothing'} was made live meanwhile; nothing was resumed")
            try:
                self._perform([*self.queue.holding(ticket), self.queue.switching(ticket)], STATE.name)
                good = any(each.number == number_of(live) and each.outcome == GOOD for each in survey.tickets)
                self._after(ticket, previous, back=not good)
                # The push that made it is good after all.
                outcome = f"{STATE.ticket(number_of(live))}/{OUTCOME}"
                vouching = Write(outcome, encoded({"outcome": GOOD, "ended": now()}))
                self._conclude(ticket, [vouching, *self.queue.ending(ticket, ticket.success)])
            except BaseException as error:
                with suppress(TargetError, PushRefused):
                    self._give_up(ticket, error)
                raise
        return release

    def _target_of_rollback(self, survey: Survey, wanted: str) -> Release:
        live = self.live(survey)
        good = good_in(survey, live)
        if not live:
            raise PushRefused(f"nothing was ever pushed to {self._remote.root}: there is nothing to roll back")
        wanted = meant(wanted, good) or before(live, good)
        if not wanted:
            raise PushRefused(f"there is no release before {live} on the target: nothing to roll back to")
        if wanted == live:
            raise PushRefused(f"{wanted} is live already")
        ticket = good.get(wanted)
        if ticket is None or ticket.release is None:
            there = ", ".join(each for each in good if each != live) or "none"
            raise PushRefused(
                f"there is no good release {wanted!r} to roll back to",
                hint=f"releases to choose from: {there}",
            )
        return ticket.release

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
        stage = f"{STATE.incoming}/{release.id}"
        # What it lies in goes last: what is needed on the way lies there as well.
        away = RemoveTree(stage)
        # Complete, it gets its name; then its ticket still has to hold for it to go live.
        naming = Rename(f"{stage}/{TREE}", f"{RELEASES}/{release.id}")
        first = [*first, *self._vouching(survey)]
        assemble = partial(self._assembly.assemble, release.id, plan, survey, snapshot, first=first)
        holding = self.queue.holding(ticket)
        if self._run.prepare:
            then = [*holding, naming, *self.queue.ending(ticket, PREPARED), away]
            with self._losing(ticket, first):
                assemble(then=then, optional=[away])
            return
        step = next(each for each in plan.steps if each.action is Action.SWITCH)
        switching = self._switching(ticket, release.id, plan.live, step)
        going = pruning(survey, ticket, plan.live, self._keep)
        # What is old goes while the ticket holds: somebody who waits may want to go back to it.
        ending = [*going, *self.queue.ending(ticket, GOOD), away]
        after = [] if self._commands.after else ending
        optional = [*going, away]
        with self._losing(ticket, first):
            if self._commands.before:
                assemble(then=[*holding, naming])
                self._command(BEFORE, release.id, plan.live)
                self._perform([*switching, *after], STATE.name, optional)
            else:
                switching.insert(-3, naming)
                assemble(then=[*switching, *after], optional=optional)
        if self._commands.after:
            self._after(ticket, plan.live)
            self._conclude(ticket, ending, optional)

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

    def _command(self, when: When, release: str, previous: str, run: Run | None = None) -> None:
        """Run the commands of a moment in ``release``."""
        try:
            self._commands.run(when, self._remote, run or self._run, f"{RELEASES}/{release}", previous)
        except PushFailed as error:
            if when == AFTER:
                raise
            live = f"{previous} is live as before" if previous else "nothing is live, as before"
            raise PushFailed(f"{error.message}; {live}", hint=error.hint) from error

    def _after(self, ticket: Ticket, previous: str, *, back: bool = True) -> None:
        """Run `after_switch` for what ``ticket`` made live. When it fails, go ``back`` to what was live before.

        Raises `PushFailed`, which says what is live, or `Interrupted`.
        """
        assert ticket.release
        release = ticket.release.id
        try:
            self._command(AFTER, release, previous)
        except BaseException as error:
            stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
            try:
                if back:
                    self._go_back(ticket, release, previous, again=not stopped)
            except (TargetError, PushRefused) as second:
                raise PushFailed(
                    f"{one_line(error)}; then {one_line(second)}; when last seen {release} was live",
                    hint=f"look at it (push status), then push resume, push rollback, or push unlock {ticket.number}",
                ) from error
            if stopped:
                raise
            live = f"{release} is live"
            if back:
                live = f"{previous} is live again" if previous else "nothing is live, as before"
            raise PushFailed(f"{one_line(error)}; {live}", hint=getattr(error, "hint", "")) from error

    def _go_back(self, ticket: Ticket, release: str, previous: str, *, again: bool) -> None:
        """Make ``previous`` live again, and run `after_switch` in it ``again``, so that it is what runs."""
        # Whoever asks to stop wants this to be done.
        patient = self._patient()
        step = Step(Action.REVERT, CURRENT, f"from {release} back to {previous or 'nothing'}")
        pointing = Point(CURRENT, f"{RELEASES}/{previous}", step=step) if previous else Remove(CURRENT, step=step)
        ended = f"{STATE.ticket(ticket.number)}/{END}"
        operations = [Absent(ended), Pointing(CURRENT, f"{RELEASES}/{release}"), pointing]
        self._remote.perform(operations, patient.step, STATE.name)
        if not previous:
            return
        if not again:
            self._run.warn(f"{AFTER} was stopped, and is not run for {previous}")
            return
        try:
            self._command(AFTER, previous, release, patient)
        except PushkitError as error:
            self._run.warn(f"{previous} is live again, but: {error.message}")

    def _conclude(self, ticket: Ticket, ending: Sequence[Operation], optional: Sequence[Operation] = ()) -> None:
        """End a ticket whose `after_switch` went well. What of ``ending`` is ``optional`` may fail."""
        assert ticket.release
        try:
            self._perform(ending, STATE.name, optional)
        except RemoteExists as error:
            raise PushFailed(
                f"{ticket.release.id} is live, but somebody ended {ticket.why} {ticket.number} while {AFTER} ran",
                hint="look at it: push status",
            ) from error

    def _switching(self, ticket: Ticket, release: str, live: str, step: Step) -> list[Operation]:
        """The operations that make ``release`` live, if ``ticket`` holds and ``live`` is still what is live."""
        return [
            *self.queue.holding(ticket),
            self.queue.switching(ticket),
            Present(f"{RELEASES}/{release}"),
            Pointing(CURRENT, f"{RELEASES}/{live}" if live else ""),
            # The text is relative to where the link will be, so that the tree can be moved as a whole.
            Point(CURRENT, f"{RELEASES}/{release}", step=step),
        ]

    def _give_up(self, ticket: Ticket, error: BaseException) -> bool:
        """Remove what a failed push made, unless it is live after all: the answer to a rename may be lost.

        Whether it is.
        """
        assert ticket.release
        release = ticket.release.id
        survey = self.look()
        if not self.queue.owns(ticket, survey):
            return False
        if self.live(survey) == release:
            # What has to run after the switch did not: a person decides, see `_settle`.
            if not ticket.after:
                self.queue.end(ticket, GOOD)
            return True
        if number_of(release) != ticket.number:
            # Another push made it, and it is as good as it was.
            pass
        elif isinstance(error, UNDERWAY):
            # What has arrived whole is taken up by the next push.
            self._perform([RemoveTree(f"{RELEASES}/{release}")], STATE.name)
        else:
            self._perform(forgetting(release), STATE.name)
        self.queue.end(ticket, self._failed(error))
        return False

    def _settle(self, ticket: Ticket, survey: Survey) -> str:
        """How a push ended that died when it had begun to switch."""
        live = self.live(survey)
        if waits(ticket, live):
            raise PushRefused(
                f"{unfinished(ticket)}; nothing was changed",
                hint="run it again: push resume; or go back: push rollback; "
                f"or take it as it is: push unlock {ticket.number} --why TEXT",
            )
        return ticket.success if ticket.release and live == ticket.release.id else "died"

    def _decided(self, outcome: str) -> Callable[[Ticket, Survey], str]:
        """As `_settle`, for a person who knows what to do about a push that `waits`: it ends with ``outcome``."""

        def settle(ticket: Ticket, survey: Survey) -> str:
            return outcome if waits(ticket, self.live(survey)) else self._settle(ticket, survey)

        return settle

    # What is there.

    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether a release lies where it should. One that does not is told of in ``warnings``."""
        if release and release not in survey.names(RELEASES):
            warnings.append(f"the live release {release} is gone from the target: every file is sent")
            return False
        return bool(release)

    def _recorded(self, release: str, survey: Survey, warnings: list[str]) -> bytes | None:
        """The manifest of a release, None when it is missing."""
        if STATE.manifest(release) in survey.found:
            return survey.take(STATE.manifest(release))
        warnings.append(f"the manifest of the live release {release} is missing: every file is sent")
        return None

    def _manifest(self, release: str, survey: Survey, warnings: list[str]) -> list[Entry]:
        """The entries of a release, none when its manifest is missing or damaged."""
        try:
            was = self._recorded(release, survey, warnings)
            return [] if was is None else manifest.decode(was)
        except ValueError as error:
            warnings.append(damaged(release, error))
        return []

    def _vouching(self, survey: Survey) -> list[Operation]:
        """Say that what made the live release live went well, where it died right before it said so itself.

        Somebody may have ended its ticket meanwhile, and taken what is live as it is.
        """
        live = self.live(survey)
        mute = [
            each
            for each in survey.tickets
            if each.ended and each.switching and (not each.outcome or each.outcome.startswith(UNLOCKED))
        ]
        return [
            operation
            for ticket in mute
            if ticket.release and ticket.release.id == live
            for operation in self.queue.ending(ticket, ticket.success)[1:]
        ]


def damaged(release: str, error: ValueError) -> str:
    """What is to be said of a manifest that cannot be read."""
    return f"the manifest of the live release {release} is damaged ({error}): every file is sent"


def waits(ticket: Ticket, live: str) -> bool:
    """Whether ``ticket`` made ``live`` what it is, and has commands to run after that."""
    begun = ticket.switching or ticket.why == "resume"
    return ticket.after and begun and ticket.release is not None and ticket.release.id == live


def unfinished(ticket: Ticket) -> str:
    """What is to be said of a ticket that `waits`."""
    assert ticket.release
    return f"{ticket.why} {ticket.number} by {ticket.holder} made {ticket.release.id} live, and {AFTER} has not ended"
