"""`Fleet`: a target that is many hosts, each with a strategy of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from pushkit.amount import counted
from pushkit.errors import Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files.history import meant
from pushkit.files.layout import REASON, release_of
from pushkit.files.status import place_of
from pushkit.files.strategy import FileStrategy
from pushkit.files.survey import Survey
from pushkit.files.ticket import GOOD, PREPARED, RESUMED, ROLLED_BACK, SUCCESS, SWITCHED, Ticket
from pushkit.fleet.host import key
from pushkit.fleet.join import join, pair
from pushkit.fleet.lead import leading
from pushkit.fleet.lock import Lock
from pushkit.fleet.member import Member
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.rollout import Rollout, Stopped, names, step_of, switch_of
from pushkit.fleet.source import hosts_of
from pushkit.fleet.state import State
from pushkit.fleet.whereabouts import whereabouts
from pushkit.model import Finding, Hold, Host, LogEntry, Plan, Release, Severity, Status, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, Strategy, one_line

#: What can be done about a rollout that ended in the middle of its hosts.
LEFT = "go on with push resume, or back with push rollback"


@dataclass(frozen=True)
class FleetPlan(Plan):
    """A plan for many hosts. ``worst`` is that of the host which would lose the most."""

    worst: Plan | None = None

    @property
    def removed(self) -> int:
        """How many paths the host would lose that loses the most."""
        return self.worst.removed if self.worst else 0

    @property
    def there(self) -> int:
        """How many paths are live on it."""
        return self.worst.there if self.worst else 0


class Fleet(Strategy[Any]):
    """Many hosts that go from one release to the next together.

    ``make`` gives the strategy of one host, for a run of its own.
    """

    name = "fleet"
    Options = FleetOptions

    def __init__(self, options: FleetOptions, run: Run, make: Callable[[Host, Run], FileStrategy[Any]]) -> None:
        super().__init__(options, run)
        self._shown: Member | None = None
        if run.joining:
            # One host is what it is about, which must not fail.
            options = options.model_copy(update={"rollout": options.rollout.model_copy(update={"max_failures": 0})})
        self._rollout = Rollout(run, options, self._listed, lambda host: Member(host, make, run))

    def _listed(self) -> list[Host]:
        """The hosts that it is about, in the order of a rollout."""
        hosts = hosts_of(self.options, self.run)
        return pair(self.run.joining, hosts, self.options) if self.run.joining else hosts

    # Reaching the hosts.

    def connect(self) -> None:
        """Connect to every host. One that cannot be reached is no reason to give up here."""
        self._rollout.connect()

    def close(self) -> None:
        """Hang up everywhere."""
        self._rollout.close()

    def plan(self, snapshot: Snapshot) -> Plan:
        """What the hosts lack. Raises `TargetError` when more hosts fail than may."""
        rollout = self._rollout
        rollout.plan(snapshot)
        lacking = self._lacking()
        lives = {each.before for each in rollout.members if not each.out}
        live = lives.pop() if len(lives) == 1 else ""
        if not lacking:
            return FleetPlan(self.run.target.name, (), kept=snapshot.files, live=live)
        plans = [each.plan for each in lacking if each.plan]
        worst = max(plans, key=lambda plan: plan.removed / max(plan.there, 1))
        steps = list(map(step_of, lacking))
        if not self.run.prepare:
            steps += map(switch_of, lacking)
        warnings = [f"{each.host.name} is {each.state}: {each.reason}" for each in rollout.members if each.out]
        for plan in plans:
            warnings += plan.warnings
        told = tuple(dict.fromkeys(warnings))
        return FleetPlan(self.run.target.name, tuple(steps), worst.kept, live, told, worst=worst)

    def _lacking(self) -> list[Member]:
        return [each for each in self._rollout.at(State.CONNECTED) if each.plan and each.plan.steps]

    # Going to another release.

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Prepare on all, go live in batches, verify; go back or halt when more hosts fail than may."""
        rollout, lock = self._rollout, self._lock()
        seen = lock.look()
        self._check_number(lock, seen)

        def describe(number: int) -> Ticket:
            return Ticket(number, release_of(number, snapshot, self.run.person), plan.live)

        ticket, survey = lock.enter(seen, describe, max(each.last for each in rollout.members) + 1)
        if newest(survey) != newest(seen):
            lock.queue.end(ticket, "overtaken")
            raise Overtaken(f"another rollout was on {self.run.target.name} meanwhile")
        release = ticket.release
        assert release
        lacking = self._lacking()
        with lock.queue.alive(ticket):
            try:
                self._write(lock, ticket)
                rollout.prepare(lacking, snapshot, release)
                if not self.run.prepare:
                    lock.switching(ticket)
            except BaseException as error:
                # The connection to this host may be what failed.
                with suppress(TargetError):
                    lock.queue.end(ticket, f"failed: {self.run.redact(one_line(error))[:REASON]}")
                raise
            if self.run.prepare:
                lock.queue.end(ticket, PREPARED)
                return release

            def act() -> None:
                members = [each for each in lacking if each.state is State.PREPARED]
                rollout.go_live(members, lambda member: member.strategy.switch(release.id))
                rollout.reconcile(snapshot, release)
                rollout.settle(release.id)
                self._conclude(lock, ticket)
                rollout.finish()

            self._go(lock, ticket, GOOD, act)
        return release

    def switch(self, release: str) -> Release:
        """Make a release live, in batches, that was prepared on the hosts."""
        self._rollout.see()
        wanted = self._known(release)
        return self._turn("switch", SWITCHED, wanted, dict.fromkeys(self._rollout.at(State.CONNECTED), wanted.id))

    def rollback(self, release: str = "") -> Release:
        """Make an earlier release live: the named one, or on each host what was live before the last rollout."""
        lock = self._lock()
        self._rollout.see()
        members = self._rollout.at(State.CONNECTED)
        if release:
            wanted = self._known(release)
            return self._turn("rollback", ROLLED_BACK, wanted, dict.fromkeys(members, wanted.id))
        live = self._first.before
        tickets = [each for each in lock.look().tickets if each.release and each.why not in {"rollback", "join"}]
        halted = [each for each in tickets if each.switching and not each.ended]
        made = [each for each in tickets if each.release and each.release.id == live]
        was = lock.read((halted or made)[-1]) if halted or made else {}
        if not any(was.values()):
            raise PushRefused(
                "no rollout is known that something was live before", hint="name a release: push rollback TARGET ID"
            )
        goals = {each: was.get(key(each.host), "") for each in members}
        return self._turn("rollback", ROLLED_BACK, self._known(next(filter(None, goals.values()))), goals)

    def resume(self, number: int = 0) -> Release:
        """Go on with a rollout that died or was halted, on the hosts that lack its release and have it prepared."""
        rollout, lock = self._rollout, self._lock("left to push resume")
        found = [each for each in lock.look().open_tickets if each.switching and number in {0, each.number}]
        release = found[0].release if found else None
        if release is None:
            raise PushRefused("no rollout waits to be resumed; nothing was changed", hint="see: push status")
        was = lock.read(found[0])
        rollout.see()

        def describe(number: int) -> Ticket:
            return Ticket(number, release, found[0].previous, "resume")

        ticket, _ = lock.enter(lock.look(), describe)
        with lock.queue.alive(ticket):
            lock.write(ticket, was, lock.pool(found[0]))
            lock.switching(ticket)
            lacking = [each for each in rollout.at(State.CONNECTED) if each.before != release.id]
            for each in rollout.at(State.CONNECTED):
                each.before = was.get(key(each.host), each.before)

            def act() -> None:
                rollout.go_live(lacking, lambda member: member.strategy.switch(release.id))
                self._conclude(lock, ticket)
                rollout.finish()

            self._go(lock, ticket, RESUMED, act)
        return release

    def join(self, snapshot: Snapshot) -> Release:
        """Bring the one host `Run.joining` to what is live on the others."""
        lock = self._lock()
        return join(self._rollout.members[-1], self._rollout, lock, snapshot, self.run)

    # What is otherwise where there are two pools.

    @property
    def _everybody(self) -> Sequence[Member]:
        """All hosts, in the order of a rollout."""
        return self._rollout.members

    @property
    def _showing(self) -> Sequence[Member]:
        """The hosts whose release is what is live."""
        return self._everybody

    @property
    def _knowing(self) -> Member:
        """A host that knows the releases to choose from."""
        return self._first

    def _see(self) -> None:
        """Look what is live on all hosts."""
        self._rollout.see()

    def _write(self, lock: Lock, ticket: Ticket) -> None:
        """Write down what is live on each host."""
        lock.write(ticket, {key(each.host): each.before for each in self._everybody if not each.out})

    def _conclude(self, lock: Lock, ticket: Ticket) -> None:
        """What there is to do once all hosts are live and well."""

    # How it goes.

    def _go(self, lock: Lock, ticket: Ticket, outcome: str, act: Callable[[], None]) -> None:
        """Do what changes what is live, and end the ticket; or go back, or leave it to `resume`."""
        assert ticket.release
        release = ticket.release.id
        try:
            with self._telling():
                act()
        except (Stopped, TargetError) as error:
            if self.options.rollout.on_failure == "halt":
                raise PushFailed(f"{error.message}; halted: {self._whereabouts()}", hint=LEFT) from error
            with self._telling():
                problems = self._rollout.roll_back(release)
            if problems:
                raise PushFailed(
                    f"{error.message}; and not all hosts could go back: {problems}; {self._whereabouts()}",
                    hint="look at them, then push resume or push rollback",
                ) from error
            lock.queue.end(ticket, f"failed: {self.run.redact(error.message)[:REASON]}")
            raise PushFailed(f"{error.message}; went back: {self._whereabouts()}", hint=error.hint) from error
        lock.queue.end(ticket, outcome)
        lock.expire()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Who stops a rollout in the middle of its hosts is told what is live where."""
        try:
            yield
        except Interrupted as error:
            raise Interrupted(f"stopped: {self._whereabouts()}", hint=LEFT) from error

    def _turn(self, why: str, outcome: str, release: Release, goals: Mapping[Member, str]) -> Release:
        """Go to the goal of each host, ``release`` for most, where it is not live already; nothing is sent."""
        rollout, lock = self._rollout, self._lock(f"left by a {why}")
        going = [each for each, goal in goals.items() if goal and goal != each.before]
        stay = [each for each, goal in goals.items() if not goal]
        if stay:
            self.run.warn(f"{names(stay)}: not known what was live there before; what is live there stays")

        def describe(number: int) -> Ticket:
            return Ticket(number, release, self._first.before, why)

        ticket, _ = lock.enter(lock.look(), describe)
        with lock.queue.alive(ticket):
            self._write(lock, ticket)
            lock.switching(ticket)

            def change(member: Member) -> Release:
                turn = member.strategy.switch if why == "switch" else member.strategy.rollback
                return turn(goals[member])

            try:
                with self._telling():
                    rollout.go_live(going, change)
                    self._conclude(lock, ticket)
                    rollout.finish()
            except (Stopped, TargetError) as error:
                raise PushFailed(
                    f"{error.message}; {self._whereabouts()}", hint=f"mend what failed, and {why} again"
                ) from error
            lock.queue.end(ticket, outcome)
        return release

    def _check_number(self, lock: Lock, survey: Survey) -> None:
        """Raise `PushRefused` when far fewer hosts are listed than last time, and nobody says that this is right."""
        rollouts = [each for each in survey.tickets if each.ended and each.why != "join"]
        ended = [each for each in rollouts if each.outcome in SUCCESS.values()]
        before = len(lock.read(ended[-1])) if ended else 0
        now = len(self._everybody)
        question = f"only {now} hosts are listed, and {before} were in the last rollout. Go on?"
        if now * 2 < before and not self.run.confirm(question):
            raise PushRefused(f"{now} hosts in place of {before} were not confirmed; nothing changed")

    # What is there.

    def status(self) -> Status:
        """What is live on each host, and who holds the queue of rollouts."""
        self._see()
        hosts = {
            each.host.name: each.before if each.state is State.CONNECTED else f"[{each.state}]"
            for each in self._everybody
        }
        lives = set(hosts.values())
        live = lives.pop() if len(lives) == 1 else ""
        try:
            survey = self._lock().look()
            first = self._first.strategy.status()
        except (PushRefused, TargetError) as error:
            # What the others say is worth seeing all the same.
            self.run.warn(f"{error.message}; who holds it, and what there is to go back to, is not known")
            return Status(live, hosts=hosts)
        queue = tuple(place_of(each) for each in survey.open_tickets)
        return Status(live, first.since, first.who, first.releases, first.prepared, queue, survey.hold, hosts)

    def log(self) -> Sequence[LogEntry]:
        """How the rollouts ended, as far as their tickets are kept."""
        return [
            LogEntry(
                each.number, each.closed, each.holder, each.why, each.release.id, each.previous, each.outcome or "open"
            )
            for each in self._lock().look().tickets
            if each.release and each.closed
        ]

    def check(self) -> Sequence[Finding]:
        """Look at every host."""
        found: list[Finding] = []
        for each in self._everybody:
            name = each.host.name
            if each.out:
                found.append(Finding(Severity.ERROR, name, f"is {each.state}: {each.reason}"))
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
        told = [Finding(Severity.ERROR, each.host.name, one_line(error)) for each, error in failures.items()]
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
            raise PushRefused(f"there is no release {wanted!r} on {host.host.name}", hint=f"there are: {choice}")
        return found

    def _whereabouts(self) -> str:
        """What is live where, in a few words."""
        return whereabouts(self._everybody, self.options.rollout.parallel)


def of_host(member: Member, finding: Finding) -> Finding:
    """What was seen on one host, as seen on that."""
    return replace(finding, subject=f"{member.host.name}: {finding.subject}")


def newest(survey: Survey) -> int:
    """The number of the newest rollout that has ended."""
    return max((each.number for each in survey.tickets if each.ended), default=0)
