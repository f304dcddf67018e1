"""`Pools`: two pools of hosts, blue and green. One has the traffic; a push is for the other, which gets it then.

Nothing that has traffic is touched. The pool that had it stays as it is, so that a rollback is a turn of the traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from pushkit.errors import PushFailed, PushkitError, PushRefused, TargetError
from pushkit.files.strategy import FileStrategy
from pushkit.files.ticket import ROLLED_BACK, Ticket
from pushkit.fleet import traffic
from pushkit.fleet.host import in_order
from pushkit.fleet.lock import Lock
from pushkit.fleet.member import Member
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.rollout import Rollout, Stopped
from pushkit.fleet.source import hosts_of
from pushkit.fleet.state import State
from pushkit.fleet.strategy import LEFT, Fleet, FleetPlan
from pushkit.model import Action, Finding, Host, Plan, Release, Severity, Status, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run


class TrafficLost(PushFailed):
    """The traffic could not be turned. What the hosts have is not what is wrong."""


class Pools(Fleet):
    """Two pools of hosts: the one without traffic goes to the next release, and gets the traffic."""

    name = "pools"

    def __init__(self, options: FleetOptions, run: Run, make: Callable[[Host, Run], FileStrategy[Any]]) -> None:
        super().__init__(options, run, make)
        assert options.traffic
        self._traffic = options.traffic
        self._pools: dict[str, Rollout] = {}
        for name in options.pools:
            self._pools[name] = Rollout(
                run, options, self._of(name), lambda host: Member(host, make, run, self._supply)
            )

    def _of(self, pool: str) -> Callable[[], list[Host]]:
        return lambda: [each for each in hosts_of(self.options, self.run) if each.pool == pool]

    def connect(self) -> None:
        """Connect to the hosts of both."""
        if self.run.joining:
            super().connect()
            return
        for rollout in self._pools.values():
            rollout.connect()

    def close(self) -> None:
        """Hang up everywhere."""
        for rollout in {*self._pools.values(), self._rollout}:
            rollout.close()
        self._empty()

    @property
    def _everybody(self) -> Sequence[Member]:
        found = {each.host: each for rollout in self._pools.values() for each in rollout.members}
        return [found[host] for host in in_order(found, self.run.target.name)] or self._rollout.members

    @property
    def _showing(self) -> Sequence[Member]:
        """The hosts that have the traffic."""
        self._aim()
        return self._pools[self._live].members if self._live else self._everybody

    @property
    def _witnesses(self) -> Sequence[Member]:
        """The first host of each pool that can be used: a release may be on the hosts of one alone."""
        firsts = (next(iter(each.at(State.CONNECTED)), None) for each in self._pools.values())
        return [self._first, *(each for each in firsts if each and each is not self._first)]

    @property
    def _knowing(self) -> Member:
        """A host of the pool that it is about."""
        return next(iter(self._rollout.at(State.CONNECTED, State.PREPARED, State.SWITCHED)), self._first)

    # Which pool it is about.

    def _aim(self, pool: str = "") -> str:
        """Let everything that follows be about ``pool``, by default the one without traffic. The one that has it."""
        remembered = self._lock().pool()
        live = traffic.ask(self._traffic, self.run) or remembered
        if live and live not in self._pools:
            raise TargetError(
                f"the traffic goes to {live[: traffic.SHOWN]!r}, which is none of the pools "
                f"{' and '.join(self._pools)}",
                hint="see what `live` in [target.NAME.traffic] answers",
            )
        self._live = live
        first, second = self._pools
        goal = pool or (second if self._live == first else first)
        self._rollout = self._pools[goal]
        return goal

    def _other(self, pool: str) -> str:
        return next(each for each in self._pools if each != pool)

    def plan(self, snapshot: Snapshot) -> Plan:
        """What the idle pool lacks; nothing when the other has it."""
        goal = self._aim()
        if self._live:
            there = self._pools[self._live]
            there.look(snapshot)
            if all(each.plan and not each.plan.steps for each in there.members):
                return FleetPlan(self.run.target.name, (), kept=snapshot.files, live=there.members[0].before)
        found = super().plan(snapshot)
        assert isinstance(found, FleetPlan)
        turning = () if self.run.prepare else (turning_to(goal, self._live),)
        live = self._release_of(self._live) if self._live else ""
        steps = (*found.steps, *turning)
        return FleetPlan(found.target, steps, found.kept, live, found.warnings, worst=found.worst)

    def _release_of(self, pool: str) -> str:
        """The one release that is live on the hosts of ``pool``, empty when there are several."""
        found = {each.before for each in self._pools[pool].members if not each.out}
        return found.pop() if len(found) == 1 else ""

    # Going.

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Bring the idle pool to the snapshot, and turn the traffic to it."""
        if self._lacking():
            return super().push(plan, snapshot)
        # It has it already.
        goal = self._other(self._live)
        return self._turn("switch", "switched", self._known(self._release_of(goal)), {})

    def switch(self, release: str) -> Release:
        """Make a release live that was prepared on the idle pool, and turn the traffic to it."""
        self._aim()
        return super().switch(release)

    def resume(self, number: int = 0) -> Release:
        """Go on with a push that died or was halted."""
        waiting = [each for each in self._lock().look().open_tickets if each.switching]
        was = self._lock().pool(waiting[0]) if waiting else ""
        self._aim(self._other(was) if was else "")
        return super().resume(number)

    def rollback(self, release: str = "") -> Release:
        """Turn the traffic back to the pool that had it, where what was live before still is."""
        goal = self._aim()
        waiting = [each for each in self._lock().look().open_tickets if each.switching]
        if waiting and waiting[0].why != "rollback" and self._lock().pool(waiting[0]) in {"", self._live}:
            # It died before it turned the traffic: what it changed has none.
            self._turning = False
            return super().rollback(release)
        for rollout in self._pools.values():
            rollout.see()
        there = self._release_of(goal)
        if not there or not self._live:
            raise PushRefused(f"{goal} has no one release that the traffic could go back to; nothing was changed")
        wanted = self._known(release or there)
        if wanted.id != there:
            raise PushRefused(
                f"{there} is what is live on {goal}, and not {wanted.id}; nothing was changed",
                hint="leave out the release, or push what it was made of",
            )
        return self._turn("rollback", ROLLED_BACK, wanted, {})

    _turning = True

    def _conclude(self, lock: Lock, ticket: Ticket) -> None:
        """Turn the traffic, once all hosts that get it are well."""
        if not self._turning:
            return
        goal = next(name for name, each in self._pools.items() if each is self._rollout)
        self._verify(self._rollout.at(State.CONNECTED, State.SWITCHED))
        before = self._live
        try:
            with self.run.step(turning_to(goal, before)):
                traffic.turn(self._traffic, goal, self.run)
        except (TargetError, PushRefused) as error:
            raise TrafficLost(f"{error.message}; {self._where()}", hint=LEFT) from error
        self._live = goal
        lock.remember(ticket, goal)

    def _verify(self, members: Sequence[Member]) -> None:
        """Ask those for their health that had the release before."""
        if self._rollout.verify(members):
            raise Stopped(self._rollout.failures())

    def _where(self) -> str:
        """Where the traffic goes, in words."""
        try:
            there = traffic.ask(self._traffic, self.run)
        except PushkitError as error:
            return f"where it goes is not known: {error.message}"
        return f"it goes to {there}" if there else "where it goes is not known"

    def _whereabouts(self) -> str:
        return f"the traffic goes to {self._live or 'no pool yet'}; {super()._whereabouts()}"

    def join(self, snapshot: Snapshot) -> Release:
        """Bring a new host of the pool with the traffic to what is live there."""
        member = self._rollout.members[-1]
        self._live = traffic.ask(self._traffic, self.run) or self._lock().pool()
        if member.host.pool != self._live:
            raise PushRefused(
                f"{member.name} is in no pool that has the traffic; nothing was changed",
                hint="the next push brings its pool to the next release, and this host with it",
            )
        return super().join(snapshot)

    # What is there.

    def _see(self) -> None:
        for rollout in self._pools.values():
            rollout.see()

    def status(self) -> Status:
        """What is live on each host; the release of a target with two pools is that of the one with the traffic."""
        with suppress(PushRefused, TargetError):
            self._aim()
        return replace(super().status(), pool=self._live)

    def _one_live(self) -> str:
        return self._release_of(self._live) if self._live else ""

    def check(self) -> Sequence[Finding]:
        """Look at every host, and where the traffic goes."""
        found = list(super().check())
        try:
            self._aim()
        except PushkitError as error:
            return [*found, Finding(Severity.ERROR, "traffic", error.message, error.hint)]
        return [*found, Finding(Severity.OK, "traffic", f"goes to {self._live or 'no pool yet'}")]


def turning_to(pool: str, before: str) -> Step:
    """The step that turns the traffic."""
    return Step(Action.SWITCH, "traffic", f"from {before} to {pool}" if before else f"to {pool}")
