"""The mirror layout: the target directory itself is what is live.

::

    PATH/
      index.html, css/, ...                          what is live, and what was there before
      .htpush/                                       mode 0700, refused to the web
        format, log, hold, fence, pushes/            as in the releases layout
        live                                         the id of the release that is live
        manifests/000042-20261122T193012Z-4f2a91c    every path of it, with its sha256
        incoming/000042-20261122T193012Z-4f2a91c/    an upload under way
        journal                                      there while a push changes what is live

New content is written below ``incoming`` and verified. Then the journal is written: all that is left to do, as data.
Only then files are renamed to their places, and what is no longer in the project is removed. Each file is wholly the
old or wholly the new one at any moment. A push that dies leaves the journal, and the next push finishes it, or undoes
it when its content is damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace

from pushkit import manifest
from pushkit.amount import counted
from pushkit.errors import Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files import journal as journals
from pushkit.files import place
from pushkit.files.actual import findings
from pushkit.files.arrival import Arrivals, arrived
from pushkit.files.diff import Difference, difference
from pushkit.files.errors import RemoteExists
from pushkit.files.ground import Ground, as_unknown, reach, with_ways
from pushkit.files.layout import UNDERWAY, Layout, following
from pushkit.files.merge import remembered
from pushkit.files.operation import (
    Base,
    MakeDirectory,
    Operation,
    Put,
    Remove,
    RemoveTree,
    Still,
    Verify,
    Write,
)
from pushkit.files.queue import FEW, KEPT, STALE, Queue, expired, expiring
from pushkit.files.ranges import LARGE
from pushkit.files.recovery import (
    JOURNAL,
    LIVE,
    STATE,
    TREE,
    Recovery,
    concluding,
    live_in,
    manifests,
    stage_of,
)
from pushkit.files.remote import Remote
from pushkit.files.stat import above
from pushkit.files.survey import FORMAT, Look, Survey
from pushkit.files.ticket import GOOD, RECORD, RELEASE_ID, Ticket, number_of
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Finding, Kind, Plan, Release, Severity, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line

#: What says that releases were pushed here, or trees that are swapped.
OTHERS = {"releases": place.STATE / "format", "swap": place.SWAP / "format"}
LOOK = Look(STATE, trees=(LIVE, JOURNAL, STATE.manifests), looked=(STATE.incoming, STATE.manifests, *OTHERS.values()))


@dataclass(frozen=True)
class MirrorPlan(Plan):
    """A plan that remembers what it found out. One for a journal that is there has nothing but its one step."""

    survey: Survey | None = None
    before: Sequence[Entry] = ()
    ground: Ground | None = None
    difference: Difference = field(default_factory=lambda: Difference((), (), (), ()))


class Mirror(Layout):
    """The live tree of one target on one remote. ``times`` is as in `Releases`."""

    def __init__(
        self, remote: Remote, run: Run, *, stale: float = STALE, times: Callable[[Entry], float] | None = None
    ) -> None:
        super().__init__(remote, run)
        self._times = times
        self._switched = False
        self._tidied = False
        self.queue = Queue(remote, STATE, run, look=self.look, settle=self._settle, stale=stale)
        self._recovery = Recovery(remote, run, self.queue, self._perform)

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = LOOK.at(self._remote, self._known)
        found.check(STATE.incoming, STATE.manifests, STATE.pushes)
        for layout, sign in OTHERS.items():
            if sign in found.found:
                raise PushRefused(
                    f"{self._remote.root} holds {'releases' if layout == 'releases' else 'trees of the layout swap'}; "
                    "nothing was sent",
                    hint=f'set layout = "{layout}", or push to another path',
                )
        return found

    def live(self, survey: Survey | None = None) -> str:
        """The id of the live release, empty before the first push, and where that cannot be told."""
        return live_in(survey or self.look())

    def history(self, survey: Survey | None = None) -> list[Release]:
        """The live release, if there is one: earlier ones are gone."""
        survey = survey or self.look()
        live = self.live(survey)
        return [ticket.release for ticket in survey.tickets if ticket.release and ticket.release.id == live][:1]

    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether it is known what the live release put here."""
        if JOURNAL in survey.found:
            warnings.append("a push changes what is live at this moment, or died while it did")
            return False
        return self._remembered(survey, warnings) is not None

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live, by the manifest of that."""
        warnings: list[str] = []
        before = self._remembered(self.look(), warnings) or []
        for warning in warnings:
            self._run.warn(warning)
        self._shown = {entry.path: entry.path for entry in before if entry.kind is Kind.FILE}
        return difference(before, snapshot.entries).steps

    def verify(self) -> Sequence[Finding]:
        """What of the live release is not as it was pushed. What no push put there is none of it."""
        survey = self.look()
        root = self._remote.root
        warnings: list[str] = []
        pushed = self._remembered(survey, warnings)
        if not pushed:
            return [Finding(Severity.ERROR, root, warning, "push again") for warning in warnings] or [
                Finding(Severity.OK, root, "nothing was pushed to it yet")
            ]
        ground = Ground(self._remote, with_ways(entry.path for entry in pushed))
        lying = ground.compared(pushed, by_size=True)
        return findings(root, pushed, lying, digests=self._remote.capabilities.digests)

    def plan(self, snapshot: Snapshot) -> MirrorPlan:
        """What it would take to make ``snapshot`` live.

        Raises `PushRefused` when it would overwrite what no push put there, unless ``run.adopt``.
        """
        check_names(snapshot.entries)
        if self._run.prepare:
            raise PushRefused(
                "the layout mirror has one directory, in which nothing can be prepared; nothing was sent",
                hint='push without --prepare-only, or set layout = "releases"',
            )
        survey = self.look()
        self._check_root(survey)
        live = self.live(survey)
        name = self._run.target.name
        if JOURNAL in survey.found:
            why = "its push changes what is live, or died while it did: that comes first"
            step = Step(Action.VERIFY, self._journalled(survey) or "journal", why)
            return MirrorPlan(name, (step,), 0, live, (), None, survey)
        same = survey.found.get(STATE.manifest(live))
        if same and not self._run.repair and manifest.claims(same.content, snapshot.digest):
            return MirrorPlan(name, self._leftovers(survey), snapshot.files, live, (), self._round_trips(0), survey)
        warnings: list[str] = []
        before, ground = self._before(survey, snapshot, warnings)
        found = difference(before, snapshot.entries)
        kept = sum(entry.kind is Kind.FILE for entry in found.keep)
        if live and not found.steps and not warnings:  # those tell of records that have to be written anew
            return MirrorPlan(name, self._leftovers(survey), kept, live, (), self._round_trips(0), survey)
        ground.check_emptied(before, snapshot.entries)
        how = "by sha256" if self._remote.capabilities.digests else "by size"
        count = sum(entry.kind is Kind.FILE for entry in found.send)
        steps = (
            *found.steps,
            Step(Action.VERIFY, counted(count, "file"), how),
            Step(Action.SWITCH, "live", f"from {live}" if live else "first push"),
        )
        if survey.hold:
            warnings.append(f"pushes are held by {survey.hold.who} since {survey.hold.when}: {survey.hold.why}")
        trips = self._round_trips()
        return MirrorPlan(name, steps, kept, live, tuple(warnings), trips, survey, before, ground, found)

    def _leftovers(self, survey: Survey) -> tuple[Step, ...]:
        """The step that removes what a push left that made its release live and died before it had cleaned up."""
        live = self.live(survey)
        dead = [*self._clearing(survey, survey.last + 1, live), *expired(survey)]
        if not dead or self._tidied or survey.hold:
            return ()
        return (Step(Action.PRUNE, counted(len(dead), "path"), "left by a push that died"),)

    def _before(self, survey: Survey, snapshot: Snapshot, warnings: list[str]) -> tuple[Sequence[Entry], Ground]:
        """What is live and a push's, and what else lies at the paths that become those of ``snapshot``."""
        after = snapshot.entries
        known = self._remembered(survey, warnings, snapshot)
        if known is None or self._run.repair:
            wanted = with_ways(entry.path for entry in (*(known or ()), *after))
        else:
            wanted = reach(known, after)
        ground = Ground(self._remote, wanted)
        ground.check_ways(known or (), after)
        if known is None:
            before = ground.compared(after)
        elif self._run.repair:
            if not self._remote.capabilities.digests:
                warnings.append("this server cannot compare contents: every file is sent again")
            before = ground.compared(known)
        else:
            before = ground.present(known)
        before = [*before, *ground.directories(before, after)]
        if strange := ground.in_the_way(before, after):
            before += self._adopted(ground, strange, after)
        return before, ground

    def _adopted(self, ground: Ground, strange: Sequence[Entry], after: Sequence[Entry]) -> list[Entry]:
        """``strange`` as they lie there, taken over. Raises `PushRefused` when they may not be."""
        for entry in strange:
            kind = ground.kinds[entry.path]
            if entry.kind is Kind.DIRECTORY:
                ground.refuse(entry.path, kind, after)
            if kind not in {Kind.FILE, Kind.SYMLINK}:
                raise PushRefused(
                    f"{self._remote.root}/{entry.path} is a {kind or 'special file'} on the target, and is to be "
                    f"a {entry.kind}; nothing was changed",
                    hint="no push put it there: move it away",
                )
        if not self._run.adopt:
            raise PushRefused(
                f"{counted(len(strange), 'file')} that no push put on {self._run.target.name} would be overwritten, "
                f"{strange[0].path!r} first; nothing was changed",
                hint="look at them; push --adopt takes them over, those with the project's content as they are",
            )
        alike = [entry for entry in strange if ground.kinds[entry.path] is entry.kind]
        return [*ground.compared(alike), *(as_unknown(e, ground.kinds[e.path]) for e in strange if e not in alike)]

    def _remembered(self, survey: Survey, warnings: list[str], snapshot: Snapshot | None = None) -> list[Entry] | None:
        """The entries of the last push; None when they are lost. With a ``snapshot`` those that it has are its own."""
        live = self.live(survey)
        if not live and not any(ticket.outcome == GOOD for ticket in survey.tickets):
            return []
        try:
            content = survey.found[STATE.manifest(live)].content
            return remembered(content, snapshot.manifest, snapshot.entries) if snapshot else manifest.decode(content)
        except (KeyError, ValueError) as error:
            what = "missing" if isinstance(error, KeyError) else f"damaged ({error})"
            warnings.append(
                f"the manifest of the live release {live or '(its id is lost too)'} is {what}: the project is compared "
                "with what lies on the target; what was removed from the project since then stays there"
            )
        return None

    def _journalled(self, survey: Survey) -> str:
        """The release whose journal is there, empty when it cannot be read."""
        try:
            return journals.decode(survey.found[JOURNAL].content).release
        except (KeyError, ValueError):
            return ""

    # Acting.

    def push(self, plan: MirrorPlan, snapshot: Snapshot) -> Release:
        """Carry out ``plan``. Until its SWITCH step nothing that is live is touched.

        Raises `Overtaken`, the place in the queue kept, when what is live is not what it was for the plan: another push
        changed it, or it had to be finished first.
        """
        assert plan.survey
        self._check_space(plan)
        ready = plan.ground is not None and JOURNAL not in plan.survey.found
        entrance, survey = self._begin(snapshot, plan.live, plan.survey, ready=ready)
        if plan.ground is None:
            assert self._ticket
            with self.queue.alive(self._ticket), self._run.step(plan.steps[0]):
                if JOURNAL in survey.found:
                    self._recovery.recover(self._ticket, survey)
                elif self.live(survey) == plan.live:
                    self._tidied = True
                    going = self._pruning(self._ticket, survey, plan.live)
                    self._perform(going, STATE.name, going)
            raise Overtaken(f"what is live on {plan.target} has been completed; this push has to be planned again")
        if JOURNAL in survey.found or self.live(survey) != plan.live:
            raise Overtaken(f"another push made {self.live(survey) or 'nothing'} live on {plan.target} meanwhile")
        held, self._ticket = entrance.ticket if entrance else self._ticket, None
        assert held
        ticket = replace(held, previous=plan.live)
        release = ticket.release
        assert release
        # What is live may have changed since a ticket was written that had to wait.
        again = Write(f"{STATE.ticket(ticket.number)}/{RECORD}", ticket.record())
        first = entrance.operations if entrance else [again]
        with self.queue.alive(ticket):
            try:
                self._carry_out(ticket, plan, survey, snapshot, first)
            except BaseException as error:
                self._check_entered(entrance, error)
                self._leave(ticket, plan, error)
        self._remember(snapshot.manifest)
        return release

    def _base(self, plan: MirrorPlan, survey: Survey, snapshot: Snapshot) -> Base | None:
        """The manifest of the live release, of which the new one differs in little, unless more is sent than both."""
        there = survey.found.get(STATE.manifest(plan.live))
        if not there or sum(entry.size for entry in plan.difference.send) > len(snapshot.manifest):
            return None
        return Base(STATE.manifest(plan.live), there.content)

    def _leave(self, ticket: Ticket, plan: MirrorPlan, error: BaseException) -> None:
        """Give up after ``error``, and raise what is to be told; nothing when all of it is live after all."""
        assert ticket.release
        release = ticket.release.id
        told = self._lost(ticket, error) if isinstance(error, RemoteExists) else error
        switched, again = self._switched, self.regained(error)
        # Over the new connection the switch is reported anew.
        self._switched = switched and not again
        try:
            left = self._give_up(ticket, plan, told)
            if left is None and again:
                return
            told = left or self._late(release, told)
        except (TargetError, PushRefused):
            # The connection may be what failed; the next push finishes or cleans up then.
            if switched and isinstance(error, TargetError):
                told = PushFailed(
                    f"{one_line(error)}; {release} may be live in part",
                    hint="push again: the next push finishes it first",
                )
        if told is not error:
            raise told from error
        if again:
            raise Overtaken(f"{one_line(error)}; this push has to be planned again") from error
        raise error

    def rollback(self, wanted: str = "") -> Release:
        """Refuse: earlier releases are not kept."""
        raise PushRefused(
            f"{self._remote.root} holds no release before the one that is live: the layout mirror keeps none",
            hint='push the earlier revision again: source = "git:REVISION" in the Pushfile, or git checkout REVISION',
        )

    def switch(self, wanted: str) -> Release:
        """Refuse, as `rollback` does."""
        return self.rollback(wanted)

    def resume(self, number: int = 0) -> Release:
        """Refuse: a push finishes by itself what another has begun."""
        raise PushRefused(
            f"no push to {self._run.target.name} waits to be resumed",
            hint="push: what a push that died had begun is finished first",
        )

    def _carry_out(
        self, ticket: Ticket, plan: MirrorPlan, survey: Survey, snapshot: Snapshot, first: Sequence[Operation]
    ) -> None:
        """Send, verify, and make it live; ``first`` comes before that."""
        assert ticket.release
        assert plan.ground
        release = ticket.release.id
        self._switched = False
        stage = stage_of(release)
        tree = f"{stage}/{TREE}"
        found = plan.difference
        steps = {step.subject.rstrip("/"): step for step in found.steps if step.action is not Action.REMOVE}
        verify, switch = plan.steps[-2:]
        after = snapshot.entries
        arrivals = arrived(self._remote, survey, TREE, found.send)
        arrivals.tell(self._run, steps)
        written = journals.journal((release, plan.live), plan.before, after, found, plan.ground.kinds)
        transfer = self._transfer(found, steps, snapshot, arrivals)
        verifying = Verify(tree, found.send, step=verify)
        operations: list[Operation] = [
            *first,
            *self._preparing(survey, stage, tree),
            Write(STATE.manifest(release), snapshot.manifest, base=self._base(plan, survey, snapshot)),
            Put(tree, transfer),
            *arrivals.moving(tree),
            verifying,
            *self.queue.holding(ticket),
            Still(plan.ground.guarded, plan.ground.kinds),
            self.queue.switching(ticket),
            Write(JOURNAL, written.encode(), step=switch),
            *written.operations(tree, self._late_steps(plan)),
            *concluding(release),
            *self.queue.ending(ticket, GOOD),
        ]
        then = [RemoveTree(stage), *self._pruning(ticket, survey, release)]
        operations += then
        wrong = self._perform(operations, stage, then)
        if wrong and transfer.patched.issuperset(entry.path for entry in wrong):
            # What they were made from had been altered on the target: they are sent whole.
            again = Transfer(snapshot, wrong, {}, self._run, self._times)
            gone = [Remove(f"{tree}/{entry.path}") for entry in wrong]
            rest = [*gone, Put(tree, again), Verify(tree, wrong), *following(operations, verifying)]
            wrong = self._perform(rest, stage, then)
        if wrong:
            raise PushFailed(
                f"{counted(len(wrong), 'file')} did not arrive whole, {wrong[0].path!r} first; what was live stays",
                hint="push again; if it happens again, look at the target's disk",
            )

    def _reported(self, step: Step) -> AbstractContextManager[None]:
        """Report a step. From the SWITCH step on, who asks to stop is heard when it is over."""
        self._switched = self._switched or step.action is Action.SWITCH
        return (self._patient() if self._switched else self._run).step(step)

    def _late_steps(self, plan: MirrorPlan) -> dict[str, Step]:
        """The steps that are taken in the live tree, by path."""
        modes = {entry.path for entry in plan.difference.modes}
        return {
            path: step
            for step in plan.difference.steps
            for path in [step.subject.rstrip("/")]
            if step.action is Action.REMOVE or path in modes
        }

    def _transfer(self, found: Difference, steps: dict[str, Step], snapshot: Snapshot, arrivals: Arrivals) -> Transfer:
        there = arrivals.paths
        sent = {entry.path for entry in found.send}
        ways = {way for path in sent for way in above(path)}
        # Directories are made writable first, so that read-only ones can be filled.
        entries = [
            entry._replace(mode=entry.mode | journals.OPEN) if entry.kind is Kind.DIRECTORY else entry
            for entry in snapshot.entries
            if entry.path in ways or (entry.path in sent and entry.path not in there)
        ]
        modes = {entry.path for entry in found.modes}
        told = {path: step for path, step in steps.items() if path not in modes and path not in there}
        bases = {old.path: old.path for old in found.replaced if old.size >= LARGE}
        return Transfer(snapshot, entries, told, self._run, self._times, bases=bases, begun=arrivals.begun)

    def _preparing(self, survey: Survey, *stage: str) -> list[Operation]:
        """Make what the layout needs where it is missing, and the directories of this push."""
        operations: list[Operation] = [
            MakeDirectory(path, 0o700, may_exist=True)
            for path in (STATE.manifests, STATE.incoming)
            if path not in survey.found
        ]
        operations += [MakeDirectory(path, 0o700) for path in stage]
        if STATE / "format" not in survey.found:
            operations.append(Write(STATE / ".htaccess", place.GUARD, 0o644))
            operations.append(Write(STATE / "format", f"{FORMAT}\n".encode()))
        return operations

    def _pruning(self, ticket: Ticket, survey: Survey, live: str) -> list[Operation]:
        """Remove what dead pushes left, manifests that are not ``live``'s, and old tickets."""
        kept = KEPT if self._remote.capabilities.scripts else FEW
        return [*self._clearing(survey, ticket.number, live), *expiring(survey, [number_of(live)], kept)]

    def _clearing(self, survey: Survey, number: int, live: str) -> list[Operation]:
        """Remove the stages of pushes before ``number`` that have ended, and their manifests but that of ``live``."""
        queued = {each.release.id for each in survey.open_tickets if each.release and each.release.id != live}

        def old(name: str) -> bool:
            return bool(RELEASE_ID.fullmatch(name)) and name not in queued and number_of(name) < number

        return [
            *(RemoveTree(stage_of(name)) for name in survey.names(STATE.incoming) if old(name)),
            *(
                Remove(STATE.manifest(name))
                for name in manifests(survey)
                # What follows a point was left by a push that died while it wrote.
                if old(name.partition(".")[0]) and name != live
            ),
        ]

    def _lost(self, ticket: Ticket, error: RemoteExists) -> BaseException:
        """The error that says what was in the way."""
        if isinstance(error.operation, Still):
            return PushRefused(
                "somebody changed what is live while the push was under way; the push changed nothing of it",
                hint="push again",
            )
        with suppress(TargetError, PushRefused):
            return self.queue.lost(ticket, error)
        return error

    # After a death, or a failure.

    def _give_up(self, ticket: Ticket, plan: MirrorPlan, error: BaseException) -> BaseException | None:
        """Leave nothing half done, where that can be: the error that says how it ended, None when all of it is live."""
        assert ticket.release
        release = ticket.release.id
        survey = self.look()
        if not self.queue.owns(ticket, survey):
            return error
        if self._journalled(survey) == release:
            try:
                with self._reported(plan.steps[-1]) if not self._switched else nullcontext():
                    self._recovery.finish(ticket, journals.decode(survey.found[JOURNAL].content), survey, GOOD)
            except (TargetError, PushRefused) as second:
                with suppress(TargetError):
                    self.queue.end(ticket, "failed while it switched")
                return PushFailed(
                    f"{one_line(error)}; {release} is live in part ({one_line(second)})",
                    hint="push again: the next push finishes it first",
                )
            return None
        if self.live(survey) == release:
            with self._reported(plan.steps[-1]) if not self._switched else nullcontext():
                self.queue.end(ticket, GOOD)
            return None
        # What has arrived whole is taken up by the next push, unless something was wrong with it.
        if not isinstance(error, UNDERWAY):
            self._perform([RemoveTree(stage_of(release)), Remove(STATE.manifest(release))], STATE.name)
        self.queue.end(ticket, self._failed(error))
        return error

    def _late(self, release: str, error: BaseException) -> BaseException:
        """The error of a push that failed when its release was live, or that was completed after a failure."""
        if isinstance(error, (Interrupted, KeyboardInterrupt)):
            return error
        return PushFailed(f"{one_line(error)}; {release} is live", hint=getattr(error, "hint", ""))

    def _settle(self, ticket: Ticket, survey: Survey) -> str:
        """How a push ended that died when it had begun to switch. Who holds the target next finishes it."""
        live = ticket.release is not None and self.live(survey) == ticket.release.id
        return GOOD if live and JOURNAL not in survey.found else "died while it switched"

    def _check_space(self, plan: MirrorPlan) -> None:
        """Refuse what will not fit: the bytes of all files that are sent. The old ones stay until the switch."""
        assert plan.survey
        sent = sum(entry.size for entry in plan.difference.send)
        free = self._remote.free_space() if sent and plan.survey.exists else None
        if free is not None and sent > free:
            raise TargetError(
                f"{self._remote.root} has no space for {sent:,} bytes, only for {free:,}; nothing was changed",
                hint="make room on the target",
            )


def check_names(entries: Sequence[Entry]) -> None:
    """Refuse a project that holds what this layout keeps on a target."""
    if any(entry.path == STATE.name for entry in entries):
        raise PushRefused(
            f"the project holds {STATE.name}, which is where push keeps its records on a target; nothing was sent",
            hint=f"add /{STATE.name}/ to .pushignore",
        )
