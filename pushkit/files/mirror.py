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
from typing import TypeVar

from msgspec import field

from pushkit import manifest
from pushkit.amount import counted
from pushkit.blocks import LARGE
from pushkit.errors import PushRefused
from pushkit.files import journal as journals
from pushkit.files.actual import findings
from pushkit.files.arrival import Arrivals, arrived
from pushkit.files.diff import difference
from pushkit.files.errors import RemoteExists
from pushkit.files.ground import Ground, as_unknown, with_ways
from pushkit.files.journal import concluding
from pushkit.files.journaled import Journaled, JournaledPlan
from pushkit.files.merge import Merge, find, merge, order
from pushkit.files.operation import (
    Base,
    Operation,
    Put,
    RemoveTree,
    Still,
    Verify,
    Write,
)
from pushkit.files.place import MIRROR as STATE
from pushkit.files.place import TREE, others
from pushkit.files.queue import FEW, KEPT, STALE, expiring
from pushkit.files.recovery import Recovery
from pushkit.files.remote import Remote
from pushkit.files.stat import above
from pushkit.files.survey import Look, Survey
from pushkit.files.ticket import GOOD, Ticket, number_of
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Finding, Kind, Release, Severity, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run

T = TypeVar("T")

#: What this layout looks at.
LOOK = Look(
    STATE, trees=(STATE.live, STATE.journal, STATE.manifests), looked=(STATE.incoming, STATE.manifests, *others(STATE))
)


class MirrorPlan(JournaledPlan, frozen=True):
    """A plan that knows what is live and a push's, as `Merge.gone`, and what lies at the paths that change."""

    merged: Merge = field(default_factory=lambda: Merge([], [], []))
    ground: Ground | None = None


