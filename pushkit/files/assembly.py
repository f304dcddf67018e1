"""A release in the making: sent, copied, verified, in a stage of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import field

from pushkit.amount import counted
from pushkit.blocks import LARGE
from pushkit.errors import PushFailed, TargetError
from pushkit.files.arrival import Arrivals, arrived
from pushkit.files.diff import Difference
from pushkit.files.errors import RemoteError, RemoteFull
from pushkit.files.known import Known
from pushkit.files.layout import following
from pushkit.files.operation import (
    Base,
    Copy,
    Listing,
    MakeDirectory,
    Operation,
    Put,
    Remove,
    RemoveTree,
    Rename,
    SetMode,
    Switchable,
    Verify,
    Write,
)
from pushkit.files.place import RELEASES, STATE, TREE
from pushkit.files.remote import Remote
from pushkit.files.supply import Same, Supply
from pushkit.files.survey import FORMAT, Survey
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Kind, Plan, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run

#: From so many files, or so many bytes, a look at what lies in a spare takes less time than to copy them.
SEVERAL, MUCH = 500, 16 << 20
Perform = Callable[[Sequence[Operation], str, Sequence[Operation]], Sequence[Entry]]


class ReleasesPlan(Plan, frozen=True):
    """A plan that remembers what it found out; ``was`` is the digest of the live release's manifest."""

    survey: Survey | None = None
    difference: Difference = field(default_factory=lambda: Difference((), (), (), ()))
    steps_of: dict[str, Step] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    manifest: bytes = b""
    was: str = ""
    making: Sequence[Operation] = ()


