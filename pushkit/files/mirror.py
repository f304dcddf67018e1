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

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from copy import copy
from dataclasses import dataclass, field

from pushkit import manifest
from pushkit.errors import Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files import journal as journals
from pushkit.files.arrival import Arrival, arrived
from pushkit.files.diff import Difference, difference
from pushkit.files.errors import RemoteExists
from pushkit.files.ground import UNKNOWN, Ground, above, reach, with_ways
from pushkit.files.journal import Journal, Renaming
from pushkit.files.layout import Layout, plural
from pushkit.files.operation import (
    MakeDirectory,
    Operation,
    Put,
    Remove,
    RemoveTree,
    Rename,
    Still,
    Verify,
    Write,
)
from pushkit.files.queue import STALE, Queue, forgotten
from pushkit.files.remote import Remote
from pushkit.files.survey import FORMAT, Look, State, Survey
from pushkit.files.ticket import GOOD, RELEASE_ID, Ticket, number_of
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Kind, Plan, Release, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line

STATE = State(".htpush")
LIVE, JOURNAL = STATE / "live", STATE / "journal"
LOOK = Look(STATE, trees=(LIVE, JOURNAL, STATE.manifests), looked=(STATE.incoming, STATE.manifests, ".push"))
#: To enter the queue, and all the rest.
TRIPS = 2
#: Where in a stage the new content lies.
TREE = "tree"
#: For servers that read it; the modes keep the others out.
GUARD = b"""<IfModule mod_authz_core.c>
Require all denied
</IfModule>
<IfModule !mod_authz_core.c>
Deny from all
</IfModule>
"""


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
        self.queue = Queue(remote, STATE, run, look=self.look, settle=self._settle, stale=stale)

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = LOOK.at(self._remote)
        found.check(STATE.incoming, STATE.manifests, STATE.pushes)
        if ".push" in found.found:
            raise PushRefused(
                f"{self._remote.root} holds releases; nothing was sent",
                hint='set layout = "releases", or push to another path',
            )
        return found

    def live(self, survey: Survey | None = None) -> str:
        """The id of the live release, empty before the first push, and where that cannot be told."""
        found = (survey or self.look()).found.get(LIVE)
        release = found.content.decode("ascii", "replace").strip() if found else ""
        return release if RELEASE_ID.fullmatch(release) else ""

    def history(self, survey: Survey | None = None) -> list[Release]:
        """The live release, if there is one: earlier ones are gone."""
        survey = survey or self.look()
        live = self.live(survey)
        return [ticket.release for ticket in survey.tickets if ticket.release and ticket.release.id == live][:1]

    def plan(self, snapshot: Snapshot) -> MirrorPlan:
        """What it would take to make ``snapshot`` live.

        Raises `PushRefused` when it would overwrite what no push put there, unless ``run.adopt``.
        """
        check_names(snapshot.entries)
        survey = self.look()
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
        before, ground = self._before(survey, snapshot.entries, warnings)
        found = difference(before, snapshot.entries)
        kept = sum(entry.kind is Kind.FILE for entry in found.keep)
        if live and not found.steps and not warnings:
            return MirrorPlan(name, self._leftovers(survey), kept, live, (), self._round_trips(0), survey)
        ground.check_emptied(before, snapshot.entries)
        how = "by sha256" if self._remote.capabilities.digests else "by size"
        count = sum(entry.kind is Kind.FILE for entry in found.send)
        steps = (
            *found.steps,
            Step(Action.VERIFY, plural(count, "file"), how),
            Step(Action.SWITCH, "live", f"from {live}" if live else "first push"),
        )
        trips = self._round_trips(TRIPS)
        return MirrorPlan(name, steps, kept, live, tuple(warnings), trips, survey, before, ground, found)

    def _leftovers(self, survey: Survey) -> tuple[Step, ...]:
        """The step that removes what a push left that made its release live and died before it had cleaned up."""
        live = self.live(survey)
        dead = self._clearing(survey, survey.last + 1, live)
        return (Step(Action.PRUNE, plural(len(dead), "path"), "left by a push that died"),) if dead else ()

    def _before(self, survey: Survey, after: Sequence[Entry], warnings: list[str]) -> tuple[Sequence[Entry], Ground]:
        """What is live and a push's, and what else lies at the paths that become ``after``."""
        remembered = self._remembered(survey, warnings)
        if remembered is None or self._run.repair:
            wanted = with_ways(entry.path for entry in (*(remembered or ()), *after))
        else:
            wanted = reach(remembered, after)
        ground = Ground(self._remote, wanted)
        ground.check_ways(remembered or (), after)
        if remembered is None:
            before = ground.compared(after)
        elif self._run.repair:
            before = ground.compared(ground.present(remembered))
        else:
            before = ground.present(remembered)
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
                f"{plural(len(strange), 'file')} that no push put on {self._run.target.name} would be overwritten, "
                f"{strange[0].path!r} first; nothing was changed",
                hint="look at them; push --adopt takes them over, those with the project's content as they are",
            )
        alike = [entry for entry in strange if ground.kinds[entry.path] is entry.kind]
        return [*ground.compared(alike), *(as_unknown(e, ground.kinds[e.path]) for e in strange if e not in alike)]

    def _remembered(self, survey: Survey, warnings: list[str]) -> list[Entry] | None:
        """The entries of the last push; None when they are lost."""
        live = self.live(survey)
        if not live and not any(ticket.outcome == GOOD for ticket in survey.tickets):
            return []
        try:
            return manifest.decode(survey.found[STATE.manifest(live)].content)
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
        survey = plan.survey
        self._check_space(plan)
        if self._ticket is None:
            self._make_root(survey)
            self._ticket, survey = self.queue.enter(survey, lambda number: self._describe(number, snapshot, plan.live))
        if plan.ground is None:
            with self.queue.alive(self._ticket), self._run.step(plan.steps[0]):
                if JOURNAL in survey.found:
                    self._recover(self._ticket, survey)
                elif self.live(survey) == plan.live:
                    self._perform(self._pruning(self._ticket, survey, plan.live), STATE.name)
            raise Overtaken(f"what is live on {plan.target} has been completed; this push has to be planned again")
        if JOURNAL in survey.found or self.live(survey) != plan.live:
            raise Overtaken(f"another push made {self.live(survey) or 'nothing'} live on {plan.target} meanwhile")
        ticket, self._ticket = self._ticket, None
        release = ticket.release
        assert release
        with self.queue.alive(ticket):
            try:
                self._carry_out(ticket, plan, survey, snapshot)
            except BaseException as error:
                told: BaseException = error
                if isinstance(error, RemoteExists):
                    told = self._lost(ticket, error)
                # The connection may be what failed; the next push finishes or cleans up then.
                with suppress(TargetError, PushRefused):
                    told = self._give_up(ticket, plan, told)
                if told is error:
                    raise
                raise told from error
        return release

    def rollback(self, wanted: str = "") -> Release:
        """Refuse: earlier releases are not kept."""
        raise PushRefused(
            f"{self._remote.root} holds no release before the one that is live: the layout mirror keeps none",
            hint='push the earlier revision again: source = "git:REVISION" in the Pushfile, or git checkout REVISION',
        )

    def _carry_out(self, ticket: Ticket, plan: MirrorPlan, survey: Survey, snapshot: Snapshot) -> None:
        """Send, verify, and make it live."""
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
        arrival = arrived(self._remote, survey, TREE, found.send)
        self._take_up(arrival, steps)
        written = journals.journal((release, plan.live), plan.before, after, found, plan.ground.kinds)
        operations: list[Operation] = [
            *self._preparing(survey),
            MakeDirectory(stage, 0o700),
            MakeDirectory(tree, 0o700),
            Write(STATE.manifest(release), manifest.encode(after)),
            Put(tree, self._transfer(found, steps, snapshot, arrival)),
            *taking(arrival, tree),
            Verify(tree, found.send, step=verify),
            *self.queue.holding(ticket),
            Still(plan.ground.guarded, plan.ground.kinds),
            self.queue.switching(ticket),
            Write(JOURNAL, written.encode(), step=switch),
            *written.operations(tree, self._late_steps(plan)),
            *self._concluding(release),
            *self.queue.ending(ticket, GOOD),
        ]
        then = [RemoveTree(stage), *self._pruning(ticket, survey, release)]
        if wrong := self._perform(operations, stage, then):
            raise PushFailed(
                f"{plural(len(wrong), 'file')} did not arrive whole, {wrong[0].path!r} first; what was live stays",
                hint="push again; if it happens again, look at the target's disk",
            )

    def _reported(self, step: Step) -> AbstractContextManager[None]:
        """Report a step. From the SWITCH step on, who asks to stop is heard when it is over."""
        self._switched = self._switched or step.action is Action.SWITCH
        return (self._patient() if self._switched else self._run).step(step)

    def _patient(self) -> Run:
        """The run, without an ear for who asks to stop."""
        patient = copy(self._run)
        patient.cancelled = threading.Event()
        return patient

    def _late_steps(self, plan: MirrorPlan) -> dict[str, Step]:
        """The steps that are taken in the live tree, by path."""
        modes = {entry.path for entry in plan.difference.modes}
        return {
            path: step
            for step in plan.difference.steps
            for path in [step.subject.rstrip("/")]
            if step.action is Action.REMOVE or path in modes
        }

    def _take_up(self, arrival: Arrival | None, steps: dict[str, Step]) -> None:
        """Tell what need not be sent."""
        if arrival:
            self._run.note(f"{plural(len(arrival.entries), 'file')} had arrived with a push that died")
            for entry in arrival.entries:
                if entry.path in steps:
                    with self._run.step(steps[entry.path]):
                        pass

    def _transfer(
        self, found: Difference, steps: dict[str, Step], snapshot: Snapshot, arrival: Arrival | None
    ) -> Transfer:
        there = {entry.path for entry in (arrival.entries if arrival else ())}
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
        return Transfer(snapshot, entries, told, self._run, self._times)

    def _concluding(self, release: str) -> list[Operation]:
        """The operations after which the journal of ``release`` is done."""
        return [Write(LIVE, f"{release}\n".encode()), Remove(JOURNAL)]

    def _preparing(self, survey: Survey) -> list[Operation]:
        """Make what the layout needs where it is missing."""
        operations: list[Operation] = [
            MakeDirectory(path, 0o700, may_exist=True)
            for path in (STATE.manifests, STATE.incoming)
            if path not in survey.found
        ]
        if STATE / "format" not in survey.found:
            operations.append(Write(STATE / ".htaccess", GUARD, 0o644))
            operations.append(Write(STATE / "format", f"{FORMAT}\n".encode()))
        return operations

    def _pruning(self, ticket: Ticket, survey: Survey, live: str) -> list[Operation]:
        """Remove what dead pushes left, manifests that are not ``live``'s, and old tickets."""
        return [
            *self._clearing(survey, ticket.number, live),
            *(RemoveTree(STATE.ticket(number)) for number in forgotten(survey, [number_of(live)])),
        ]

    def _clearing(self, survey: Survey, number: int, live: str) -> list[Operation]:
        """Remove the stages of pushes before ``number`` that have ended, and their manifests but that of ``live``."""
        queued = {each.release.id for each in survey.open_tickets if each.release and each.release.id != live}

        def old(name: str) -> bool:
            return bool(RELEASE_ID.fullmatch(name)) and name not in queued and number_of(name) < number

        return [
            *(RemoveTree(stage_of(name)) for name in survey.names(STATE.incoming) if old(name)),
            *(
                Remove(STATE.manifest(name))
                for name in self._manifests(survey)
                # What follows a point was left by a push that died while it wrote.
                if old(name.partition(".")[0]) and name != live
            ),
        ]

    def _manifests(self, survey: Survey) -> list[str]:
        """The names in the manifests' directory."""
        prefix = STATE.manifests + "/"
        return [path.removeprefix(prefix) for path in survey.found if path.startswith(prefix)]

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

    def _give_up(self, ticket: Ticket, plan: MirrorPlan, error: BaseException) -> BaseException:
        """Leave nothing half done, where that can be: the error that says how it ended."""
        assert ticket.release
        release = ticket.release.id
        survey = self.look()
        if self._journalled(survey) == release:
            try:
                with self._reported(plan.steps[-1]) if not self._switched else nullcontext():
                    self._finish(ticket, journals.decode(survey.found[JOURNAL].content), survey, GOOD)
            except (TargetError, PushRefused) as second:
                self.queue.end(ticket, "failed while it switched")
                return PushFailed(
                    f"{one_line(error)}; {release} is live in part ({one_line(second)})",
                    hint="push again: the next push finishes it first",
                )
            return self._late(release, error)
        if self.live(survey) == release:
            with self._reported(plan.steps[-1]) if not self._switched else nullcontext():
                self.queue.end(ticket, GOOD)
            return self._late(release, error)
        # What has arrived whole is taken up by the next push, unless something was wrong with it.
        if not isinstance(error, (Interrupted, KeyboardInterrupt)):
            self._perform([RemoveTree(stage_of(release)), Remove(STATE.manifest(release))], STATE.name)
        self.queue.end(ticket, f"failed: {type(error).__name__}")
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

    def _recover(self, ticket: Ticket, survey: Survey) -> None:
        """Finish what the journal says, or undo it when its content is not whole."""
        try:
            found = journals.decode(survey.found[JOURNAL].content)
        except ValueError as error:
            self._run.warn(f"the journal of a push that died is damaged ({error}): what is live is compared anew")
            live = self.live(survey)
            # Its manifest was written before it, and those of earlier pushes are gone.
            dead = [name for name in self._manifests(survey) if RELEASE_ID.fullmatch(name) and name != live]
            self._undo(ticket, max(dead, key=number_of, default=live), live, survey)
            return
        try:
            self._finish(ticket, found, survey)
            self._run.note(f"the push of {found.release} had died while it switched; it was finished")
        except ValueError as error:
            self._undo(ticket, found.release, found.previous, survey)
            self._run.warn(
                f"the push of {found.release} had died while it switched, and cannot be finished ({error}): "
                "what it had not done yet was called off, what it had put in place is pushed over"
            )

    def _finish(self, ticket: Ticket, found: Journal, survey: Survey, outcome: str = "") -> None:
        """Do what is left of a journal, and end ``ticket`` with ``outcome``, if that is given.

        Raises ValueError when it cannot be done any more, `PushRefused` when it would lead out of the tree.
        """
        stage = stage_of(found.release)
        tree = f"{stage}/{TREE}"
        moved = [each.path for each in found.renamings]
        ground = Ground(self._remote, with_ways(found.paths))
        staged = self._remote.kinds([f"{tree}/{path}" for path in moved])
        left = [each for each in found.renamings if f"{tree}/{each.path}" in staged]
        self._check_left(found, ground, left)
        if not outcome:
            self._check_whole(found, survey, [each.path for each in left])
        operations = [
            *self.queue.holding(ticket),
            Still(ground.guarded, ground.kinds),
            *found.operations(tree, left={**ground.kinds, **staged}),
            *self._concluding(found.release),
            *(self.queue.ending(ticket, outcome) if outcome else ()),
        ]
        old = [found.previous] if found.previous and found.previous != found.release else []
        then = [RemoveTree(stage), *(Remove(STATE.manifest(name)) for name in old)]
        self._perform(operations, STATE.name, then)

    def _check_left(self, found: Journal, ground: Ground, left: Sequence[Renaming]) -> None:
        """See that nothing has come in the way since the journal was written."""
        coming = {each.path for each in left}
        renamed = [path for each in left for path in (each.path, *each.clears, *each.emptied)]
        touched = [*renamed, *found.removals, *found.directories, *(path for path, _ in found.modes)]
        for way in dict.fromkeys(way for path in touched for way in above(path)):
            kind = ground.kinds.get(way, Kind.DIRECTORY)
            if kind is not Kind.DIRECTORY and coming.isdisjoint((*above(way), way)):
                ground.refuse(way, kind, ())
        for each in left:
            if any(way not in ground.kinds for way in above(each.path)):
                raise ValueError(f"{each.path!r} has no directory any more")
            kind = ground.kinds.get(each.path, Kind.FILE)
            if kind is None or (kind is Kind.DIRECTORY and each.path not in each.emptied):
                raise ValueError(f"a {kind or 'special file'} has come to {each.path!r}")

    def _check_whole(self, found: Journal, survey: Survey, left: Sequence[str]) -> None:
        """See that each file is whole, be it in the live tree already or not. Raises ValueError."""
        entries = entries_of(found.release, survey)
        moved = {each.path for each in found.renamings}
        waiting = set(left)
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        coming = [e for e in files if not waiting.isdisjoint((*above(e.path), e.path))]
        came = [e for e in files if not (moved - waiting).isdisjoint((*above(e.path), e.path))]
        wrong = [*self._remote.verify(f"{stage_of(found.release)}/{TREE}", coming), *self._remote.verify("", came)]
        if wrong:
            raise ValueError(f"{plural(len(wrong), 'file')} of it are not whole, {wrong[0].path!r} first")

    def _undo(self, ticket: Ticket, release: str, previous: str, survey: Survey) -> None:
        """Give up a switch from ``previous`` to ``release``, both may be empty.

        What is live becomes a release of what is there and a push's.
        """
        try:
            after = entries_of(release, survey)
            before = entries_of(previous, survey) if previous else []
        except ValueError:
            # Nothing is known of what is live: without a manifest all of it is compared.
            operations: list[Operation] = [Remove(STATE.manifest(name)) for name in {release, previous} if name]
        else:
            operations = [Write(STATE.manifest(release), manifest.encode(self._reckoned(before, after)))]
        concluding = self._concluding(release) if release else [Remove(JOURNAL)]
        stages = [RemoveTree(stage_of(release))] if release else []
        self._perform([*self.queue.holding(ticket), *operations, *concluding], STATE.name, stages)

    def _reckoned(self, before: Sequence[Entry], after: Sequence[Entry]) -> list[Entry]:
        """What is live and a push's, somewhere between two trees."""
        ground = Ground(self._remote, reach(before, after))
        ground.check_ways((*before, *after), after)
        old = {entry.path: entry for entry in before}
        there = {entry.path: entry for entry in after if ground.kinds.get(entry.path, "") is entry.kind}
        wrong = set(self._remote.verify("", [entry for entry in there.values() if entry.kind is Kind.FILE]))
        reckoned = []
        for path, kind in ground.kinds.items():
            if path in there and there[path] not in wrong and self._leads(there[path]):
                reckoned.append(there[path] if self._remote.capabilities.digests else as_unknown(there[path], kind))
            elif path in old and old[path].kind is kind:
                reckoned.append(as_unknown(old[path], kind))
        looked = set(ground.paths)
        same = [entry for entry in before if entry.path not in looked]
        return sorted([*same, *reckoned], key=lambda entry: entry.path.split("/"))

    def _leads(self, entry: Entry) -> bool:
        """Whether a symlink that is there has its text; true of all else."""
        return entry.kind is not Kind.SYMLINK or self._remote.read_link(entry.path) == entry.link

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