class Mirror(Journaled[MirrorPlan]):
    """The live tree of one target on one remote. ``times`` is as in `Releases`."""

    state = STATE
    directories = (STATE.manifests, STATE.incoming)
    doubt = "live in part"

    def __init__(
        self, remote: Remote, run: Run, *, stale: float = STALE, times: Callable[[Entry], float] | None = None
    ) -> None:
        super().__init__(remote, run, LOOK, stale=stale, times=times)
        self._recovery = Recovery(remote, run, self.queue, self._perform)

    # Looking.

    def history(self, survey: Survey | None = None) -> list[Release]:
        """The live release, if there is one: earlier ones are gone."""
        survey = survey or self.look()
        live = self.live(survey)
        return [ticket.release for ticket in survey.tickets if ticket.release and ticket.release.id == live][:1]

    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether it is known what the live release put here."""
        if STATE.journal in survey.found:
            warnings.append("a push changes what is live at this moment, or died while it did")
            return False
        return self._remembered(survey, warnings, manifest.decode) is not None

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live, by the manifest of that."""
        warnings: list[str] = []
        before = self._remembered(self.look(), warnings, manifest.decode) or []
        for warning in warnings:
            self._run.warn(warning)
        self._shown = {entry.path: entry.path for entry in before if entry.kind is Kind.FILE}
        return difference(before, snapshot.entries).steps

    def verify(self) -> Sequence[Finding]:
        """What of the live release is not as it was pushed. What no push put there is none of it."""
        survey = self.look()
        root = self._remote.root
        warnings: list[str] = []
        pushed = self._remembered(survey, warnings, manifest.decode)
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
        if due := self._due(survey):
            return MirrorPlan(name, (due,), 0, live, (), None, survey)
        same = survey.found.get(STATE.manifest(live))
        if same and not self._run.repair and manifest.claims(same.content, snapshot.digest):
            return MirrorPlan(name, self._leftovers(survey), snapshot.files, live, (), self._round_trips(0), survey)
        warnings: list[str] = []
        merged, ground = self._merged(survey, snapshot, warnings)
        found = difference(merged.gone, merged.new, merged.same)
        kept = sum(entry.kind is Kind.FILE for entry in found.keep)
        if live and not found.steps and not warnings:  # those tell of records that have to be written anew
            return MirrorPlan(name, self._leftovers(survey), kept, live, (), self._round_trips(0), survey)
        ground.check_emptied(merged.gone, merged.new)
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
        return MirrorPlan(name, steps, kept, live, tuple(warnings), trips, survey, found, 0, merged, ground)

    def _merged(self, survey: Survey, snapshot: Snapshot, warnings: list[str]) -> tuple[Merge, Ground]:
        """How what is live and a push's differs from ``snapshot``, and what lies at the paths that differ.

        What lies there already of what is new is among what is gone as well.
        """
        after = snapshot.entries
        known = self._remembered(survey, warnings, lambda content: merge(content, snapshot.manifest, after))
        if known is None or self._run.repair:
            before = [*known.same, *known.gone] if known else []
            ground = Ground(self._remote, with_ways(entry.path for entry in (*before, *after)))
            ground.check_ways(before, after)
            if known and not self._remote.capabilities.digests:
                warnings.append("this server cannot compare contents: every file is sent again")
            found = Merge([], ground.compared(before if known else after), list(after))
        else:
            ground = Ground(self._remote, with_ways(entry.path for entry in (*known.gone, *known.new)))
            ground.check_ways([*known.same, *known.gone], after)
            found = ground.present(known)
        before = [*found.gone, *ground.directories(found.gone, found.new)]
        if strange := ground.in_the_way(before, found.new):
            before += self._adopted(ground, strange, after)
        return found._replace(gone=before), ground

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

    def _remembered(self, survey: Survey, warnings: list[str], read: Callable[[bytes], T]) -> T | None:
        """What ``read`` makes of the manifest of the last push, an empty one before the first; None when it is lost."""
        live = self.live(survey)
        if not live and not any(ticket.outcome == GOOD for ticket in survey.tickets):
            return read(manifest.encode(()))
        try:
            return read(survey.manifest(live))
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
            return journals.decode(survey.found[STATE.journal].content).release
        except (KeyError, ValueError):
            return ""

    # Acting.

    def _base(self, plan: MirrorPlan, survey: Survey, snapshot: Snapshot) -> Base | None:
        """The manifest of the live release, of which the new one differs in little, unless more is sent than both."""
        if STATE.manifest(plan.live) not in survey.found or sum(entry.size for entry in plan.difference.send) > len(
            snapshot.manifest
        ):
            return None
        return Base(STATE.manifest(plan.live), survey.manifest(plan.live))

    def rollback(self, wanted: str = "") -> Release:
        """Refuse: earlier releases are not kept."""
        raise PushRefused(
            f"{self._remote.root} holds no release before the one that is live: the layout mirror keeps none",
            hint='push the earlier revision again: source = "git:REVISION" in the Pushfile, or git checkout REVISION',
        )

    def _carry_out(
        self, ticket: Ticket, plan: MirrorPlan, survey: Survey, snapshot: Snapshot, first: Sequence[Operation]
    ) -> None:
        """Send, verify, and make it live; ``first`` comes before that."""
        assert ticket.release
        assert plan.ground
        release = ticket.release.id
        self._switched = False
        stage = STATE.stage(release)
        tree = f"{stage}/{TREE}"
        found = plan.difference
        steps = {step.subject.rstrip("/"): step for step in found.steps if step.action is not Action.REMOVE}
        verify, switch = plan.steps[-2:]
        arrivals = arrived(self._remote, survey, TREE, found.send)
        arrivals.tell(self._run, steps)
        written = journals.journal((release, plan.live), plan.merged, found, plan.ground.kinds)
        transfer = self._transfer(plan, steps, snapshot, arrivals)
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
            Write(STATE.journal, written.encode(), step=switch),
            *written.operations(tree, self._late_steps(plan)),
            *concluding(STATE, release),
            *self.queue.ending(ticket, GOOD),
        ]
        then = [RemoveTree(stage), *self._pruning(ticket, survey, release)]
        self._deliver(operations, verifying, release, snapshot, then, made=transfer.patched)

    def _late_steps(self, plan: MirrorPlan) -> dict[str, Step]:
        """The steps that are taken in the live tree, by path."""
        modes = {entry.path for entry in plan.difference.modes}
        return {
            path: step
            for step in plan.difference.steps
            for path in [step.subject.rstrip("/")]
            if step.action is Action.REMOVE or path in modes
        }

    def _transfer(self, plan: MirrorPlan, steps: dict[str, Step], snapshot: Snapshot, arrivals: Arrivals) -> Transfer:
        found, there = plan.difference, arrivals.paths
        new = {entry.path: entry for entry in plan.merged.new}
        sent = [entry for entry in found.send if entry.path not in there]
        ways = {way for entry in found.send for way in above(entry.path)}.difference(entry.path for entry in sent)
        leading = [entry for way in ways for entry in ([new[way]] if way in new else find(plan.merged.same, way))]
        # Directories are made writable first, so that read-only ones can be filled.
        entries = [
            entry._replace(mode=entry.mode | journals.OPEN) if entry.kind is Kind.DIRECTORY else entry
            for entry in sorted([*sent, *leading], key=order)
        ]
        modes = {entry.path for entry in found.modes}
        told = {path: step for path, step in steps.items() if path not in modes and path not in there}
        bases = {old.path: old.path for old in found.replaced if old.size >= LARGE}
        return Transfer(snapshot, entries, told, self._run, self._times, bases=bases, begun=arrivals.begun)

    def _pruning(self, ticket: Ticket, survey: Survey, live: str) -> list[Operation]:
        """Remove what dead pushes left, manifests that are not ``live``'s, and old tickets."""
        kept = KEPT if self._remote.capabilities.scripts else FEW
        return [*self._clearing(survey, ticket.number, live), *expiring(survey, [number_of(live)], kept)]

    def _lost(self, ticket: Ticket, error: RemoteExists) -> BaseException:
        """The error that says what was in the way."""
        if isinstance(error.operation, Still):
            return PushRefused(
                "somebody changed what is live while the push was under way; the push changed nothing of it",
                hint="push again",
            )
        return super()._lost(ticket, error)

    def _recover(self, ticket: Ticket, survey: Survey) -> bool:
        """Finish what the journal says, or undo it when its content is not whole."""
        return self._recovery.recover(ticket, survey)


def check_names(entries: Sequence[Entry]) -> None:
    """Refuse a project that holds what this layout keeps on a target."""
    if any(entry.path == STATE.name for entry in entries):
        raise PushRefused(
            f"the project holds {STATE.name}, which is where push keeps its records on a target; nothing was sent",
            hint=f"add /{STATE.name}/ to .pushignore",
        )
