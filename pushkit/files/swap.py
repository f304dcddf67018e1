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

from collections.abc import Callable, Sequence
from contextlib import suppress

from pushkit.amount import counted
from pushkit.errors import Busy, PushRefused, TargetError
from pushkit.files import exchange
from pushkit.files.actual import actual, findings, scan
from pushkit.files.arrival import arrived
from pushkit.files.diff import Difference, difference, subject
from pushkit.files.errors import RemoteLost
from pushkit.files.exchange import RETIRED, Exchange, Exchanges
from pushkit.files.journal import OPEN
from pushkit.files.journaled import Journaled, JournaledPlan
from pushkit.files.layout import failure, patient
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
from pushkit.files.place import SWAP as STATE
from pushkit.files.place import TREE, others
from pushkit.files.queue import FEW, STALE, expiring
from pushkit.files.remote import Remote
from pushkit.files.stat import above
from pushkit.files.survey import Look, Survey
from pushkit.files.ticket import GOOD, RELEASE_ID, ROLLED_BACK, Ticket, number_of
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Finding, Kind, Release, Severity, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run


class SwapPlan(JournaledPlan, frozen=True):
    """A plan that knows the retired release whose tree becomes the new one, its ``base``."""

    base: str = ""


def looking(name: str) -> Look:
    """What this layout looks at."""
    looked = (STATE.incoming, STATE.manifests, *others(STATE), name)
    return Look(STATE, trees=(STATE.live, STATE.journal, STATE.manifests), listed=(RETIRED,), looked=looked)


