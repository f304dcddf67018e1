"""`View`: a target that is many hosts, each with a strategy of its own, and what is live on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from pushkit.amount import counted
from pushkit.errors import PushRefused, TargetError
from pushkit.files.history import meant
from pushkit.files.status import status_of
from pushkit.files.strategy import FileStrategy
from pushkit.files.supply import Supply
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket
from pushkit.fleet.join import pair
from pushkit.fleet.lead import leading
from pushkit.fleet.lock import Lock
from pushkit.fleet.member import Member
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.rollout import Rollout, names
from pushkit.fleet.source import hosts_of
from pushkit.fleet.state import State
from pushkit.fleet.store import Stored
from pushkit.fleet.whereabouts import whereabouts
from pushkit.model import Finding, Hold, Host, LogEntry, Release, Severity, Status, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, Strategy, one_line


class View(Strategy[Any]):
    """Many hosts, connected to and looked at. ``make`` gives the strategy of one host, for a run of its own."""

    Options = FleetOptions

    def __init__(self, options: FleetOptions, run: Run, make: Callable[[Host, Run], FileStrategy[Any]]) -> None:
        super().__init__(options, run)
        self._shown: Member | None = None
        if run.joining:
            # One host is what it is about, which must not fail.
            options = options.changed(rollout=options.rollout.changed(max_failures=0))
        store = options.store
        self._supply = Stored(run.scratch, store, run) if store else Supply(run.scratch)
        self._rollout = Rollout(run, options, self._listed, lambda host: Member(host, make, run, self._supply))

    def _listed(self) -> list[Host]:
        """The hosts that it is about, in the order of a rollout."""
        hosts = hosts_of(self.options, self.run)
        return pair(self.run.joining, hosts, self.options) if self.run.joining else hosts

    # Reaching the hosts.

    def connect(self) -> None:
        """Connect to every host. One that cannot be reached is no reason to give up here."""
        self._rollout.connect()

    def close(self) -> None:
        """Hang up everywhere, and leave nothing in a store."""
        self._rollout.close()
        self._empty()

    def _empty(self) -> None:
        if isinstance(self._supply, Stored):
            self._supply.close()

    # Which hosts it is about.

    @property
    def _everybody(self) -> Sequence[Member]:
        """All hosts, in the order of a rollout."""
        return self._rollout.members

    @property
    def _showing(self) -> Sequence[Member]:
        """The hosts whose release is what is live."""
        return self._everybody

    @property
    def _witnesses(self) -> Sequence[Member]:
        """Hosts that together know all releases there are. Raises `TargetError` when one cannot be used."""
        return [self._first]

    @property
    def _knowing(self) -> Member:
        """A host that knows the releases to choose from."""
        return self._first

    def _see(self) -> None:
        """Look what is live on all hosts."""
        self._rollout.see()

    # What is there.

    def status(self) -> Status:
        """What is live on each host, and who holds the queue of rollouts."""
        self._see()
        hosts = {
            each.name: each.before if each.state is State.CONNECTED else f"[{each.state}]" for each in self._everybody
        }
        live = self._one_live()
        try:
            survey = self._lock().look()
            known = [each.strategy.status() for each in self._witnesses]
        except (PushRefused, TargetError) as error:
            # What the others say is worth seeing all the same.
            self.run.warn(f"{error.message}; who holds it, and what there is to go back to, is not known")
            return Status(live, hosts=hosts)
        releases = {release.id: release for status in known for release in status.releases}
        prepared = {
            release.id: release for status in known for release in status.prepared if release.id not in releases
        }
        found = status_of(survey, live, [releases[each] for each in sorted(releases)])
        if not found.since:
            # It went live before there was a queue of rollouts, or the queue has forgotten it.
            found = replace(found, since=known[0].since, who=known[0].who)
        return replace(found, prepared=tuple(prepared[each] for each in sorted(prepared)), hosts=hosts)

    def _one_live(self) -> str:
        """The one release that is live everywhere; empty when there are several."""
        lives = {each.before if each.state is State.CONNECTED else "" for each in self._everybody}
        return lives.pop() if len(lives) == 1 else ""

    def log(self) -> Sequence[LogEntry]:
        """How the rollouts ended, the newest last."""
        entries, damaged = self._lock().log()
        if damaged:
            self.run.warn(f"damaged lines of the log are left out: {damaged:,}")
        return entries

    def check(self) -> Sequence[Finding]:
        """Look at every host."""
        found: list[Finding] = []
        for each in self._everybody:
            name = each.name
            if each.out:
                found.append(Finding(Severity.ERROR, name, f"is {each.state}: {each.reason}", each.hint))
                continue
            found += [of_host(each, finding) for finding in each.strategy.check()]
        return found

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How ``snapshot`` differs from what is live on most hosts. Those with another release are warned of.

        What is live under one id is the same everywhere, and is read on one host.
        """
        self._see()
        groups: dict[str, list[Member]] = {}
        for each in self._showing:
            if each.state is State.CONNECTED:
                groups.setdefault(each.before, []).append(each)
        if not groups:
            raise TargetError("no host can be looked at", hint="see why: push status")
        most, *others = sorted(groups.values(), key=len, reverse=True)
        for members in others:
            differ = counted(len(members[0].strategy.changes(snapshot)), "path")
            self.run.warn(f"{names(members)}: {members[0].before or 'nothing'} is live there: {differ} would change")
        self._shown = most[0]
        return self._shown.strategy.changes(snapshot)

    def read_live(self, path: str, limit: int) -> bytes:
        """The content of a file that is live on most hosts."""
        assert self._shown, "changes were asked for"
        return self._shown.strategy.read_live(path, limit)

    def verify(self) -> Sequence[Finding]:
        """Compare what is live on each host with what was pushed there."""
        found: dict[Member, Sequence[Finding]] = {}

        def look(member: Member) -> None:
            found[member] = member.strategy.verify()

        failures = self._rollout.together([each for each in self._everybody if each.state is State.CONNECTED], look)
        told = [Finding(Severity.ERROR, each.name, one_line(error)) for each, error in failures.items()]
        return [*told, *(of_host(each, finding) for each in self._everybody for finding in found.get(each, ()))]

    def hold(self, why: str) -> None:
        """Let nobody roll out."""
        lock = self._lock()
        lock.make(lock.look())
        lock.queue.hold(why)

    def release_hold(self) -> Hold | None:
        """Let rollouts go on."""
        return self._lock().queue.release_hold()

    def unlock(self, number: int, why: str) -> None:
        """End a rollout of the queue."""
        self._lock().queue.unlock(number, why)

    # How.

    @property
    def _first(self) -> Member:
        """The host with the queue. Raises `TargetError` when it cannot be used."""
        return leading(self._everybody, self.options)

    def _lock(self, decided: str = "") -> Lock:
        remote = self._first.strategy.remote
        assert remote

        def settle(ticket: Ticket, survey: Survey) -> str:
            if decided:
                return decided
            raise PushRefused(
                f"{ticket.why} {ticket.number} by {ticket.holder} died or was halted in the middle of its hosts",
                hint=f"push resume, push rollback, or take it as it is: push unlock {ticket.number} --why TEXT",
            )

        return Lock(remote, self.run, settle)

    def _known(self, wanted: str) -> Release:
        """The release that ``wanted`` names, by its id, its number or its revision, as the first host knows it."""
        host = self._knowing
        status = host.strategy.status()
        there = {each.id: each for each in (*status.releases, *status.prepared)}
        found = there.get(meant(wanted, there))
        if found is None:
            choice = ", ".join(there) or "none"
            raise PushRefused(f"there is no release {wanted!r} on {host.name}", hint=f"there are: {choice}")
        return found

    def _whereabouts(self) -> str:
        """What is live where, in a few words."""
        return whereabouts(self._everybody, self.options.rollout.parallel)


def of_host(member: Member, finding: Finding) -> Finding:
    """What was seen on one host, as seen on that."""
    return replace(finding, subject=f"{member.name}: {finding.subject}")