def entries_of(release: str, survey: Survey) -> list[Entry]:
    """The entries of a release. Raises ValueError when its manifest is missing or damaged."""
    found = survey.found.get(STATE.manifest(release))
    if found is None:
        raise ValueError("its manifest is missing")
    return manifest.decode(found.content)


def stage_of(release: str) -> str:
    """Where an upload lies."""
    return f"{STATE.incoming}/{release}"


def taking(arrival: Arrival | None, tree: str) -> list[Operation]:
    """The operations that take what had arrived before to its place."""
    paths = [entry.path for entry in arrival.entries] if arrival else []
    return [Rename(f"{arrival.directory}/{path}", f"{tree}/{path}") for path in paths] if arrival else []


def as_unknown(entry: Entry, kind: Kind | None) -> Entry:
    """An entry at the path of ``entry``, of ``kind``, of whose content nothing is known."""
    if kind is Kind.SYMLINK:
        return Entry(entry.path, kind, 0o777, link="/")
    if kind is Kind.FILE:
        return Entry(entry.path, kind, entry.mode, 0, UNKNOWN)
    return entry


def check_names(entries: Sequence[Entry]) -> None:
    """Refuse a project that holds what this layout keeps on a target."""
    if any(entry.path == STATE.name for entry in entries):
        raise PushRefused(
            f"the project holds {STATE.name}, which is where push keeps its records on a target; nothing was sent",
            hint=f"add /{STATE.name}/ to .pushignore",
        )
