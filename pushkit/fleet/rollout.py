"""A rollout: prepare on all hosts, go live in batches, verify each, look again; or go back, or halt.

Nothing is switched anywhere until every host is prepared, but for as many failures as are allowed. What was live on
each host is remembered before the first switch, and that is what a rollback restores.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from pushkit.amount import counted
from pushkit.errors import Interrupted, PushFailed, PushkitError, PushRefused, TargetError
from pushkit.fleet.batches import batches
from pushkit.fleet.crowd import Failures, together
from pushkit.fleet.health import wait_until_well
from pushkit.fleet.host import key
from pushkit.fleet.member import Member
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.state import State
from pushkit.model import Action, Host, Release, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line

#: So many connections are begun at once.
STARTS = 30
#: How often the hosts are listed again at the end.
ROUNDS = 3
#: Seconds after which a host that did not answer is tried once more, at most.
PAUSE = 1.5


class Stopped(PushFailed):
    """More hosts failed than may."""


class Rollout:
    """The hosts of one target, on their way to one release.

    ``source`` lists the hosts anew, in their order; ``make`` gives the member for one.
    """

    def __init__(
        self, run: Run, options: FleetOptions, source: Callable[[], list[Host]], make: Callable[[Host], Member]
    ) -> None:
        self._run = run
        self._options = options
        self._source = source
        self._make = make
        self.members: list[Member] = []
        self.batches: list[list[Member]] = []

    # Reaching them.

    def connect(self) -> None:
        """List the hosts, and connect to all; one that does not answer is tried twice."""
        self._add([self._make(host) for host in self._source()])
        self.reach(self.members)

    def reach(self, members: Sequence[Member]) -> None:
        """Connect. Who cannot be reached is `State.GONE` when the source does not list it any more."""

        def connect(member: Member) -> None:
            with self._run.course.during("connect", member.name):
                member.strategy.connect()
            # It may have been left behind meanwhile.
            self._run.check()
            member.become(State.CONNECTED)

        for again in (False, True):
            left = [each for each in members if each.state is State.PENDING]
            if again and left:
                self._run.sleep(random.uniform(0.5, PAUSE))  # noqa: S311  (not all at the same moment)
            failures = together(left, connect, STARTS, self._run.cancelled, leave=True)
            if again:
                for each, error in failures.items():
                    each.fail(error, State.UNREACHABLE)
        self._confirm_gone()

    def close(self) -> None:
        """Hang up everywhere."""
        together(self.members, lambda each: each.strategy.close(), STARTS, never())

    # Planning.

    def plan(self, snapshot: Snapshot) -> None:
        """What each host lacks of ``snapshot``. Raises `TargetError` when more hosts fail than may."""

        self.look(snapshot)
        self._confirm_gone()
        self.check()

    def check(self) -> None:
        """Raise `TargetError` when more hosts have failed than may, before anything was changed."""
        if self._too_many:
            raise TargetError(f"{self.failures()}; nothing was changed on any host", hint=self.hint)

    # Going.

    def prepare(self, members: Sequence[Member], snapshot: Snapshot, release: Release) -> None:
        """Send the release to each of ``members``. Raises `TargetError` when more fail than may."""
        self._send(members, snapshot, release)
        if self._too_many:
            raise TargetError(
                f"{self.failures()}; it was switched to on no host", hint=f"{self.hint}; what was sent is taken up then"
            )

    def _send(self, members: Sequence[Member], snapshot: Snapshot, release: Release) -> None:
        def send(member: Member) -> None:
            assert member.plan
            member.step = step_of(member)
            member.named(release)
            with self._run.step(member.step):
                member.strategy.push(member.plan, snapshot)
            member.become(State.PREPARED)

        self._fail(self.together(members, send))
        self._confirm_gone()

    def go_live(self, members: Sequence[Member], change: Callable[[Member], object]) -> None:
        """Let ``change`` switch ``members``, batch by batch, each verified. Raises `Stopped`."""
        self.batches = batches(members, self._options.rollout.batches, lambda each: each.host.pool)
        for number, batch in enumerate(self.batches, 1):
            name = f"batch {number} of {len(self.batches)}"
            if number > 1 and self._options.rollout.confirm:
                self._ask(f"{self.summary()}. Go on with {name}, {counted(len(batch), 'host')}?")
            self.switch(batch, change, name)

    def switch(self, batch: Sequence[Member], change: Callable[[Member], object], name: str) -> None:
        """Switch and verify one batch. Raises `Stopped` when more hosts have failed than may.

        Once that many have, no further host is begun, and those under way end.
        """
        left = list(batch)
        while left:
            begun = self._begin(left, change, name)
            self._confirm_gone()
            self.check_going()
            # Of those that failed, some are gone, and do not count: the rest has its turn.
            left = [each for each in left if each not in begun]

    def _begin(self, members: Sequence[Member], change: Callable[[Member], object], batch: str) -> Sequence[Member]:
        """Switch and verify ``members`` until too many have failed; those that were begun."""
        begun: list[Member] = []
        failed: list[Member] = []
        most = self._options.rollout.max_failures - self.bad

        def act(member: Member) -> None:
            if len(failed) > most:
                return
            begun.append(member)
            try:
                self._switch(member, change, batch)
            except Exception:
                failed.append(member)
                raise

        for member, error in self.together(members, act).items():
            # Where the connection failed, nobody knows whether the switch was done.
            unknown = isinstance(error, TargetError) and member.state is not State.SWITCHED
            member.fail(error, State.UNKNOWN if unknown else State.FAILED, batch)
        return begun

    def _switch(self, member: Member, change: Callable[[Member], object], batch: str) -> None:
        with self._run.step(switch_of(member)):
            member.touched = True
            change(member)
        member.become(State.SWITCHED, batch=batch)
        if self._options.health:
            self._ask_health(member, batch)

    def verify(self, members: Sequence[Member]) -> Failures:
        """Ask those for their health that have the release already; which are not well."""
        failures = self.together(members, self._ask_health) if self._options.health else {}
        self._fail(failures)
        self._confirm_gone()
        return failures

    def check_going(self) -> None:
        """Raise `Stopped` when more hosts have failed than may."""
        if self._too_many:
            raise Stopped(self.failures())

    def _ask_health(self, member: Member, batch: str = "") -> None:
        assert self._options.health
        with self._run.step(Step(Action.VERIFY, member.name, "whether it is well")):
            wait_until_well(self._options.health, member.host, member.strategy, self._run)
        member.become(State.VERIFIED, batch=batch)

    def reconcile(self, snapshot: Snapshot, release: Release) -> None:
        """List the hosts again, and bring those that are new to ``release``; a few times, while there are new ones."""
        for _ in range(ROUNDS):
            known = {(each.host.name, each.host.port) for each in self.members}
            hosts = self._listed()
            new = [self._make(host) for host in hosts or () if (host.name, host.port) not in known]
            if not new:
                return
            self._add(new)
            self._run.note(f"{counted(len(new), 'host')} more since this began: {names(new)}")
            self.reach(new)
            self.look(snapshot, new)
            fresh = [each for each in new if each.state is State.CONNECTED and each.plan and each.plan.steps]
            self._send(fresh, snapshot, release)
            self.switch(
                [each for each in fresh if each.state is State.PREPARED],
                lambda member: member.strategy.switch(release.id),
                "new",
            )
        self._run.warn("there are new hosts again and again: push once more")

    def settle(self, release: str) -> None:
        """Look at the hosts of which nobody knows what is live."""

        def look(member: Member) -> None:
            if member.live() == release:
                member.become(State.SWITCHED)

        self.together(self.at(State.UNKNOWN), look)

    def finish(self, but: Collection[Member] = ()) -> None:
        """Those that are live are done, ``but`` those left out. Raises `Stopped` when more have failed than may."""
        self.check_going()
        for each in self.members:
            if each.state in {State.SWITCHED, State.VERIFIED, State.CONNECTED} and each not in but:
                each.become(State.DONE)
        if self.bad:
            self._run.warn(f"{self.failures()}; push again once they are mended")

    def roll_back(self, release: str) -> str:
        """Restore what was live before, in reverse batches, where ``release`` is live now; say what could not be."""
        problems: list[tuple[Member, str]] = []

        def back(member: Member) -> None:
            if member.live() != release:
                return
            if not member.before:
                self._run.warn(f"{release} stays live on {member.name}: nothing was live there before")
                return
            with self._run.step(Step(Action.REVERT, member.name, f"back to {member.before}")):
                member.strategy.rollback(member.before)
            member.become(State.ROLLED_BACK, member.reason)

        known = {each for batch in self.batches for each in batch}
        # Those that came later, and those that an earlier rollout, which this one resumes, had switched.
        others = [each for each in self.members if each not in known]
        for batch in [others, *reversed(self.batches)]:
            failures = self.together([each for each in batch if each.touched and each.state is not State.GONE], back)
            problems += [(each, one_line(error)) for each, error in failures.items()]
        return alike(problems)

    def see(self) -> None:
        """Look what is live on each host."""

        def look(member: Member) -> None:
            member.before = member.live()

        self._fail(self.together(self.at(State.CONNECTED), look))

    # What is known.

    def at(self, *states: State) -> list[Member]:
        """The members in one of ``states``."""
        return [each for each in self.members if each.state in states]

    @property
    def bad(self) -> int:
        """How many hosts have failed."""
        return sum(each.bad for each in self.members)

    @property
    def _too_many(self) -> bool:
        return self.bad > self._options.rollout.max_failures

    @property
    def hint(self) -> str:
        """What to do about hosts that fail."""
        return "mend them, and try again; or let some fail: max_failures in [target.NAME.rollout]"

    def failures(self) -> str:
        """Which hosts failed, and why: on one screen, however many they are."""
        bad = [(each, each.reason) for each in self.members if each.bad]
        return f"{len(bad)} of {len(self.members)} hosts failed: {alike(bad)}"

    def summary(self) -> str:
        """What became of the hosts, in a few words."""
        counts = {state: len(self.at(state)) for state in State}
        return ", ".join(f"{count} {state}" for state, count in counts.items() if count)

    # How.

    def together(self, members: Sequence[Member], work: Callable[[Member], object]) -> Failures:
        """Do ``work`` for each of ``members``, as `crowd.together`, as many at a time as the Pushfile says."""
        return together(members, work, self._options.rollout.parallel, self._run.cancelled)

    def _fail(self, failures: Failures) -> None:
        for member, error in failures.items():
            member.fail(error)

    def look(self, snapshot: Snapshot, members: Sequence[Member] | None = None) -> None:
        """What each of ``members``, by default all, lacks of ``snapshot``."""

        def look(member: Member) -> None:
            member.plan = member.strategy.plan(snapshot)
            member.before = member.plan.live

        self._fail(
            self.together([each for each in self.at(State.CONNECTED) if members is None or each in members], look)
        )

    def _confirm_gone(self) -> None:
        """Ask the source whether those that failed are still there: machines come and go."""
        bad = [each for each in self.members if each.bad]
        hosts = self._listed() if bad else None
        if hosts is None:
            return
        listed = {(host.name, host.port) for host in hosts}
        for each in bad:
            if (each.host.name, each.host.port) not in listed:
                each.become(State.GONE, each.reason)

    def _listed(self) -> Sequence[Host] | None:
        """The hosts, listed again. None, with a warning, when they cannot be: that says nothing about any of them."""
        try:
            return self._source()
        except Interrupted:
            raise
        except PushkitError as error:
            self._run.warn(f"the hosts cannot be listed again: {error.message}")
            return None

    def _add(self, members: Sequence[Member]) -> None:
        """More members, each told apart from all others by its name."""
        self.members += members
        alike = Counter(each.host.name for each in self.members)
        for each in members:
            if alike[each.host.name] > 1:
                each.name = key(each.host)

    def _ask(self, question: str) -> None:
        try:
            said = self._run.confirm(question)
        except PushRefused as error:
            # That nothing was changed is not true any more.
            raise Stopped(error.message, hint=error.hint) from error
        if not said:
            raise Stopped("a person said no to the next batch")
        if self._run.cancelled.is_set():
            raise Interrupted("stopped")


def step_of(member: Member) -> Step:
    """The step that sends a host what it lacks."""
    plan = member.plan
    assert plan
    added, replaced, removed = (plan.count(each) for each in (Action.ADD, Action.REPLACE, Action.REMOVE))
    counts = {"to add": added, "to replace": replaced, "to remove": removed}
    words = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to send"
    return Step(Action.PREPARE, member.name, words, plan.size)


def switch_of(member: Member) -> Step:
    """The step that makes its release live."""
    return Step(Action.SWITCH, member.name, f"from {member.before or 'nothing'}")


def alike(problems: Sequence[tuple[Member, str]], most: int = 5) -> str:
    """What is wrong with which hosts: the same reason once, the host's own name left out, and the first few reasons."""
    found: dict[str, list[Member]] = {}
    for member, reason in problems:
        own = rf"\[?{re.escape(member.host.name)}\]?(:\d+)?: "
        found.setdefault(re.sub(own, "", reason), []).append(member)
    shown = [f"{names(members)}: {reason}" for reason, members in list(found.items())[:most]]
    left = sum(map(len, list(found.values())[most:]))
    return "; ".join([*shown, *([f"and {counted(left, 'host')} more, for other reasons"] if left else [])])


def names(members: Sequence[Member], most: int = 5) -> str:
    """Their names, the first few."""
    shown = ", ".join(each.name for each in members[:most])
    return shown + (f" and {len(members) - most} more" if len(members) > most else "")


def never() -> threading.Event:
    """Nobody asks to stop."""
    return threading.Event()