class Assembly:
    """Makes releases on one remote, by ``perform``. ``hard_links``, ``times`` and ``supply`` are as in `Releases`."""

    def __init__(
        self,
        remote: Remote,
        run: Run,
        perform: Perform,
        known: Known,
        *,
        hard_links: bool,
        times: Callable[[Entry], float] | None,
        supply: Supply | None = None,
    ) -> None:
        self._remote = remote
        self._run = run
        self._perform = perform
        self._known = known
        self._hard_links = hard_links
        self._times = times
        self._supply = supply
        #: How much room there was, where the remote can tell, and whether that is too little beside a spare.
        self._free: int | None = None
        self._short = False

    def check_space(self, plan: ReleasesPlan) -> None:
        """Refuse what will not fit: the bytes of all files that are written, be they sent or copied there.

        An estimate: neither directories nor what is lost in half-filled blocks is counted, and a spare, which makes
        room in any case, is taken to be as large as the live release.
        """
        assert plan.survey
        if not plan.survey.exists:
            return
        self._free = free = self._remote.free_space()
        found = plan.difference
        sent = sum(entry.size for entry in found.send)
        copied = sum(entry.size for entry in self.taken(found)[1])
        live = sum(entry.size for entry in (*found.keep, *found.replaced)) if STATE.spare in plan.survey.found else 0
        self._short = free is not None and sent + copied > free
        if free is None or sent + copied <= free + live:
            return
        if sent <= free and self._remote.shares_copies(STATE / "format"):
            return
        parts = f" ({sent:,} sent, {copied:,} copied from the live release)" if copied else ""
        raise TargetError(
            f"{self._remote.root} has no space for {sent + copied:,} bytes{parts}, only for {free:,}; "
            "nothing was changed",
            hint="make room on the target, or keep fewer releases (`keep`)",
        )

    def taken(self, found: Difference) -> tuple[Sequence[Entry], Sequence[Entry]]:
        """What of the unchanged the remote takes from the live release by itself: what it links, and what it copies."""
        can = self._remote.capabilities
        # All names of a file have one mode: what gets another becomes a file of its own.
        modes = {entry.path for entry in found.modes}
        links = self._hard_links and can.links
        linked = [entry for entry in found.keep if links and entry.path not in modes]
        copied = [entry for entry in found.keep if not links or entry.path in modes] if can.copies else []
        return linked, copied

    def spends(self, plan: ReleasesPlan, survey: Survey) -> bool:
        """Whether the spare is there no more once the release is made: it begins as that, or has to make room."""
        return STATE.spare in survey.found and (self._short or self._begins(plan))

    def _begins(self, plan: ReleasesPlan) -> bool:
        """Whether a release begins as a spare: where that pays, and what is sent has room beside it."""
        found = plan.difference
        modes = {entry.path for entry in found.modes}
        sizes = [entry.size for entry in found.keep if entry.path not in modes]
        pays = len(sizes) >= SEVERAL or sum(sizes) >= MUCH
        room = self._free is None or sum(entry.size for entry in found.send) <= self._free
        return pays and room and self._remote.capabilities.spares

    def assemble(
        self,
        release: str,
        plan: ReleasesPlan,
        survey: Survey,
        snapshot: Snapshot,
        *,
        first: Sequence[Operation],
        then: Sequence[Operation],
        optional: Sequence[Operation] = (),
        spare: bool = False,
    ) -> None:
        """Make the release whole in its stage, and verify it; ``first`` comes before that.

        A ``spare`` that is there is gone then: see `spends`.
        ``then`` is done when it is whole, of which what is ``optional`` may fail.
        """
        stage = f"{STATE.incoming}/{release}"
        tree = f"{stage}/{TREE}"
        found = plan.difference
        steps = {step.action: step for step in plan.steps}
        for step in plan.steps:
            if step.action is Action.REMOVE:
                with self._run.step(step):  # not copied is removed
                    pass
        arrivals = arrived(self._remote, survey, TREE, found.send)
        arrivals.tell(self._run, plan.steps_of)
        transfer = self._transfer(plan, snapshot, arrivals)
        written = STATE.manifest(release)
        begins = spare and self._begins(plan)
        # Not where it lies: who was taken for dead may be at work in it.
        clearing = [Rename(STATE.spare, f"{stage}/spare"), RemoveTree(f"{stage}/spare")]
        operations: list[Operation] = [
            *first,
            *preparing(survey),
            *plan.making,
            MakeDirectory(stage, 0o700),
            MakeDirectory(tree, 0o755),
            *(clearing if spare and not begins else ()),
            Write(written, plan.manifest, base=self._base(plan)),
            Put(tree, transfer),
        ]
        operations += arrivals.linking(tree) if self._remote.capabilities.links else arrivals.moving(tree)
        if keep := steps.get(Action.KEEP):
            operations += self._keeping(plan, tree, keep, written, spare=begins)
        operations.append(Verify(tree, plan.entries, Listing(written), step=steps[Action.VERIFY]))
        operations += [*modes(tree, plan), *then]
        wrong: Sequence[Entry] = ()
        while operations:
            try:
                wrong = self._perform(operations, stage, optional)
                break
            except RemoteError as error:
                # Nothing is gone where there is no room for a copy.
                if isinstance(error, RemoteFull) or not isinstance(error.operation, Copy):
                    raise
                self._fill(tree, error.operation, snapshot)
                operations = following(operations, error.operation)
        if wrong:
            self._heal(tree, snapshot, {entry.path for entry in found.keep} | transfer.patched, wrong)
            self._perform([*modes(tree, plan), *then], stage, optional)

    def _base(self, plan: ReleasesPlan) -> Base | None:
        """The manifest of the live release, of which the new one differs in little; None where more is sent than both.

        Who takes up what a push sent that died wants to know all that it was to be.
        """
        if sum(entry.size for entry in plan.difference.send) > len(plan.manifest) or not plan.was:
            return None
        content = self._known.content(plan.was)
        return Base(STATE.manifest(plan.live), content) if content else None

    def _keeping(self, plan: ReleasesPlan, tree: str, step: Step, written: str, *, spare: bool) -> list[Operation]:
        """The operations that take what is unchanged from the live release; the new manifest is ``written``.

        With ``spare`` they take of it from there what can be.
        """
        source = f"{RELEASES}/{plan.live}"
        linked, copied = self.taken(plan.difference)
        others = [each for each in plan.difference.send if each.kind is not Kind.DIRECTORY]
        if spare:
            # What gets another mode may be one with a file of the live release, which must not.
            modes = {entry.path for entry in plan.difference.modes}
            alone = [entry for entry in copied if entry.path in modes]
            rest = [entry for entry in copied if entry.path not in modes]
            listing = Listing(written, [*others, *alone])
            taking = Copy(
                source, tree, linked or rest, link=bool(linked), listing=listing, spare=STATE.spare, step=step
            )
            return [taking, Copy(source, tree, alone)]
        if not linked:
            return [Copy(source, tree, copied, listing=Listing(written, others), step=step)]
        return [Copy(source, tree, linked, link=True, step=step), Copy(source, tree, copied)]

    def _transfer(self, plan: ReleasesPlan, snapshot: Snapshot, arrivals: Arrivals) -> Transfer:
        found = plan.difference
        entries = self._sent(plan, arrivals.paths)
        modes = {entry.path for entry in found.modes}
        steps = {path: step for path, step in plan.steps_of.items() if path not in modes}
        bases = {old.path: f"{RELEASES}/{plan.live}/{old.path}" for old in found.replaced if old.size >= LARGE}
        return Transfer(
            snapshot,
            entries,
            steps,
            self._run,
            self._times,
            bases=bases,
            supply=self._supply,
            begun=arrivals.begun,
        )

    def _sent(self, plan: ReleasesPlan, there: frozenset[str]) -> Sequence[Entry]:
        """What is sent where the paths ``there`` need not be; to hosts that lack the same, the same object."""

        def make() -> tuple[Entry, ...]:
            sent = {entry.path for entry in plan.difference.send}.difference(there)
            entries = [entry for entry in plan.entries if entry.kind is Kind.DIRECTORY or entry.path in sent]
            # Directories are made writable first, so that read-only ones can be filled.
            return tuple(entry._replace(mode=entry.mode | 0o700) if closed(entry) else entry for entry in entries)

        supply = self._supply
        if supply is None:
            return make()

        def known() -> tuple[Entry, ...]:
            entries = make()
            return supply.once(("entries", entries), lambda: entries)

        return supply.once(("sent", Same(plan.difference), there), known)

    def _fill(self, tree: str, copy: Copy, snapshot: Snapshot) -> None:
        """Send what could not be copied, since it is not there any more."""
        found = self._remote.collect((), looked=[f"{tree}/{entry.path}" for entry in copy.entries], limit=0)
        gone = [entry for entry in copy.entries if f"{tree}/{entry.path}" not in found]
        self._run.warn(f"{counted(len(gone), 'path')} of {copy.source} are gone from the target and are sent again")
        self._remote.put(tree, Transfer(snapshot, gone, {}, self._run, self._times))

    def _heal(self, tree: str, snapshot: Snapshot, taken: Collection[str], wrong: Sequence[Entry]) -> None:
        """Send again what had been altered in the live release and was ``taken`` from it, in whole or in part.

        Raises `PushFailed` for what does not arrive whole.
        """
        if altered := [entry for entry in wrong if entry.path in taken]:
            # Somebody edited the live release: what is pushed is the snapshot, whole.
            self._run.warn(f"{counted(len(altered), 'file')} had been altered on the target, {altered[0].path!r} first")
            self._perform([Remove(f"{tree}/{entry.path}") for entry in altered], STATE.name, ())
            self._remote.put(tree, Transfer(snapshot, altered, {}, self._run, self._times))
            wrong = self._remote.verify(tree, wrong)
        if wrong:
            raise PushFailed(
                f"{counted(len(wrong), 'file')} did not arrive whole, {wrong[0].path!r} first; what was live stays",
                hint="push again; if it happens again, look at the target's disk",
            )


