"""What arrived whole with a push that died, and need not be sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pushkit import manifest
from pushkit.files.batch import DESK
from pushkit.files.errors import RemoteError
from pushkit.files.remote import Remote
from pushkit.files.survey import LIMIT, State, Survey
from pushkit.files.ticket import RELEASE_ID, number_of
from pushkit.model import Entry, Kind


@dataclass(frozen=True, slots=True)
class Arrival:
    """``entries`` that lie whole below ``directory``."""

    directory: str
    entries: Sequence[Entry]


def arrived(remote: Remote, survey: Survey, tree: str, wanted: Sequence[Entry]) -> Arrival | None:
    """Those of the files ``wanted`` that the last push that died had sent whole.

    ``tree`` is where in a stage the entries lie. Which content a file was to have, the dead push said before it sent
    it; that it is whole, the remote is asked.
    """
    state: State = survey.state
    queued = {ticket.number for ticket in survey.open_tickets}
    names = filter(RELEASE_ID.fullmatch, survey.names(state.incoming))
    dead = max((name for name in names if number_of(name) not in queued), key=number_of, default="")
    files = [entry for entry in wanted if entry.kind is Kind.FILE and entry.size]
    if not dead or not files:
        return None
    try:
        intended = set(manifest.decode(intention(remote, state, dead)))
        directory = f"{state.incoming}/{dead}/{tree}"
        sent = [entry for entry in files if entry in intended]
        wrong = set(remote.verify(directory, sent)) if sent else set()
    except (RemoteError, ValueError):
        # It died before it had said anything, or what it left is damaged: all is sent.
        return None
    whole = [entry for entry in sent if entry not in wrong]
    return Arrival(directory, whole) if whole else None


def intention(remote: Remote, state: State, release: str) -> bytes:
    """What a push that died had said of ``release``, its manifest; empty when it had not."""
    path, stage = state.manifest(release), f"{state.incoming}/{release}"
    if found := remote.collect((path,), limit=LIMIT).get(path):
        return found.content
    # Where a script sends, the manifest arrives first, as a paper, and gets its name when all has arrived.
    below = remote.collect((), listed=(stage,), limit=0)
    desks = [path for path in below if DESK.fullmatch(path.removeprefix(f"{stage}/"))]
    papers = remote.collect(desks, limit=LIMIT).values() if desks else ()
    return next((paper.content for paper in papers if paper.content.startswith(manifest.MAGIC)), b"")
