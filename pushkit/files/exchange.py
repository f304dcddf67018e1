"""`Exchange`: two directories that change their places, written down before the first of two renames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pushkit.errors import PushRefused
from pushkit.files.errors import RemoteError, RemoteLost
from pushkit.files.journal import concluding
from pushkit.files.operation import Operation, Remove, RemoveTree, Rename, Write
from pushkit.files.place import SWAP as STATE
from pushkit.files.place import TREE
from pushkit.files.queue import Queue
from pushkit.files.remote import Remote
from pushkit.files.survey import Survey
from pushkit.files.ticket import NUMBER, RELEASE_ID, Ticket
from pushkit.model import Kind, Step
from pushkit.strategy import Run

RETIRED = STATE / "retired"
MAGIC = "pushkit-exchange 1"


class Exchange(NamedTuple):
    """The tree of ``release`` comes from ``source``, in place of that of ``previous``.

    That is empty where nothing was live; what lay there then goes beside the releases.
    """

    release: str
    previous: str
    source: str

    def encode(self) -> bytes:
        """As it lies on a target."""
        return "\n".join([MAGIC, *self, ""]).encode()


def decode(data: bytes) -> Exchange:
    """What lies on a target. Raises ValueError when it is damaged, or leads elsewhere."""
    lines = data.decode("ascii", "replace").split("\n")
    if len(lines) != 5 or lines[0] != MAGIC:
        raise ValueError("it is no record of an exchange")
    found = Exchange(*lines[1:4])
    previous = re.fullmatch(f"(?:{RELEASE_ID.pattern}|found-{NUMBER})?", found.previous)
    if not RELEASE_ID.fullmatch(found.release) or not previous:
        raise ValueError(f"{found.release!r} or {found.previous!r} is not a release id")
    if found.source not in {f"{STATE.stage(found.release)}/{TREE}", f"{RETIRED}/{found.release}"}:
        raise ValueError(f"{found.source!r} is no place of a release")
    return found


class Exchanges:
    """What is done in an exchange, and after one that a push began and did not end. ``name`` is what is live."""

    def __init__(self, remote: Remote, run: Run, queue: Queue, name: str) -> None:
        self._remote = remote
        self._run = run
        self._queue = queue
        self._name = name

    def operations(self, change: Exchange, step: Step) -> list[Operation]:
        """The operations: the record, the two renames, and what says that it is done."""
        away = [Rename(self._name, f"{RETIRED}/{change.previous}")] if change.previous else []
        return [
            Write(STATE.journal, change.encode()),
            *away,
            Rename(change.source, self._name, step=step),
            *concluding(STATE, change.release),
        ]

    def recover(self, ticket: Ticket, survey: Survey) -> bool:
        """Finish what the journal says, or undo it where the new tree is not there as a whole; say which.

        Whether it was finished. Raises `PushRefused` where there is neither the one nor the other.
        """
        try:
            change = decode(survey.found[STATE.journal].content)
        except ValueError as error:
            # It was written whole before the first rename.
            raise PushRefused(
                f"{self._remote.root}/{STATE.journal} is damaged ({error}); nothing was changed",
                hint=f"see that {self._name} is what is to be live, remove {STATE.journal}, and push again",
            ) from error
        live, source = self._remote.stat(self._name), self._remote.stat(change.source)
        away = f"{RETIRED}/{change.previous}"
        stage = RemoveTree(STATE.stage(change.release))
        if source is None and live is not None:
            self._perform(ticket, [*concluding(STATE, change.release), stage])
            self._run.note(f"the switch to {change.release} had died at its end; it was finished")
            return True
        if live is None and source is not None and self._whole(change, survey):
            try:
                self._perform(ticket, [Rename(change.source, self._name), *concluding(STATE, change.release), stage])
            except RemoteLost:
                raise
            except RemoteError:
                if not change.previous:
                    raise
                self._undo(ticket, change)
            else:
                self._run.note(f"the switch to {change.release} had died between two renames; it was finished")
                return True
        elif live is None and change.previous and self._remote.stat(away) is not None:
            self._undo(ticket, change)
        elif live is not None:
            self._perform(ticket, [Remove(STATE.journal)])
            self._run.note(f"the switch to {change.release} had died before its first rename; it was called off")
        elif not change.previous:
            self._perform(ticket, [Remove(STATE.journal)])
            self._run.warn(f"the switch to {change.release} had died, and cannot be finished: nothing was live before")
        else:
            raise PushRefused(
                f"{self._remote.root}: {self._name} is not there, nor is {change.source} or {away}; nothing changed",
                hint=f"remove {STATE.journal}, and push again",
            )
        return False

    def _undo(self, ticket: Ticket, change: Exchange) -> None:
        self._perform(ticket, [Rename(f"{RETIRED}/{change.previous}", self._name), Remove(STATE.journal)])
        self._run.warn(f"the switch to {change.release} could not be finished between two renames: it was undone")

    def _whole(self, change: Exchange, survey: Survey) -> bool:
        try:
            files = [entry for entry in survey.entries(change.release) if entry.kind is Kind.FILE]
        except ValueError:
            return False
        return bool(files) and not self._remote.verify(change.source, files)

    def _perform(self, ticket: Ticket, operations: Sequence[Operation]) -> None:
        self._remote.perform([*self._queue.holding(ticket), *operations], self._run.step, STATE.name)