def modes(tree: str, plan: ReleasesPlan) -> list[Operation]:
    """The operations that set the modes which sending and copying did not."""
    changed = {entry.path for entry in plan.difference.modes}
    operations: list[Operation] = []
    concerned = [entry for entry in plan.entries if entry.kind is Kind.DIRECTORY or entry.path in changed]
    # The deepest first: below a directory that is closed nothing can be set any more.
    for entry in reversed(concerned):
        if entry.path in changed:
            operations.append(SetMode(f"{tree}/{entry.path}", entry.mode, step=plan.steps_of[entry.path]))
        elif closed(entry):
            operations.append(SetMode(f"{tree}/{entry.path}", entry.mode))
    return operations


def closed(entry: Entry) -> bool:
    """Whether it is a directory that its owner could not fill."""
    return entry.kind is Kind.DIRECTORY and entry.mode & 0o700 != 0o700


def preparing(survey: Survey) -> list[Operation]:
    """Make the directories of the layout where they are missing."""
    wanted = ((STATE.manifests, 0o700), (STATE.incoming, 0o700), (RELEASES, 0o755))
    operations: list[Operation] = [
        MakeDirectory(path, mode, may_exist=True) for path, mode in wanted if path not in survey.found
    ]
    if STATE / "format" not in survey.found:
        operations.append(Switchable(STATE / "link"))
        operations.append(Write(STATE / "format", f"{FORMAT}\n".encode()))
    return operations


def in_order(entries: Sequence[Entry], *chosen: Iterable[Entry]) -> tuple[Entry, ...]:
    """Those of ``entries`` that are ``chosen``, in walk order."""
    paths = {entry.path for each in chosen for entry in each}
    return tuple(entry for entry in entries if entry.path in paths)
