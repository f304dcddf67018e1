"""What becomes of a push to a mirror that died, or failed, while it changed what is live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pushkit import manifest
from pushkit.amount import counted
from pushkit.files import journal as journals
from pushkit.files.ground import Ground, as_unknown, reach, with_ways
from pushkit.files.journal import Journal, Renaming, concluding
from pushkit.files.operation import Operation, Remove, RemoveTree, Still, Write
from pushkit.files.place import MIRROR as STATE
from pushkit.files.place import TREE
from pushkit.files.queue import Queue
from pushkit.files.remote import Remote
from pushkit.files.stat import above
from pushkit.files.survey import Survey
from pushkit.files.ticket import RELEASE_ID, Ticket, number_of
from pushkit.model import Entry, Kind
from pushkit.strategy import Run


class Perform(Protocol):
    """Performs operations, of which some may fail, as a layout does."""

    def __call__(
        self, operations: Sequence[Operation], stage: str, optional: Sequence[Operation] = ()
    ) -> Sequence[Entry]:
        """The entries that were found not to be whole."""


class Recovery:
    """Finishes or undoes what a journal says, for who holds the target of ``queue``."""

    def __init__(self, remote: Remote, run: Run, queue: Queue, perform: Perform) -> None:
        self._remote = remote
        self._run = run
        self._queue = queue
        self._perform = perform

    def recover(self, ticket: Ticket, survey: Survey) -> bool:
        """Finish what the journal says, or undo it when its content is not whole. Whether it was finished."""
        try:
            found = journals.decode(survey.found[STATE.journal].content)
        except ValueError as error:
            self._run.warn(f"the journal of a push that died is damaged ({error}): what is live is compared anew")
            # The manifest of the push that died was written before its journal.
            known = sorted(filter(RELEASE_ID.fullmatch, survey.manifests), key=number_of)
            release, previous = known[-1] if known else "", survey.named_live
            if release == previous:
                release, previous = (known[-1], known[-2]) if len(known) > 1 else ("", release)
            self._undo(ticket, release, previous, survey)
            return False
        try:
            self._finish(ticket, found, survey)
            self._run.note(f"the push of {found.release} had died while it switched; it was finished")
            return True
        except ValueError as error:
            self._undo(ticket, found.release, found.previous, survey)
            self._run.warn(
                f"the push of {found.release} had died while it switched, and cannot be finished ({error}): "
                "what it had not done yet was called off, what it had put in place is pushed over"
            )
            return False

    def _finish(self, ticket: Ticket, found: Journal, survey: Survey) -> None:
        """Do what is left of a journal.

        Raises ValueError when it cannot be done any more, `PushRefused` when it would lead out of the tree.
        """
        stage = STATE.stage(found.release)
        tree = f"{stage}/{TREE}"
        moved = [each.path for each in found.renamings]
        ground = Ground(self._remote, with_ways(found.paths))
        staged = self._remote.kinds([f"{tree}/{path}" for path in moved])
        left = [each for each in found.renamings if f"{tree}/{each.path}" in staged]
        self._check_left(found, ground, left)
        self._check_whole(found, survey, [each.path for each in left])
        operations = [
            *self._queue.holding(ticket),
            Still(ground.guarded, ground.kinds),
            *found.operations(tree, left={**ground.kinds, **staged}),
            *concluding(STATE, found.release),
        ]
        old = [found.previous] if found.previous and found.previous != found.release else []
        then = [RemoveTree(stage), *(Remove(STATE.manifest(name)) for name in old)]
        self._perform([*operations, *then], place_of(found.release, survey), then)

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
        entries = survey.entries(found.release)
        moved = {each.path for each in found.renamings}
        waiting = set(left)
        files = [entry for entry in entries if entry.kind is Kind.FILE]
        coming = [e for e in files if not waiting.isdisjoint((*above(e.path), e.path))]
        came = [e for e in files if not (moved - waiting).isdisjoint((*above(e.path), e.path))]
        wrong = [*self._remote.verify(f"{STATE.stage(found.release)}/{TREE}", coming), *self._remote.verify("", came)]
        if wrong:
            raise ValueError(f"{counted(len(wrong), 'file')} of it are not whole, {wrong[0].path!r} first")

    def _undo(self, ticket: Ticket, release: str, previous: str, survey: Survey) -> None:
        """Give up a switch from ``previous`` to ``release``, both may be empty.

        What is live becomes a release of what is there and a push's.
        """
        try:
            after = survey.entries(release)
            before = survey.entries(previous) if previous else []
        except ValueError:
            # Nothing is known of what is live: without a manifest all of it is compared.
            operations: list[Operation] = [Remove(STATE.manifest(name)) for name in {release, previous} if name]
        else:
            operations = [Write(STATE.manifest(release), manifest.encode(self._reckoned(before, after)))]
        end = concluding(STATE, release) if release else [Remove(STATE.journal)]
        stages = [RemoveTree(STATE.stage(release))] if release else []
        place = place_of(release, survey)
        self._perform([*self._queue.holding(ticket), *operations, *end, *stages], place, stages)

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


def place_of(release: str, survey: Survey) -> str:
    """Where what is needed on the way lies: in the upload of ``release``, with which it goes, if that is there."""
    return STATE.stage(release) if release in survey.names(STATE.incoming) else STATE.name