class Swap(Journaled[SwapPlan]):
    """The directory ``name`` of one target on one remote. ``times`` is as in `Releases`."""

    state = STATE
    directories = (STATE.manifests, STATE.incoming, RETIRED)
    doubt = "live in part, or nothing is"

    def __init__(
        self,
        remote: Remote,
        run: Run,
        name: str,
        *,
        stale: float = STALE,
        times: Callable[[Entry], float] | None = None,
    ) -> None:
        super().__init__(remote, run, looking(name), stale=stale, times=times)
        self._name = name
        self._exchanges = Exchanges(remote, run, self.queue, name)

    # Looking.

    def look(self) -> Survey:
        """What the target holds. Refuses what this layout did not make."""
        found = super().look()
        there = found.found.get(self._name)
        if there is not None and there.stat.kind is not Kind.DIRECTORY:
            raise PushRefused(
                f"{self._remote.root}/{self._name} is a {there.stat.kind or 'special file'}, and is to be the "
                "directory that is live; nothing was sent",
                hint="no push put it there: move it away, or give another name as `live`",
            )
        return found

    def history(self, survey: Survey | None = None) -> list[Release]:
        """The release before the live one, if its tree is there, and the live one."""
        survey = survey or self.look()
        names = [name for name in (self._before(survey), self.live(survey)) if name]
        made = {ticket.release.id: ticket.release for ticket in survey.tickets if ticket.release}
        return [made[name] for name in names if name in made]

    def is_there(self, release: str, survey: Survey, warnings: list[str]) -> bool:
        """Whether it is known what the live release put here."""
        if STATE.journal in survey.found:
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
        if due := self._due(survey):
            return SwapPlan(target, (due,), 0, live, (), None, survey)
        warnings: list[str] = []
        known = self._entries(live, survey)
        if known is None or (live and self._name not in survey.found):
            warnings.append(f"what {live} put here is not known, or not there any more: all of it is sent")
        before = [] if known is None or self._name not in survey.found else known
        altered = self._run.repair and bool(before) and self._altered(before)
        shown = difference(before, snapshot.entries)
        if live and not shown.steps and not warnings and not altered:
            return SwapPlan(target, self._leftovers(survey), snapshot.files, live, (), None, survey)
        self._check_foreign(survey, before, warnings)
        base, lying = self._base(survey)
        found = difference(lying, snapshot.entries)
        steps = self._steps(shown, found, live, snapshot.files)
        if survey.hold:
            warnings.append(f"pushes are held by {survey.hold.who} since {survey.hold.when}: {survey.hold.why}")
        kept = snapshot.files - sum(entry.kind is Kind.FILE for entry in found.send)
        freed = sum(entry.size for entry in lying) - sum(entry.size for entry in found.keep)
        return SwapPlan(target, steps, kept, live, tuple(warnings), None, survey, found, freed, base)

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
        with suppress(ValueError):
            return survey.entries(release)
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
        where = f"{RETIRED}/{name}"
        wanted = {entry.path: (entry.kind, entry.size) for entry in pushed}
        lying = {
            path: (stat.kind, stat.size if stat.kind is Kind.FILE else 0) for path, stat in scan(self._remote, where)
        }
        links = [entry for entry in pushed if entry.kind is Kind.SYMLINK]
        if lying != wanted or any(self._remote.read_link(f"{where}/{entry.path}") != entry.link for entry in links):
            return "", []
        return ("", []) if self._remote.verify(where, pushed) else (name, pushed)

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

    def _carry_out(
        self, ticket: Ticket, plan: SwapPlan, survey: Survey, snapshot: Snapshot, first: Sequence[Operation]
    ) -> None:
        """Send, verify, and make it live; ``first`` comes before that."""
        assert ticket.release
        release = ticket.release.id
        self._switched = False
        stage = STATE.stage(release)
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
            *self._preparing(survey, stage),
            *self._beginning(plan.base, release, tree, found),
            # Only now: where no digests are, a file that is to be replaced may look like the one that replaces it.
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
        # What was in the tree before somebody may have altered since it was planned with.
        self._deliver(operations, verifying, release, snapshot, then, made={entry.path for entry in after})
        for step in steps:
            if step.action is Action.REMOVE:  # it went with the whole of what was live
                with patient(self._run).step(step):
                    pass

    def _beginning(self, base: str, release: str, tree: str, found: Difference) -> list[Operation]:
        """The operations after which ``tree`` has what need not be sent, and nothing else."""
        if not base:
            return [MakeDirectory(tree, 0o755)]
        gone = [step.subject for step in found.steps if step.action is Action.REMOVE]
        # What takes the place of something else is removed as well: there are servers that let nobody write over it.
        files = [path for path in gone if not path.endswith("/")] + [entry.path for entry in found.replaced]
        kinds = [e.path for e in found.send if e not in found.replaced and self._turned(e, found)]
        return [
            # Until it says what it is to be, it says what it was: what a push that dies leaves is taken up by it.
            Rename(STATE.manifest(base), STATE.manifest(release)),
            Rename(f"{RETIRED}/{base}", tree),
            *(Remove(f"{tree}/{path}") for path in files),
            *(RemoveDirectory(f"{tree}/{path.rstrip('/')}") for path in gone if path.endswith("/")),
            *(RemoveTree(f"{tree}/{path}") for path in kinds),
        ]

    def _turned(self, entry: Entry, found: Difference) -> bool:
        """Whether something of another kind lies where ``entry`` is to be."""
        reasons = {step.subject.rstrip("/"): step.reason for step in found.steps}
        return reasons.get(entry.path, "new") not in {"new", "content differs"}

    def _pruning(self, ticket: Ticket, survey: Survey, release: str, was: str) -> list[Operation]:
        """Remove what dead pushes left, trees that were live before ``was``, and old tickets."""
        needed = [number_of(name) for name in (release, was) if name]
        return [*self._clearing(survey, ticket.number, release, was), *expiring(survey, needed, FEW)]

    def _clearing(self, survey: Survey, number: int, live: str = "", *more: str) -> list[Operation]:
        """As there, and trees that were live: but the one before the live one, or those that ``more`` names."""
        live, more = live or self.live(survey), more or (self._before(survey),)
        old = self._older(survey, number, live)
        gone = [name for name in survey.names(RETIRED) if old(name) and name not in {live, *more}]
        return [
            *super()._clearing(survey, number, live, *more),
            *(RemoveTree(f"{RETIRED}/{name}") for name in gone),
        ]

    # After a failure, or a death.

    def _journalled(self, survey: Survey) -> str:
        """The release whose journal is there, empty when it cannot be read."""
        with suppress(KeyError, ValueError):
            return exchange.decode(survey.found[STATE.journal].content).release
        return ""

    def _doubtful(self, error: BaseException) -> bool:
        """Also when nobody knows whether what is live was put away."""
        operation = error.operation if isinstance(error, RemoteLost) else None
        return super()._doubtful(error) or (isinstance(operation, Rename) and operation.old == self._name)

    def _recover(self, ticket: Ticket, survey: Survey) -> bool:
        """Finish the exchange, or undo it."""
        return self._exchanges.recover(ticket, survey)

    # Going back.

    def rollback(self, wanted: str = "") -> Release:
        """Make the release before the live one live again: the two change places."""
        survey = self.look()
        if STATE.journal in survey.found:
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
            if self.live(survey) != live or self._before(survey) != before or STATE.journal in survey.found:
                self.queue.end(ticket, "overtaken")
                raise Busy(
                    "another push changed what is live meanwhile; this rollback changed nothing",
                    hint="look at it (push status), then roll back again",
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
                try:
                    if STATE.journal in (now := self.look()).found:
                        self._exchanges.recover(ticket, now)
                    self.queue.end(ticket, ROLLED_BACK if self.live() == before else failure(error, self._run))
                except (TargetError, PushRefused):
                    if self._doubtful(error) and isinstance(error, TargetError):
                        raise self._in_doubt(before, error) from error
                raise
        return release
