"""`Fleet`: a target that is many hosts, each with a strategy of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from pushkit.errors import Busy, Interrupted, Overtaken, PushFailed, PushRefused, TargetError
from pushkit.files.layout import REASON, release_of
from pushkit.files.survey import Survey
from pushkit.files.ticket import GOOD, PREPARED, RESUMED, ROLLED_BACK, SUCCESS, SWITCHED, Ticket
from pushkit.fleet.host import key
from pushkit.fleet.join import join
from pushkit.fleet.lead import former
from pushkit.fleet.lock import Lock
from pushkit.fleet.member import Member
from pushkit.fleet.rollout import Stopped, names, step_of, switch_of
from pushkit.fleet.state import State
from pushkit.fleet.store import Stored
from pushkit.fleet.view import View
from pushkit.model import Plan, Release
from pushkit.snapshot import Snapshot
from pushkit.strategy import one_line

#: What can be done about a rollout that ended in the middle of its hosts.
LEFT = "go on with push resume, or back with push rollback"


class FleetPlan(Plan, frozen=True):
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


class Fleet(View):
    """Many hosts that go from one release to the next together."""

    name = "fleet"
    #: The pool that has the traffic, where there are two; empty when nothing was ever pushed.
    _live = ""

    def plan(self, snapshot: Snapshot) -> Plan:
        """What the hosts lack. Raises `TargetError` when more hosts fail than may."""
        rollout = self._rollout
        rollout.plan(snapshot)
        lacking = self._lacking()
        lives = {each.before for each in rollout.members if not each.out}
        live = lives.pop() if len(lives) == 1 else ""
        warnings = [f"{each.name} is {each.state}: {each.reason}" for each in rollout.members if each.out]
        if not lacking:
            return FleetPlan(self.run.target.name, (), snapshot.files, live, tuple(warnings))
        plans = [each.plan for each in lacking if each.plan]
        worst = max(plans, key=lambda plan: plan.removed / max(plan.there, 1))
        steps = list(map(step_of, lacking))
        if isinstance(self._supply, Stored):
            # That it cannot be opened is said before anything is done.
            assert self._supply.store
            steps.insert(0, self._supply.step)
        if not self.run.prepare:
            steps += map(switch_of, lacking)
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
        self._check_lead(seen)
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
        self._see_all()
        wanted = self._known(release)
        return self._turn("switch", SWITCHED, wanted, dict.fromkeys(self._rollout.at(State.CONNECTED), wanted.id))

    def rollback(self, release: str = "") -> Release:
        """Make an earlier release live: the named one, or on each host what was live before the last rollout."""
        lock = self._lock()
        self._see_all()
        members = self._rollout.at(State.CONNECTED)
        if release:
            wanted = self._known(release)
            return self._turn("rollback", ROLLED_BACK, wanted, dict.fromkeys(members, wanted.id))
        was = self._before(lock)
        goals = {each: was.get(key(each.host), "") for each in members}
        # What the host with the queue goes back to, it knows; where it stays, others may go back to what it has.
        goal = next(filter(None, [goals.get(self._first, ""), *goals.values()]), "")
        if not goal:
            self._check_lead(lock.look())
            raise PushRefused(
                "no rollout is known that something was live before", hint="name a release: push rollback TARGET ID"
            )
        return self._turn("rollback", ROLLED_BACK, self._known(goal), goals)

    def _before(self, lock: Lock) -> Mapping[str, str]:
        """What was live on each host before the last rollout, or what a rollback that was stopped was on its way to."""
        tickets = [each for each in lock.look().tickets if each.release and each.why != "join"]
        halted = [each for each in tickets if each.switching and not each.ended]
        if halted and halted[-1].why == "rollback" and (goals := lock.goals(halted[-1])):
            return goals
        tickets = [each for each in tickets if each.why != "rollback"]
        made = [each for each in tickets if each.release and each.release.id == self._first.before]
        found = [each for each in halted if each.why != "rollback"] or made
        return lock.read(found[-1]) if found else {}

    def resume(self, number: int = 0) -> Release:
        """Go on with a rollout that died or was halted, on the hosts that lack its release and have it prepared."""
        rollout, lock = self._rollout, self._lock("left to push resume")
        seen = lock.look()
        found = [each for each in seen.open_tickets if each.switching and number in {0, each.number}]
        release = found[0].release if found else None
        if release is None:
            rollout.see()
            self._check_lead(seen)
            raise PushRefused("no rollout waits to be resumed; nothing was changed", hint="see: push status")
        was, goals = lock.read(found[0]), lock.goals(found[0])
        self._see_all()

        here = rollout.at(State.CONNECTED)
        new = [each for each in here if key(each.host) not in was and each.before != release.id]
        if new:
            self.run.warn(f"{names(new)}: not in the rollout that is resumed; push again afterwards, for the release")
        going = {each: goals.get(key(each.host), release.id) for each in here if each not in new}

        def describe(number: int) -> Ticket:
            return Ticket(number, release, found[0].previous, "resume")

        ticket, _ = lock.enter(lock.look(), describe)
        with lock.queue.alive(ticket):
            lock.write(ticket, was, lock.pool(found[0]), goals)
            lock.switching(ticket)
            there = [each for each in going if each.before == going[each]]
            lacking = [each for each in going if each.before != going[each]]
            for each in going:
                each.before = was.get(key(each.host), each.before)
            for each in there:
                # It was switched, and perhaps never asked whether it is well; it goes back with the others.
                each.touched = key(each.host) in was

            def act() -> None:
                rollout.verify(there)
                rollout.check_going()
                rollout.go_live(lacking, lambda member: member.strategy.switch(going[member]))
                self._conclude(lock, ticket)
                rollout.finish(but=new)

            self._go(lock, ticket, RESUMED, act)
        return release

    def join(self, snapshot: Snapshot) -> Release:
        """Bring the one host `Run.joining` to what is live on the others."""
        lock = self._lock()
        return join(self._rollout.members[-1], self._rollout, lock, snapshot, self.run)

    # What is otherwise where there are two pools.

    def _write(self, lock: Lock, ticket: Ticket, goals: Mapping[str, str] | None = None) -> None:
        """Write down what is live on each host, and what each is to have where that is not one release."""
        lives = {key(each.host): each.before for each in self._everybody if not each.out}
        lock.write(ticket, lives, self._live, goals)

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
            told = self._end(lock, ticket, f"failed: {self.run.redact(error.message)[:REASON]}")
            raise PushFailed(f"{error.message}; went back: {self._whereabouts()}{told}", hint=error.hint) from error
        self._ended(lock, ticket, outcome)

    def _ended(self, lock: Lock, ticket: Ticket, outcome: str) -> None:
        """End a rollout that went well. Raises `PushFailed` when the host with the queue does not hear of it."""
        if told := self._end(lock, ticket, outcome):
            raise PushFailed(f"all hosts are done: {self._whereabouts()}{told}", hint="once it is back: push resume")
        with suppress(TargetError):
            # What has expired stays for the next to remove.
            lock.expire()

    def _end(self, lock: Lock, ticket: Ticket, outcome: str) -> str:
        """End a ticket; in words, that the host with the queue could not be told. What is live is true all the same."""
        try:
            lock.queue.end(ticket, outcome)
        except TargetError as error:
            return f"; but the queue on {self._first.name} does not know: {error.message}"
        return ""

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

        seen = lock.look()
        ticket, survey = lock.enter(seen, describe)
        if succeeded(survey) - succeeded(seen):
            lock.queue.end(ticket, "overtaken")
            raise Busy(
                f"another rollout was on {self.run.target.name} meanwhile; this {why} changed nothing",
                hint=f"look at it (push status), then {why} again",
            )
        with lock.queue.alive(ticket):
            self._write(lock, ticket, {key(each.host): goal for each, goal in goals.items() if goal})
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
            self._ended(lock, ticket, outcome)
        return release

    def _see_all(self) -> None:
        """Look what is live on each host. Raises `TargetError` when more fail than may: nothing has changed yet."""
        self._rollout.see()
        self._rollout.check()

    def _check_lead(self, survey: Survey) -> None:
        """Tell of another host that kept the queue until now; raise `PushRefused` when somebody is in that one."""
        was = None if survey.tickets else former(self._everybody, self._first, self._rollout)
        if was is None:
            return
        told = f"{was[0].name} has kept the queue of rollouts until now, and {self._first.name} would from now on"
        stay = f'lock_host = "{was[0].host.name}"'
        if was[1].open_tickets:
            ticket = was[1].open_tickets[0]
            raise PushRefused(
                f"{told}; {ticket.why} {ticket.number} by {ticket.holder} is not over there; nothing was changed",
                hint=f"let it keep the queue: {stay}",
            )
        self.run.warn(f"{told}; what was live before is remembered only there. To let it keep the queue: {stay}")

    def _check_number(self, lock: Lock, survey: Survey) -> None:
        """Raise `PushRefused` when far fewer hosts are listed than last time, and nobody says that this is right."""
        rollouts = [each for each in survey.tickets if each.ended and each.why != "join"]
        ended = [each for each in rollouts if each.outcome in SUCCESS.values()]
        before = len(lock.read(ended[-1])) if ended else 0
        now = len(self._everybody)
        question = f"only {now} hosts are listed, and {before} were in the last rollout. Go on?"
        if now * 2 < before and not self.run.confirm(question):
            raise PushRefused(f"{now} hosts in place of {before} were not confirmed; nothing changed")


def succeeded(survey: Survey) -> set[int]:
    """The numbers of the rollouts that ended well. Who joined changed nothing for the others."""
    ended = [each for each in survey.tickets if each.ended and each.why != "join"]
    return {each.number for each in ended if each.outcome in SUCCESS.values()}


def newest(survey: Survey) -> int:
    """The number of the newest rollout that has ended."""
    return max((each.number for each in survey.tickets if each.ended), default=0)
