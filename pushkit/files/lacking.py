"""What a target lacks of a project: what is sent, what is taken from the live release, each step with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pushkit import manifest
from pushkit.amount import counted
from pushkit.files.actual import actual
from pushkit.files.assembly import Assembly, in_order
from pushkit.files.diff import Difference, difference
from pushkit.files.live_release import damaged
from pushkit.files.merge import merge
from pushkit.files.place import RELEASES
from pushkit.files.remote import Remote
from pushkit.files.shared import Shared
from pushkit.files.supply import Same, Supply
from pushkit.model import Action, Entry, Kind, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run


class Lacking(NamedTuple):
    """What a target lacks: the steps that bring it there, those of its paths by path, and how many files it has."""

    difference: Difference
    steps: tuple[Step, ...]
    steps_of: dict[str, Step]
    kept: int
    warnings: tuple[str, ...]


class Comparison:
    """Compares what is to be live with the live release of one target. ``supply`` is as in `Releases`."""

    def __init__(
        self, remote: Remote, run: Run, shared: Shared, assembly: Assembly, supply: Supply | None = None
    ) -> None:
        self._remote = remote
        self._run = run
        self._shared = shared
        self._assembly = assembly
        self._supply = supply

    def wanted(self, snapshot: Snapshot) -> tuple[Sequence[Entry], Sequence[str], bytes]:
        """What a release of ``snapshot`` holds, the paths that stay here, and the manifest of what it holds."""

        def make() -> tuple[Sequence[Entry], Sequence[str], bytes]:
            entries, left_out = self._shared.linked(snapshot.entries)
            return entries, left_out, snapshot.manifest if entries is snapshot.entries else manifest.encode(entries)

        return self._supply.once(("wanted", Same(snapshot)), make) if self._supply else make()

    def lacking(self, live: str, was: bytes | None, after: bytes, entries: Sequence[Entry]) -> Lacking:
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
