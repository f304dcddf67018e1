"""The queue of rollouts, on one host of a fleet: the tickets of `pushkit.files`, in a directory beside its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pushkit.files.errors import RemoteExists, RemoteMissing
from pushkit.files.log import read_log
from pushkit.files.operation import MakeDirectory, Operation, Write
from pushkit.files.place import STATE as OF_HOST
from pushkit.files.queue import KEPT, Queue, expiring
from pushkit.files.remote import Remote
from pushkit.files.survey import Look, State, Survey
from pushkit.files.ticket import Ticket, decoded, encoded
from pushkit.model import LogEntry
from pushkit.strategy import Run

STATE = State(OF_HOST / "fleet")
#: What a rollout wrote down before it changed anything: the live release of each host.
PLAN = "plan.json"
LIMIT = 1 << 24


def look(remote: Remote) -> Survey:
    """The tickets of the queue that ``remote`` keeps, none where it keeps none."""
    return Look(STATE, looked=(OF_HOST.name,)).at(remote)


class Lock:
    """Who may roll out. ``settle`` says how a rollout ended that died in the middle."""

    def __init__(self, remote: Remote, run: Run, settle: Callable[[Ticket, Survey], str]) -> None:
        self._remote = remote
        self._run = run
        self.queue = Queue(remote, STATE, run, look=self.look, settle=settle)

    def look(self) -> Survey:
        """The tickets, open ones and those that have ended."""
        return look(self._remote)

    def log(self) -> tuple[Sequence[LogEntry], int]:
        """How the rollouts ended, the newest last, and how many lines of that are damaged."""
        return read_log(self._remote, STATE)

    def enter(self, survey: Survey, describe: Callable[[int], Ticket], first: int = 0) -> tuple[Ticket, Survey]:
        """Take a ticket and wait until it holds; see `Queue.enter`."""
        self.make(survey)
        return self.queue.enter(survey, describe, first=first)

    def make(self, survey: Survey) -> None:
        """Make the directories that tickets need and ``survey`` did not find."""
        if not survey.exists:
            with suppress(RemoteExists):
                self._remote.make_directory("", 0o755)
        if OF_HOST.name not in survey.found:
            self._perform([MakeDirectory(OF_HOST.name, 0o700, may_exist=True)])

    def write(
        self, ticket: Ticket, live: Mapping[str, str], pool: str = "", goals: Mapping[str, str] | None = None
    ) -> None:
        """Write down what is live on each host, before anything changes, and the pool that has the traffic.

        ``goals`` are what each host is to have, where that is not the one release of the ticket.
        """
        record: dict[str, Any] = {"live": dict(live), "pool": pool}
        if goals:
            record["goals"] = dict(goals)
        self._perform([*self.queue.holding(ticket), self._record(ticket, record)])

    def remember(self, ticket: Ticket, pool: str) -> None:
        """Write down that ``pool`` has the traffic now."""
        self._perform([self._record(ticket, self._plan(ticket) | {"pool": pool})])

    def pool(self, ticket: Ticket | None = None) -> str:
        """The pool that has the traffic, as the newest rollout or ``ticket`` left it; empty when none said."""
        told = [ticket] if ticket else reversed(self.look().tickets)
        return next((str(found["pool"]) for each in told if (found := self._plan(each)).get("pool")), "")

    def switching(self, ticket: Ticket) -> None:
        """Say that what is live changes from now on."""
        self._perform([*self.queue.holding(ticket), self.queue.switching(ticket)])

    def read(self, ticket: Ticket) -> Mapping[str, str]:
        """What was live on each host before ``ticket`` changed anything, as far as it said."""
        return self._releases(ticket, "live")

    def goals(self, ticket: Ticket) -> Mapping[str, str]:
        """What each host was to have, where ``ticket`` went to more than its one release."""
        return self._releases(ticket, "goals")

    def _releases(self, ticket: Ticket, what: str) -> Mapping[str, str]:
        found = self._plan(ticket).get(what, {})
        return {str(host): str(release) for host, release in found.items()} if isinstance(found, dict) else {}

    def _plan(self, ticket: Ticket) -> dict[str, Any]:
        try:
            return decoded(self._remote.read(f"{STATE.ticket(ticket.number)}/{PLAN}", LIMIT))
        except RemoteMissing:
            return {}

    def _record(self, ticket: Ticket, record: Mapping[str, Any]) -> Operation:
        return Write(f"{STATE.ticket(ticket.number)}/{PLAN}", encoded(record))

    def expire(self) -> None:
        """Forget the oldest tickets that have ended. What rolled out is not forgotten for all that joined since."""
        survey = self.look()
        rollouts = [each.number for each in survey.tickets if each.ended and each.why != "join"]
        self._perform(expiring(survey, rollouts[-KEPT:]))

    def _perform(self, operations: Sequence[Operation]) -> None:
        self._remote.perform(operations, self._run.step, STATE.name)
