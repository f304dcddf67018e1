"""What arrived whole with a push that died, and need not be sent again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress

from msgspec import Struct, field

from pushkit import manifest
from pushkit.amount import counted
from pushkit.blocks import UNIT
from pushkit.files.batch import DESK
from pushkit.files.errors import RemoteError
from pushkit.files.operation import Copy, Operation, Rename
from pushkit.files.remote import Remote
from pushkit.files.survey import LIMIT, State, Survey
from pushkit.files.ticket import RELEASE_ID, number_of
from pushkit.model import Entry, Kind, Step
from pushkit.strategy import Run


class Arrival(Struct, frozen=True):
    """``entries`` that lie whole below ``directory``; how much there is of large ones that were ``begun``, by path."""

    directory: str
    entries: Sequence[Entry]
    begun: Mapping[str, int] = field(default_factory=dict)


class Arrivals(Struct, frozen=True):
    """What several pushes that died left, no entry twice.

    ``begun`` are large files that had arrived in part: where the longest part of each lies, by its path.
    """

    found: Sequence[Arrival] = ()
    begun: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> frozenset[str]:
        """The paths that need not be sent."""
        return frozenset(entry.path for each in self.found for entry in each.entries)

    def tell(self, run: Run, steps: Mapping[str, Step]) -> None:
        """Report the steps, by path, of what need not be sent."""
        if self.found:
            run.note(f"{counted(len(self.paths), 'file')} had arrived with an earlier push")
        for each in self.found:
            for entry in each.entries:
                with run.step(steps[entry.path]) if entry.path in steps else nullcontext():
                    pass

    def linking(self, tree: str) -> list[Operation]:
        """The operations that make it part of ``tree``, on a remote that copies."""
        return [Copy(each.directory, tree, each.entries, link=True) for each in self.found]

    def moving(self, tree: str) -> list[Operation]:
        """The operations that move it to ``tree``."""
        return [
            Rename(f"{each.directory}/{entry.path}", f"{tree}/{entry.path}")
            for each in self.found
            for entry in each.entries
        ]


def arrived(remote: Remote, survey: Survey, tree: str, wanted: Sequence[Entry]) -> Arrivals:
    """Those of the files ``wanted`` that pushes that died had sent whole, the last of them asked first.

    ``tree`` is where in a stage the entries lie. Which content a file was to have, the dead push said before it sent
    it; that it is whole, the remote is asked.
    """
    queued = {ticket.number for ticket in survey.open_tickets}
    names = filter(RELEASE_ID.fullmatch, survey.names(survey.state.incoming))
    # Files only have a size.
    left = [entry for entry in wanted if entry.size]
    found: list[Arrival] = []
    begun: dict[str, list[tuple[int, str]]] = {}
    for dead in sorted((name for name in names if number_of(name) not in queued), key=number_of, reverse=True):
        if not left:
            break
        arrival = whole(remote, survey.state, dead, tree, left)
        if arrival.entries:
            found.append(arrival)
            there = set(arrival.entries)
            left = [entry for entry in left if entry not in there]
        for path, size in arrival.begun.items():
            begun.setdefault(path, []).append((size, f"{arrival.directory}/{path}"))
    open_ = {entry.path for entry in left}
    return Arrivals(found, {path: max(parts)[1] for path, parts in begun.items() if path in open_})


def whole(remote: Remote, state: State, dead: str, tree: str, files: Sequence[Entry]) -> Arrival:
    """Those of ``files`` that the push of the release ``dead`` had sent whole."""
    directory = f"{state.incoming}/{dead}/{tree}"
    try:
        intended = set(manifest.decode(intention(remote, state, dead)))
        sent = [entry for entry in files if entry in intended]
        wrong = set(remote.verify(directory, sent)) if sent else set()
        begun = beginnings(remote, directory, wrong)
    except (RemoteError, ValueError):
        # It died before it had said anything, or what it left is damaged: all is sent.
        return Arrival(directory, ())
    return Arrival(directory, [entry for entry in sent if entry not in wrong], begun)


def beginnings(remote: Remote, directory: str, entries: Iterable[Entry]) -> dict[str, int]:
    """How much of each large one of ``entries`` lies below ``directory``, by path, in bytes."""
    found: dict[str, int] = {}
    can = remote.capabilities
    if not (can.resumes or can.patches):
        return found
    for entry in entries:
        stat = remote.stat(f"{directory}/{entry.path}") if entry.size >= UNIT else None
        # Parts that are sent at once leave gaps, and may have come to the end.
        most = entry.size if can.patches else entry.size - 1
        if stat and stat.kind is Kind.FILE and 0 < stat.size <= most:
            found[entry.path] = stat.size
    return found


def intention(remote: Remote, state: State, release: str) -> bytes:
    """What a push that died had said of ``release``, its manifest; empty when it had not."""
    path, stage = state.manifest(release), state.stage(release)
    # Where a script sends, the manifest arrives first, as a paper, and gets its name when all has arrived.
    below = remote.collect((), listed=(stage,), limit=0) if remote.capabilities.scripts else ()
    desks = [path for path in below if DESK.fullmatch(path.removeprefix(f"{stage}/"))]
    papers = remote.collect(desks, limit=LIMIT).values() if desks else ()
    for paper in papers:
        with suppress(ValueError):
            manifest.check_digest(paper.content)
            return paper.content
    found = remote.collect((path,), limit=LIMIT).get(path)
    return found.content if found else b""
