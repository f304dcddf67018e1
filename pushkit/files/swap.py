"""The swap layout: what is live is a real directory, and a push puts another one in its place by two renames.

::

    PATH/
      current/                                       what is live; `live` in the Pushfile says how it is called
      .htswap/                                       mode 0700, refused to the web
        format, log, hold, fence, pushes/            as in the releases layout
        live                                         the id of the release that is live
        manifests/000042-20261122T193012Z-4f2a91c    every path of it, with its sha256
        incoming/000043-20261123T080000Z-99b1c02/    an upload under way
        retired/000041-20261121T101500Z-aa01e77      what was live before, whole
        journal                                      there while two directories change their places

It is for servers that have no symlinks and rename directories. Between the two renames there is nothing at the name:
one round trip, or as long as it takes until the next push, when the first died just there. That push finishes what the
journal says, or undoes it where the new tree is not whole any more, and says which.

No server has to copy anything: a new tree begins as the one that was live before the one that is live now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace

from pushkit import manifest
from pushkit.amount import counted
from pushkit.errors import Busy, Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files.actual import actual, findings, scan
from pushkit.files.arrival import arrived
from pushkit.files.diff import Difference, difference, subject
from pushkit.files.errors import RemoteExists
from pushkit.files.exchange import JOURNAL, LIVE, RETIRED, Exchange, Exchanges
from pushkit.files.journal import OPEN
from pushkit.files.layout import UNDERWAY, Layout, following
from pushkit.files.operation import (
    Absent,
    MakeDirectory,
    Operation,
    Present,
    Put,
    Remove,
    RemoveDirectory,
    RemoveTree,
    Rename,
    SetMode,
    Verify,
    Write,
)
from pushkit.files.place import GUARD, MIRROR, TREE
from pushkit.files.place import STATE as RELEASES
from pushkit.files.place import SWAP as STATE
from pushkit.files.queue import FEW, STALE, Queue, expired, expiring
from pushkit.files.remote import Remote
from pushkit.files.stat import above
from pushkit.files.survey import FORMAT, Look, Survey
from pushkit.files.ticket import GOOD, RECORD, RELEASE_ID, ROLLED_BACK, Ticket, number_of
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Finding, Kind, Plan, Release, Severity, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line


@dataclass(frozen=True)
class SwapPlan(Plan):
    """A plan that remembers what it found out. ``base`` is the retired release whose tree becomes the new one."""

    survey: Survey | None = None
    base: str = ""
    difference: Difference = field(default_factory=lambda: Difference((), (), (), ()))


def looking(name: str) -> Look:
    """What this layout looks at."""
    looked = (STATE.incoming, STATE.manifests, RELEASES / "format", MIRROR / "format", name)
    return Look(STATE, trees=(LIVE, JOURNAL, STATE.manifests), listed=(RETIRED,), looked=looked)


class Swap(Layout):
    """The directory ``name`` of one target on one remote. ``times`` is as in `Releases`."""

    def __init__(
        self,
        remote: Remote,
        run: Run,
        name: str,
        *,
        stale: float = STALE,
        times: Callable[[Entry], float] | None = None,
    ) -> None:
        super().__init__(remote, run)
        self._name = name
        self._times = times
        self._switched = False
        self._tidied = False
        self._look = looking(name)
        self.queue = Queue(remote, STATE, run, look=self.look, settle=self._settle, stale=stale)
        self._exchanges = Exchanges(remote, run, self.queue, name)

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = self._look.at(self._remote, self._known)
        found.check(STATE.incoming, STATE.manifests, STATE.pushes, RETIRED)
        for layout, state in (("releases", RELEASES), ("mirror", MIRROR)):
            if state / "format" in found.found:
                raise PushRefused(
                    f"{self._remote.root} holds pushes of the layout {layout}; nothing was sent",
                    hint=f'set layout = "{layout}", or push to another path',
                )
        there = found.found.get(self._name)
        if there is not None and there.stat.kind is not Kind.DIRECTORY:
            raise PushRefused(
                f"{self._remote.root}/{self._name} is a {there.stat.kind or 'special file'}, and is to be the "
                "directory that is live; nothing was sent",
                hint="no push put it there: move it away, or give another name as `live`",
            )
        return found

    def live(self, survey: Survey | None = None) -> str:
        """The id of the live release, empty before the first push."""
        found = (survey or self.look()).found.get(LIVE)
        release = found.content.decode("ascii", "replace").strip() if found else ""
        return release if RELEASE_ID.fullmatch(release) else ""

    def history(self, survey: Survey | None = None) -> list[Release]:
        """The release before the live one, if its tree is there, and the live one."""
        survey = survey or self.look()
        names = [name for name in (self._before(survey), self.live(survey)) if name]
        made = {ticket.release.id: ticket.release for ticket in survey.tickets if ticket.release}
        return [made[name] for name in names if name in made]

    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether it is known what the live release put here."""
        if JOURNAL in survey.found:
            warnings.append("a push changes what is live at this moment, or died while it did")
        elif self._name not in survey.found:
            warnings.append(f"{self._name}, which is to be live, is not there")
        elif self._entries(release, survey) is None:
            warnings.append(f"the manifest of the live release {release} is missing or damaged")
        else:
            return True
        return False

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live, by the manifest of that."""
        survey = self.look()
        before = self._entries(self.live(survey), survey) or []
        self._shown = {e.path: f"{self._name}/{e.path}" for e in before if e.kind is Kind.FILE}
        return difference(before, snapshot.entries).steps

    def verify(self) -> Sequence[Finding]:
        """What of the live release is not as it was pushed."""
        survey = self.look()
        where = f"{self._remote.root}/{self._name}"
        pushed = self._entries(self.live(survey), survey)
        if pushed is None:
            return [Finding(Severity.ERROR, where, "it is not known what was pushed there", "push again")]
        if not self.live(survey):
            return [Finding(Severity.OK, where, "nothing was pushed to it yet")]
        lying = actual(self._remote, self._name, pushed)
        return findings(where, pushed, lying, digests=self._remote.capabilities.digests)

    def plan(self, snapshot: Snapshot) -> SwapPlan:
        """What it would take to make ``snapshot`` live.

        Raises `PushRefused` when it would put away what no push put there, unless ``run.adopt``.
        """
        if self._run.prepare:
            raise PushRefused(
                "the layout swap keeps no release that waits; nothing was sent",
                hint='push without --prepare-only, or set layout = "releases"',
            )
        survey = self.look()
        self._check_root(survey)
        live = self.live(survey)
        target = self._run.target.name
        if JOURNAL in survey.found:
            why = "its push changes what is live, or died while it did: that comes first"
            return SwapPlan(target, (Step(Action.VERIFY, "journal", why),), 0, live, (), None, survey)
        warnings: list[str] = []
        known = self._entries(live, survey)
        if known is None or (live and self._name not in survey.found):
            warnings.append(f"what {live} put here is not known, or not there any more: all of it is sent")
        before = [] if known is None or self._name not in survey.found else known
        altered = self._run.repair and bool(before) and self._altered(before)
        shown = difference(before, snapshot.entries)
        if live and not shown.steps and not warnings and not altered:
            return SwapPlan(target, self._leftovers(survey, live), snapshot.files, live, (), None, survey)
        self._check_foreign(survey, before, warnings)
        base, lying = self._base(survey)
        found = difference(lying, snapshot.entries)
        steps = self._steps(shown, found, live, snapshot.files)
        if survey.hold:
            warnings.append(f"pushes are held by {survey.hold.who} since {survey.hold.when}: {survey.hold.why}")
        kept = snapshot.files - sum(entry.kind is Kind.FILE for entry in found.send)
        return SwapPlan(target, steps, kept, live, tuple(warnings), None, survey, base, found)

    def _steps(self, shown: Difference, found: Difference, live: str, files: int) -> tuple[Step, ...]:
        """What is sent, each with the reason that what is live gives for it, if it does; then the switch."""
        reasons = {step.subject: step for step in shown.steps}
        late = "not in the tree that becomes live"
        steps = [
            reasons.get(subject(entry)) or Step(Action.ADD, subject(entry), late, entry.size) for entry in found.send
        ]
        gone = [step for step in shown.steps if step.action is Action.REMOVE]
        how = "by sha256" if self._remote.capabilities.digests else "by size"
        verify = Step(Action.VERIFY, counted(files, "file"), how)
        return (*steps, *gone, verify, Step(Action.SWITCH, self._name, f"from {live}" if live else "first push"))

    def _altered(self, pushed: Sequence[Entry]) -> bool:
        lying = actual(self._remote, self._name, pushed)
        return any(step.action is not Action.ADD for step in difference(pushed, lying).steps)

    def _entries(self, release: str, survey: Survey) -> list[Entry] | None:
        """The entries of a release, of none no entries; None when its manifest is missing or damaged."""
        if not release:
            return []
        found = survey.found.get(STATE.manifest(release))
        with suppress(ValueError):
            return manifest.decode(found.content) if found else None
        return None

    def _before(self, survey: Survey) -> str:
        """The release that was live before, if its tree and its manifest are there."""
        live = self.live(survey)
        there = [name for name in survey.names(RETIRED) if RELEASE_ID.fullmatch(name) and name != live]
        known = [name for name in there if STATE.manifest(name) in survey.found]
        return max(known, key=number_of, default="")

    def _base(self, survey: Survey) -> tuple[str, list[Entry]]:
        """The retired release whose tree becomes the new one, and what is in it: it is used as it was pushed only."""
        name = self._before(survey)
        pushed = self._entries(name, survey)
        if not name or pushed is None:
            return "", []
        wanted = {entry.path: (entry.kind, entry.size) for entry in pushed if entry.kind is not Kind.SYMLINK}
        lying = {
            path: (stat.kind, stat.size if stat.kind is Kind.FILE else 0)
            for path, stat in scan(self._remote, f"{RETIRED}/{name}")
            if stat.kind is not Kind.SYMLINK
        }
        if lying != wanted or self._remote.verify(f"{RETIRED}/{name}", pushed):
            return "", []
        return name, pushed

    def _check_foreign(self, survey: Survey, before: Sequence[Entry], warnings: list[str]) -> None:
        """Refuse to put away what no push put there, unless ``run.adopt``."""
        if self._name not in survey.found:
            return
        ours = {entry.path for entry in before}
        foreign = [path for path, _ in scan(self._remote, self._name) if path not in ours]
        if not foreign:
            return
        what = f"{counted(len(foreign), 'path')} that no push put in {self._name}, {foreign[0]!r} first,"
        if not self._run.adopt:
            raise PushRefused(
                f"{what} would not be live any more; nothing was changed",
                hint='look at them; push --adopt puts them away; layout = "mirror" leaves them where they are',
            )
        warnings.append(f"{what} will lie in {RETIRED} when the new tree is live")

    # Acting.

    def push(self, plan: SwapPlan, snapshot: Snapshot) -> Release:
        """Carry out ``plan``. Until its SWITCH step nothing that is live is touched. Raises `Overtaken`."""
        assert plan.survey
        ready = plan.count(Action.SWITCH) > 0
        entrance, survey = self._begin(snapshot, plan.live, plan.survey, ready=ready)
        if not ready:
            assert self._ticket
            with self.queue.alive(self._ticket), self._run.step(plan.steps[0]):
                if JOURNAL in survey.found:
                    self._exchanges.recover(self._ticket, survey)
                elif self.live(survey) == plan.live:
                    self._tidied = True
                    gone = [RemoveTree(path) for path in expired(survey)]
                    going = [*self._dead(survey, plan.live, self._ticket.number), *gone]
                    self._perform(going, STATE.name, going)
            raise Overtaken(f"what is live on {plan.target} has been completed; this push has to be planned again")
        if JOURNAL in survey.found or self.live(survey) != plan.live:
            raise Overtaken(f"another push made {self.live(survey) or 'nothing'} live on {plan.target} meanwhile")
        held, self._ticket = entrance.ticket if entrance else self._ticket, None
        assert held
        assert held.release
        ticket = replace(held, previous=plan.live)
        again = Write(f"{STATE.ticket(ticket.number)}/{RECORD}", ticket.record())
        with self.queue.alive(ticket):
            try:
                self._carry_out(ticket, plan, survey, snapshot, entrance.operations if entrance else [again])
            except BaseException as error:
                self._check_entered(entrance, error)
                self._leave(ticket, error)
        return held.release

    def _carry_out(
        self, ticket: Ticket, plan: SwapPlan, survey: Survey, snapshot: Snapshot, first: Sequence[Operation]
    ) -> None:
        """Send, verify, and make it live; ``first`` comes before that."""
        assert ticket.release
        release = ticket.release.id
        self._switched = False
        stage = f"{STATE.incoming}/{release}"
        tree = f"{stage}/{TREE}"
        found, after = plan.difference, snapshot.entries
        *steps, verify, switch = plan.steps
        told = {step.subject.rstrip("/"): step for step in steps if step.action is not Action.REMOVE}
        arrivals = arrived(self._remote, survey, TREE, found.send)
        arrivals.tell(self._run, told)
        sent = {entry.path for entry in found.send} - arrivals.paths
        ways = {way for entry in found.send for way in above(entry.path)}
        opened = {entry.path: entry for entry in after if entry.kind is Kind.DIRECTORY and entry.mode & OPEN != OPEN}
        entries = [
            entry._replace(mode=entry.mode | OPEN) if entry.path in opened else entry
            for entry in after
            if entry.path in sent or entry.path in ways
        ]
        steps_sent = {path: step for path, step in told.items() if path in sent}
        transfer = Transfer(snapshot, entries, steps_sent, self._run, self._times, begun=arrivals.begun)
        modes = {entry.path: entry for entry in found.modes} | opened
        verifying = Verify(tree, after, step=verify)
        # What lay there before the first push goes beside the releases, and stays.
        was = plan.live or f"found-{ticket.number:06d}"
        change = Exchange(release, was if self._name in survey.found else "", tree)
        operations: list[Operation] = [
            *first,
            *self._preparing(survey),
            MakeDirectory(stage, 0o700),
            *self._beginning(plan.base, tree, found),
            # Only now: what a push that dies has left is taken up by it, and is what it says.
            Write(STATE.manifest(release), snapshot.manifest),
            Put(tree, transfer),
            *arrivals.moving(tree),
            *(SetMode(f"{tree}/{entry.path}", entry.mode) for entry in reversed(list(modes.values()))),
            verifying,
            *self.queue.holding(ticket),
            (Present if self._name in survey.found else Absent)(self._name),
            self.queue.switching(ticket),
            *self._exchanges.operations(change, switch),
            *self.queue.ending(ticket, GOOD),
        ]
        then = [RemoveTree(stage), *self._pruning(ticket, survey, release, plan.live)]
        operations += then
        wrong = self._perform(operations, stage, then)
        if wrong:
            again = Transfer(snapshot, wrong, {}, self._run, self._times)
            gone = [Remove(f"{tree}/{entry.path}") for entry in wrong]
            rest = [*gone, Put(tree, again), Verify(tree, wrong), *following(operations, verifying)]
            wrong = self._perform(rest, stage, then)
        if wrong:
            raise PushFailed(
                f"{counted(len(wrong), 'file')} did not arrive whole, {wrong[0].path!r} first; what was live stays",
                hint="push again; if it happens again, look at the target's disk",
            )
        for step in steps:
            if step.action is Action.REMOVE:  # it went with the whole of what was live
                with self._patient().step(step):
                    pass

    def _beginning(self, base: str, tree: str, found: Difference) -> list[Operation]:
        """The operations after which ``tree`` has what need not be sent, and nothing else."""
        if not base:
            return [MakeDirectory(tree, 0o755)]
        gone = [step.subject for step in found.steps if step.action is Action.REMOVE]
        # What takes the place of something else is removed as well: there are servers that let nobody write over it.
        files = [path for path in gone if not path.endswith("/")] + [entry.path for entry in found.replaced]
        kinds = [e.path for e in found.send if e not in found.replaced and self._turned(e, found)]
        return [
            Remove(STATE.manifest(base)),
            Rename(f"{RETIRED}/{base}", tree),
            *(Remove(f"{tree}/{path}") for path in files),
            *(RemoveDirectory(f"{tree}/{path.rstrip('/')}") for path in gone if path.endswith("/")),
            *(RemoveTree(f"{tree}/{path}") for path in kinds),
        ]

    def _turned(self, entry: Entry, found: Difference) -> bool:
        """Whether something of another kind lies where ``entry`` is to be."""
        reasons = {step.subject.rstrip("/"): step.reason for step in found.steps}
        return reasons.get(entry.path, "new") not in {"new", "content differs"}

    def _preparing(self, survey: Survey) -> list[Operation]:
        """Make what the layout needs where it is missing."""
        needed = (STATE.manifests, STATE.incoming, RETIRED)
        made: list[Operation] = [
            MakeDirectory(path, 0o700, may_exist=True) for path in needed if path not in survey.found
        ]
        if STATE / "format" in survey.found:
            return made
        return [*made, Write(STATE / ".htaccess", GUARD, 0o644), Write(STATE / "format", f"{FORMAT}\n".encode())]

    def _pruning(self, ticket: Ticket, survey: Survey, release: str, was: str) -> list[Operation]:
        """Remove what dead pushes left, trees that were live before ``was``, and old tickets."""
        return [
            *self._dead(survey, release, ticket.number, {was}),
            *expiring(survey, [number_of(name) for name in (release, was) if name], FEW),
        ]

    def _leftovers(self, survey: Survey, live: str) -> tuple[Step, ...]:
        """The step that removes what a push left that made its release live and died before it had cleaned up."""
        dead = [*self._dead(survey, live, survey.last + 1), *expired(survey)]
        if not dead or self._tidied or survey.hold:
            return ()
        return (Step(Action.PRUNE, counted(len(dead), "path"), "left by a push that died"),)

    def _dead(self, survey: Survey, live: str, number: int, more: Collection[str] = frozenset()) -> list[Operation]:
        """Remove what pushes before ``number`` left: all but ``live``, what was before it, and ``more``."""
        queued = {each.release.id for each in survey.open_tickets if each.release} - {live}
        stay = {live, *more} if more else {live, self._before(survey)}
        stages = [name for name in survey.names(STATE.incoming) if name not in queued]

        def old(name: str) -> bool:
            known = RELEASE_ID.fullmatch(name) and number_of(name) < number
            return bool(known) and name not in stay | queued

        prefix = STATE.manifests + "/"
        known = [path.removeprefix(prefix) for path in survey.found if path.startswith(prefix)]
        return [
            *(RemoveTree(f"{STATE.incoming}/{name}") for name in stages if old(name) or name == live),
            *(RemoveTree(f"{RETIRED}/{name}") for name in survey.names(RETIRED) if old(name)),
            # What follows a point was left by a push that died while it wrote.
            *(
                Remove(STATE.manifest(name))
                for name in known
                if old(name.partition(".")[0]) or (name not in stay and name.partition(".")[0] in stay)
            ),
        ]

    def _reported(self, step: Step) -> AbstractContextManager[None]:
        """Report a step. From the SWITCH step on, who asks to stop is heard when it is over."""
        self._switched = self._switched or step.action is Action.SWITCH
        return (self._patient() if self._switched else self._run).step(step)

    # After a failure, or a death.

    def _leave(self, ticket: Ticket, error: BaseException) -> None:
        """Give up after ``error``, and raise what is to be told."""
        assert ticket.release
        release = ticket.release.id
        told: BaseException = error
        switched, again = self._switched, self.regained(error)
        try:
            survey = self.look()
            if isinstance(error, RemoteExists):
                with suppress(TargetError, PushRefused):
                    told = self.queue.lost(ticket, error)
            if self.queue.owns(ticket, survey):
                if JOURNAL in survey.found:
                    self._exchanges.recover(ticket, survey)
                    survey = self.look()
                if self.live(survey) == release:
                    self.queue.end(ticket, GOOD)
                    told = error if isinstance(error, (Interrupted, KeyboardInterrupt)) else PushFailed(
                        f"{one_line(error)}; {release} is live", hint=getattr(error, "hint", "")
                    )  # fmt: skip
                    again = False
                else:
                    if not isinstance(error, UNDERWAY):
                        stage = f"{STATE.incoming}/{release}"
                        self._perform([RemoveTree(stage), Remove(STATE.manifest(release))], STATE.name)
                    self.queue.end(ticket, self._failed(error))
        except (TargetError, PushRefused):
            if switched and isinstance(error, TargetError):
                told = PushFailed(
                    f"{one_line(error)}; nobody knows whether {release} went live",
                    hint="push again: the next push finishes it, or undoes it, first",
                )
        if told is not error:
            raise told from error
        if again:
            raise Overtaken(f"{one_line(error)}; this push has to be planned again") from error
        raise error

    def _settle(self, ticket: Ticket, survey: Survey) -> str:
        """How a push ended that died when it had begun to switch. Who holds the target next finishes or undoes it."""
        live = ticket.release is not None and self.live(survey) == ticket.release.id
        return ticket.success if live and JOURNAL not in survey.found else "died while it switched"

    # Going back.

    def rollback(self, wanted: str = "") -> Release:
        """Make the release before the live one live again: the two change places."""
        survey = self.look()
        if JOURNAL in survey.found:
            raise PushRefused(
                "a push died while it changed what is live; nothing was changed", hint="push: it is completed first"
            )
        live, before = self.live(survey), self._before(survey)
        made = {each.release.id: each.release for each in survey.tickets if each.release}
        if not before or before not in made or (wanted and wanted not in {before, str(number_of(before))}):
            raise PushRefused(
                f"{self._remote.root} holds no release {wanted or 'before the one that is live'} to go back to",
                hint=f"there is {before}" if before else "push the earlier revision again",
            )
        release = made[before]
        ticket, survey = self._enter(survey, lambda number: Ticket(number, release, live, "rollback"))
        with self.queue.alive(ticket):
            if self.live(survey) != live or self._before(survey) != before or JOURNAL in survey.found:
                self.queue.end(ticket, "overtaken")
                raise Busy(
                    "another push changed what is live meanwhile; this rollback changed nothing", hint="look again"
                )
            step = Step(Action.SWITCH, self._name, f"from {live} back to {before}")
            change = Exchange(before, live, f"{RETIRED}/{before}")
            try:
                self._perform(
                    [
                        *self.queue.holding(ticket),
                        self.queue.switching(ticket),
                        *self._exchanges.operations(change, step),
                        *self.queue.ending(ticket, ROLLED_BACK),
                    ],
                    STATE.name,
                )
            except BaseException as error:
                with suppress(TargetError, PushRefused):
                    if JOURNAL in (now := self.look()).found:
                        self._exchanges.recover(ticket, now)
                    self.queue.end(ticket, ROLLED_BACK if self.live() == before else self._failed(error))
                raise
        return release

    def switch(self, wanted: str) -> Release:
        """As `rollback`: there is no other release to switch to."""
        return self.rollback(wanted)

    def resume(self, number: int = 0) -> Release:
        """Refuse: a push finishes by itself what another has begun."""
        raise PushRefused(
            f"no push to {self._run.target.name} waits to be resumed",
            hint="push: what a push that died had begun is finished first",
        )
