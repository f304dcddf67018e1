"""The releases layout: every push a directory of its own, ``current`` a symlink to the one that is live.

::

    PATH/
      current -> releases/000042-20261122T193012Z-4f2a91c
      releases/000042-20261122T193012Z-4f2a91c/      complete, or it does not bear this name
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

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pushkit import manifest
from pushkit.errors import Busy, Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files.arrival import Arrival, arrived
from pushkit.files.diff import Difference, difference
from pushkit.files.errors import RemoteError, RemoteExists, RemoteMissing
from pushkit.files.operation import (
    Copy,
    MakeDirectory,
    Operation,
    Point,
    Pointing,
    Put,
    Remove,
    RemoveTree,
    Rename,
    SetMode,
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
from pushkit.strategy import Run

STATE = State(".push")
CURRENT = "current"
RELEASES = "releases"
LOOK = Look(STATE, listed=(RELEASES,), looked=(STATE.incoming, STATE.manifests, RELEASES), live=CURRENT)
#: To enter the queue, to send and verify, to switch.
TRIPS = 3
#: Where in a stage the release is built.
TREE = "tree"


@dataclass(frozen=True)
class ReleasesPlan(Plan):
    """A plan that remembers what it found out."""

    survey: Survey | None = None
    difference: Difference = field(default_factory=lambda: Difference((), (), (), ()))
    steps_of: dict[str, Step] = field(default_factory=dict)


class Releases:
    """The releases of one target on one remote. ``keep`` good ones stay, the live one among them."""

    def __init__(self, remote: Remote, run: Run, keep: int, *, stale: float = STALE, hard_links: bool = False) -> None:
        self._remote = remote
        self._run = run
        self._keep = keep
        self._hard_links = hard_links
        self._ticket: Ticket | None = None
        self.queue = Queue(remote, STATE, run, look=self.look, settle=self._settle, stale=stale)

    def close(self) -> None:
        """Give back a place in the queue that was not used."""
        if self._ticket:
            with suppress(TargetError):
                self.queue.end(self._ticket, "given up")
            self._ticket = None

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = LOOK.at(self._remote)
        found.check(RELEASES)
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
        return [ticket.release for ticket in self._good(survey, self.live(survey)).values() if ticket.release]

    def plan(self, snapshot: Snapshot) -> ReleasesPlan:
        """What it would take to make ``snapshot`` live."""
        survey = self.look()
        live = self.live(survey)
        warnings: list[str] = []
        name = self._run.target.name
        same = survey.found.get(STATE.manifest(live))
        if same and live in survey.names(RELEASES) and manifest.claims(same.content, snapshot.digest):
            return ReleasesPlan(name, (), snapshot.files, live, (), self._round_trips(0), survey)
        before = self._manifest(live, survey, warnings) if self.is_there(live, survey, warnings) else []
        found = difference(before, snapshot.entries)
        kept = sum(entry.kind is Kind.FILE for entry in found.keep)
        if live and before and not found.steps:
            return ReleasesPlan(name, (), kept, live, tuple(warnings), self._round_trips(0), survey, found)
        steps = list(found.steps)
        if found.keep and self._remote.capabilities.copies:
            how = "linked" if self._hard_links else "copied"
            steps.append(Step(Action.KEEP, plural(len(found.keep), "file"), f"unchanged since {live}: {how} there"))
        elif found.keep:
            known = {entry.path for entry in found.modes}
            why = "unchanged, but this server cannot copy: sent again"
            steps += [Step(Action.ADD, e.path, why, e.size) for e in found.keep if e.path not in known]
            found = Difference(found.steps, snapshot_order(snapshot, found), (), ())
        by_path = {step.subject.rstrip("/"): step for step in steps if step.action in {Action.ADD, Action.REPLACE}}
        how = "by sha256" if self._remote.capabilities.digests else "by size"
        count = sum(entry.kind is Kind.FILE for entry in self._verifiable(found))
        steps.append(Step(Action.VERIFY, plural(count, "file"), how))
        steps.append(Step(Action.SWITCH, CURRENT, f"from {live}" if live else "first push"))
        trips = self._round_trips(TRIPS)
        return ReleasesPlan(name, tuple(steps), kept, live, tuple(warnings), trips, survey, found, by_path)

    def _round_trips(self, ahead: int) -> tuple[int, int] | None:
        """Those up to now, and those of a push in which nothing is in the way."""
        return (self._remote.round_trips, ahead) if self._remote.capabilities.scripts else None

    # Acting.

    def push(self, plan: ReleasesPlan, snapshot: Snapshot) -> Release:
        """Carry out ``plan``. Until its SWITCH step nothing that is live is touched.

        Raises `Overtaken`, the place in the queue kept, when another push changed what is live meanwhile.
        """
        assert plan.survey
        self._check_space(plan)
        survey = plan.survey
        if self._ticket is None:
            self._make_root(survey)
            self._ticket, survey = self.queue.enter(survey, lambda number: self._describe(number, snapshot, plan.live))
        if self.live(survey) != plan.live:
            raise Overtaken(f"another push made {self.live(survey) or 'nothing'} live on {plan.target} meanwhile")
        # What is live may have changed since its ticket was written.
        ticket, self._ticket = self._ticket, None
        release = ticket.release
        assert release
        with self.queue.alive(ticket):
            try:
                self._assemble(release, plan, survey, snapshot)
                self._switch(ticket, plan, survey)
            except BaseException as error:
                # The connection may be what failed; the next push cleans up then.
                with suppress(TargetError, PushRefused):
                    self._give_up(ticket, error)
                raise
        return release

    def rollback(self, wanted: str = "") -> Release:
        """Make ``wanted``, or the release that was live before the live one, live again."""
        survey = self.look()
        release = self._target_of_rollback(survey, wanted)
        live = self.live(survey)

        def describe(number: int) -> Ticket:
            return Ticket(number, release, live, "rollback")

        ticket, survey = self.queue.enter(survey, describe)
        with self.queue.alive(ticket):
            if self.live(survey) != live:
                self.queue.end(ticket, "overtaken")
                raise Busy(
                    f"another push made {self.live(survey) or 'nothing'} live meanwhile; nothing was rolled back",
                    hint="look at it (push status), then roll back again",
                )
            step = Step(Action.SWITCH, CURRENT, f"from {live} back to {release.id}")
            operations = [*self._switching(ticket, release.id, live, step), *self.queue.ending(ticket, "rolled back")]
            try:
                self._perform(operations, STATE.name)
            except BaseException as error:
                with suppress(TargetError, PushRefused):
                    self.queue.end(ticket, f"failed: {type(error).__name__}")
                if isinstance(error, RemoteExists):
                    raise self.queue.lost(ticket, error) from error
                raise
        return release

    def _target_of_rollback(self, survey: Survey, wanted: str) -> Release:
        live = self.live(survey)
        good = self._good(survey, live)
        if not live:
            raise PushRefused(f"nothing was ever pushed to {self._remote.root}: there is nothing to roll back")
        wanted = wanted or before(live, good)
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
        created = datetime.now(UTC)
        name = f"{number:06d}-{created:%Y%m%dT%H%M%SZ}-{snapshot.revision.short}"
        return Ticket(number, Release(name, snapshot.revision, created, self._run.person), live)

    def _assemble(self, release: Release, plan: ReleasesPlan, survey: Survey, snapshot: Snapshot) -> None:
        """Make the release whole in its stage, and verify it."""
        stage = f"{STATE.incoming}/{release.id}"
        tree = f"{stage}/{TREE}"
        found = plan.difference
        steps = {step.action: step for step in plan.steps}
        for step in plan.steps:
            if step.action is Action.REMOVE:
                with self._run.step(step):  # not copied is removed
                    pass
        arrival = arrived(self._remote, survey, TREE, found.send)
        self._take_up(arrival, plan)
        operations: list[Operation] = [
            *self._preparing(survey),
            MakeDirectory(stage, 0o700),
            MakeDirectory(tree, 0o755),
            Write(STATE.manifest(release.id), manifest.encode(snapshot.entries)),
            Put(tree, self._transfer(plan, snapshot, arrival)),
        ]
        if arrival and self._remote.capabilities.copies:
            operations.append(Copy(arrival.directory, tree, arrival.entries, link=True))
        elif arrival:
            paths = [entry.path for entry in arrival.entries]
            operations += [Rename(f"{arrival.directory}/{path}", f"{tree}/{path}") for path in paths]
        if keep := steps.get(Action.KEEP):
            operations.append(Copy(f"{RELEASES}/{plan.live}", tree, found.keep, self._hard_links, step=keep))
        operations.append(Verify(tree, self._verifiable(found), step=steps[Action.VERIFY]))
        operations += self._modes(tree, plan, snapshot.entries)
        wrong: Sequence[Entry] = ()
        while operations:
            try:
                wrong = self._perform(operations, stage)
                break
            except RemoteError as error:
                if not isinstance(error.operation, Copy):
                    raise
                self._fill(tree, error.operation, snapshot)
                operations = following(operations, error.operation)
        if wrong:
            self._heal(tree, snapshot, found, wrong)
            self._perform(self._modes(tree, plan, snapshot.entries), stage)

    def _take_up(self, arrival: Arrival | None, plan: ReleasesPlan) -> None:
        """Tell what need not be sent."""
        if arrival:
            self._run.note(f"{plural(len(arrival.entries), 'file')} had arrived with a push that died")
            for entry in arrival.entries:
                if entry.path in plan.steps_of:
                    with self._run.step(plan.steps_of[entry.path]):
                        pass

    def _switch(self, ticket: Ticket, plan: ReleasesPlan, survey: Survey) -> None:
        """Make the release of ``ticket`` live, end the ticket, and remove what is old."""
        release = ticket.release
        assert release
        stage = f"{STATE.incoming}/{release.id}"
        pruning = self._pruning(ticket, survey)
        switching = self._switching(ticket, release.id, plan.live, plan.steps[-1])
        # Complete, it gets its name; then its ticket still has to hold for it to go live.
        switching.insert(-2, Rename(f"{stage}/{TREE}", f"{RELEASES}/{release.id}"))
        try:
            self._perform([*switching, *self.queue.ending(ticket, GOOD)], stage, then=[RemoveTree(stage), *pruning])
        except RemoteExists as error:
            if isinstance(error.operation, Pointing):
                live = self.live()
                raise Busy(
                    f"another push made {live or 'nothing'} live meanwhile; this one changed nothing",
                    hint="look at it (push status), then push again",
                ) from error
            raise self.queue.lost(ticket, error) from error

    def _switching(self, ticket: Ticket, release: str, live: str, step: Step) -> list[Operation]:
        """The operations that make ``release`` live, if ``ticket`` holds and ``live`` is still what is live."""
        return [
            *self.queue.holding(ticket),
            self.queue.switching(ticket),
            Pointing(CURRENT, f"{RELEASES}/{live}" if live else ""),
            # The text is relative to where the link will be, so that the tree can be moved as a whole.
            Point(CURRENT, f"{RELEASES}/{release}", step=step),
        ]

    def _give_up(self, ticket: Ticket, error: BaseException) -> None:
        """Remove what a failed push made, unless it is live after all: the answer to a rename may be lost."""
        assert ticket.release
        release = ticket.release.id
        if self.live() == release:
            self.queue.end(ticket, GOOD)
            return
        if isinstance(error, (Interrupted, KeyboardInterrupt)):
            # What has arrived whole is taken up by the next push.
            self._perform([RemoveTree(f"{RELEASES}/{release}")], STATE.name)
        else:
            self._perform(self._forgetting(release), STATE.name)
        self.queue.end(ticket, f"failed: {type(error).__name__}")

    def _settle(self, ticket: Ticket, survey: Survey) -> str:
        """How a push ended that died when it had begun to switch."""
        return GOOD if ticket.release and self.live(survey) == ticket.release.id else "died"

    def _forgetting(self, release: str, step: Step | None = None) -> list[Operation]:
        """Remove a release that is not live, wherever it lies, and its manifest."""
        return [
            RemoveTree(f"{RELEASES}/{release}", step=step),
            RemoveTree(f"{STATE.incoming}/{release}"),
            Remove(STATE.manifest(release)),
        ]

    def _transfer(self, plan: ReleasesPlan, snapshot: Snapshot, arrival: Arrival | None) -> Transfer:
        found = plan.difference
        sent = {entry.path for entry in found.send} - {entry.path for entry in (arrival.entries if arrival else ())}
        # Directories are made writable first, so that read-only ones can be filled.
        entries = [
            entry._replace(mode=entry.mode | 0o700) if entry.kind is Kind.DIRECTORY else entry
            for entry in snapshot.entries
            if entry.kind is Kind.DIRECTORY or entry.path in sent
        ]
        modes = {entry.path for entry in found.modes}
        steps = {path: step for path, step in plan.steps_of.items() if path not in modes}
        return Transfer(snapshot, entries, steps, self._run)

    def _fill(self, tree: str, copy: Copy, snapshot: Snapshot) -> None:
        """Send what could not be copied, since it is not there any more."""
        found = self._remote.collect((), looked=[f"{tree}/{entry.path}" for entry in copy.entries], limit=0)
        gone = [entry for entry in copy.entries if f"{tree}/{entry.path}" not in found]
        self._run.warn(f"{plural(len(gone), 'path')} of {copy.source} are gone from the target and are sent again")
        self._remote.put(tree, Transfer(snapshot, gone, {}, self._run))

    def _verifiable(self, found: Difference) -> Sequence[Entry]:
        """What is read back: what was sent, and what was copied where that costs no round trip a file."""
        return (*found.send, *found.keep) if self._remote.capabilities.digests else found.send

    def _heal(self, tree: str, snapshot: Snapshot, found: Difference, wrong: Sequence[Entry]) -> None:
        """Send again what had been altered in the live release. Raises `PushFailed` for what does not arrive whole."""
        copied = {entry.path for entry in found.keep}
        if altered := [entry for entry in wrong if entry.path in copied]:
            # Somebody edited the live release: what is pushed is the snapshot, whole.
            self._run.warn(f"{plural(len(altered), 'file')} had been altered on the target, {altered[0].path!r} first")
            self._perform([Remove(f"{tree}/{entry.path}") for entry in altered], STATE.name)
            self._remote.put(tree, Transfer(snapshot, altered, {}, self._run))
            wrong = self._remote.verify(tree, wrong)
        if wrong:
            raise PushFailed(
                f"{plural(len(wrong), 'file')} did not arrive whole, {wrong[0].path!r} first; what was live stays",
                hint="push again; if it happens again, look at the target's disk",
            )

    def _modes(self, tree: str, plan: ReleasesPlan, entries: Sequence[Entry]) -> list[Operation]:
        changed = {entry.path for entry in plan.difference.modes}
        operations: list[Operation] = []
        # The deepest first: below a directory that is closed nothing can be set any more.
        for entry in reversed(entries):
            closed = entry.kind is Kind.DIRECTORY and entry.mode & 0o700 != 0o700
            if entry.path in changed:
                operations.append(SetMode(f"{tree}/{entry.path}", entry.mode, step=plan.steps_of[entry.path]))
            elif closed:
                operations.append(SetMode(f"{tree}/{entry.path}", entry.mode))
        return operations

    def _pruning(self, ticket: Ticket, survey: Survey) -> list[Operation]:
        """Remove all but the newest good releases, and what dead pushes left."""
        assert ticket.release
        live = ticket.release.id
        good = self._good(survey, self.live(survey)) | {live: ticket}
        stay = {live, before(live, good), *list(good)[-self._keep :]}
        queued = {each.release.id for each in survey.open_tickets if each.release}
        operations: list[Operation] = []
        for name in sorted({*survey.names(STATE.incoming), *survey.names(RELEASES)}):
            if not RELEASE_ID.fullmatch(name) or name in stay or number_of(name) >= ticket.number:
                continue
            if name in good:
                reason = f"the newest {self._keep} stay"
            elif name not in queued:
                reason = "its push did not end well"
            else:
                continue
            operations += self._forgetting(name, Step(Action.PRUNE, name, reason))
        keep = [number_of(name) for name in stay if name]
        return [*operations, *(RemoveTree(STATE.ticket(number)) for number in forgotten(survey, keep))]

    # What is there.

    def _good(self, survey: Survey, live: str) -> dict[str, Ticket]:
        """The tickets whose releases are there and were live once, by release, in the order of their numbers."""
        there = set(survey.names(RELEASES))
        return {
            ticket.release.id: ticket
            for ticket in survey.tickets
            if ticket.release
            and number_of(ticket.release.id) == ticket.number
            and ticket.release.id in there
            and (ticket.outcome == GOOD or ticket.release.id == live)
        }

    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether a release lies where it should. One that does not is told of in ``warnings``."""
        if release and release not in survey.names(RELEASES):
            warnings.append(f"the live release {release} is gone from the target: every file is sent")
            return False
        return bool(release)

    def _manifest(self, release: str, survey: Survey, warnings: list[str]) -> list[Entry]:
        found = survey.found.get(STATE.manifest(release))
        if found is None:
            warnings.append(f"the manifest of the live release {release} is missing: every file is sent")
            return []
        try:
            return manifest.decode(found.content)
        except ValueError as error:
            warnings.append(f"the manifest of the live release {release} is damaged ({error}): every file is sent")
        return []

    def _make_root(self, survey: Survey) -> None:
        if survey.exists:
            return
        try:
            self._remote.make_directory("", 0o755)
        except RemoteMissing as error:
            raise TargetError(
                f"{self._remote.root} does not exist, nor does the directory it would lie in; nothing was changed",
                hint="check `path`, or make the directory first",
            ) from error
        except RemoteExists:
            return

    def _preparing(self, survey: Survey) -> list[Operation]:
        """Make the directories of the layout where they are missing."""
        wanted = ((STATE.manifests, 0o700), (STATE.incoming, 0o700), (RELEASES, 0o755))
        operations: list[Operation] = [
            MakeDirectory(path, mode, may_exist=True) for path, mode in wanted if path not in survey.found
        ]
        if STATE / "format" not in survey.found:
            operations.append(Write(STATE / "format", f"{FORMAT}\n".encode()))
        return operations

    def _perform(self, operations: Sequence[Operation], stage: str, then: Sequence[Operation] = ()) -> Sequence[Entry]:
        """Perform ``operations``, and ``then`` what may fail, which is only told."""
        left = [*operations, *then]
        while left:
            try:
                return self._remote.perform(left, self._run.step, stage)
            except RemoteError as error:
                if not any(error.operation is each for each in then):
                    raise
                self._run.warn(f"something old could not be removed: {error.message}")
                left = following(left, error.operation)
        return ()

    def _check_space(self, plan: ReleasesPlan) -> None:
        """Refuse what will not fit: the bytes of all files that are written, be they sent or copied there.

        An estimate: neither directories nor what is lost in half-filled blocks is counted.
        """
        assert plan.survey
        if not plan.survey.exists:
            return
        free = self._remote.free_space()
        sent = sum(entry.size for entry in plan.difference.send)
        copied = 0 if self._hard_links else sum(entry.size for entry in plan.difference.keep)
        if free is None or sent + copied <= free or (sent <= free and self._remote.shares_copies(STATE / "format")):
            return
        parts = f" ({sent:,} sent, {copied:,} copied from the live release)" if copied else ""
        raise TargetError(
            f"{self._remote.root} has no space for {sent + copied:,} bytes{parts}, only for {free:,}; "
            "nothing was changed",
            hint="make room on the target, or keep fewer releases (`keep`)",
        )


def following(operations: Sequence[Operation], operation: Operation | None) -> list[Operation]:
    """Those of ``operations`` that come after ``operation``."""
    return list(operations[next(at for at, each in enumerate(operations) if each is operation) + 1 :])


def before(live: str, good: dict[str, Ticket]) -> str:
    """The release that was live before ``live``, if it is there; else the newest good one that is older."""
    if live in good and good[live].previous in good:
        return good[live].previous
    older = [name for name in good if number_of(name) < number_of(live)]
    return older[-1] if older else ""


def snapshot_order(snapshot: Snapshot, found: Difference) -> tuple[Entry, ...]:
    """What a server that cannot copy has to be sent: changed and unchanged, in walk order."""
    paths = {entry.path for entry in (*found.send, *found.keep)}
    return tuple(entry for entry in snapshot.entries if entry.path in paths)


def plural(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
