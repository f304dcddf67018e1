"""The queue of rollouts on one host of a fleet, and a new host that joins in its turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from pushkit import Busy, Interrupted, PushFailed, PushRefused, Snapshot, TargetError
from pushkit.events import HostChanged, Warned
from pushkit.files import queue as queues
from pushkit.files.errors import RemoteMissing
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket, number_of
from pushkit.fleet.host import parse
from pushkit.fleet.join import join, live_on
from pushkit.fleet.lock import STATE, Lock
from pushkit.fleet.member import Member
from pushkit.fleet.state import State
from pushkit.model import Release
from pushkit_dir.remote import LocalRemote
from unit.test_history import ticket
from unit.test_queue_turns import never
from unit.test_rollout import LOST, Fleet
from unit.test_rollout import quick as quick  # noqa: PLC0414  (a fixture)


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """A queue on a host that nobody has pushed to."""
    return Lock(LocalRemote(tmp_path / "lead"), Fleet(tmp_path, "lead").run, never)


def describe(number: int) -> Ticket:
    return ticket(number, "")


def test_who_rolls_out_makes_the_queue_where_there_is_none(lock: Lock, tmp_path: Path) -> None:
    held, _ = lock.enter(lock.look(), describe, first=4)
    assert held.number == 4
    assert (tmp_path / "lead/.push/fleet/pushes/000004/ticket.json").exists()
    assert (tmp_path / "lead").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "lead/.push").stat().st_mode & 0o777 == 0o700
    with pytest.raises(Busy):
        lock.enter(lock.look(), describe)
    lock.make(lock.look())


def test_what_is_live_on_each_host_is_written_down_before_anything_changes(lock: Lock) -> None:
    held, _ = lock.enter(lock.look(), describe)
    assert (lock.read(held), lock.goals(held), lock.pool()) == ({}, {}, "")
    lock.write(held, {"web1": "a", "web2": ""})
    assert (lock.read(held), lock.goals(held), lock.pool(held)) == ({"web1": "a", "web2": ""}, {}, "")
    lock.write(held, {"web1": "a"}, "blue", {"web1": "b"})
    assert (lock.read(held), lock.goals(held), lock.pool()) == ({"web1": "a"}, {"web1": "b"}, "blue")
    lock.remember(held, "green")
    assert (lock.read(held), lock.goals(held), lock.pool(held)) == ({"web1": "a"}, {"web1": "b"}, "green")
    assert not lock.look().tickets[0].switching
    lock.switching(held)
    assert lock.look().tickets[0].switching


def test_the_pool_with_the_traffic_is_what_the_newest_rollout_left(lock: Lock) -> None:
    for number, pool in enumerate(["blue", "green", ""], 1):
        held, _ = lock.enter(lock.look(), describe)
        lock.write(held, {}, pool)
        lock.queue.end(held, "good")
        assert lock.pool(Ticket(number)) == pool
    assert lock.pool() == "green"
    assert [each.outcome for each in lock.log()[0]] == ["good"] * 3


@pytest.mark.parametrize("plan", [b"damaged", b'{"live": ["web1"], "goals": "x"}', b"[]"])
def test_a_damaged_plan_says_nothing(lock: Lock, tmp_path: Path, plan: bytes) -> None:
    held, _ = lock.enter(lock.look(), describe)
    (tmp_path / "lead" / STATE.ticket(1) / "plan.json").write_bytes(plan)
    assert (lock.read(held), lock.goals(held), lock.pool(held)) == ({}, {}, "")


def test_who_lost_the_queue_writes_nothing_down(lock: Lock) -> None:
    held, _ = lock.enter(lock.look(), describe)
    lock.queue.unlock(1, "it hangs")
    with pytest.raises(TargetError):
        lock.write(held, {})
    with pytest.raises(TargetError):
        lock.switching(held)
    assert not lock.look().tickets[0].switching


def test_the_oldest_go_and_those_that_joined_push_no_rollout_out(lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "KEPT", 3)
    monkeypatch.setattr("pushkit.fleet.lock.KEPT", 2)
    for number in range(1, 10):
        held, _ = lock.enter(lock.look(), describe if number < 4 else lambda at: ticket(at, "", of=1, why="join"))
        lock.queue.end(held, "good" if number < 4 else "joined")
    lock.expire()
    assert [each.number for each in lock.look().tickets] == [2, 3, 7, 8, 9]


class Joining(Fleet):
    """A fleet of one host with the queue, and a new one."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path, "lead")
        self.pushed(1, "one")
        self.lock = Lock(LocalRemote(self.place("lead")), self.run, never)
        self.snap = self.snapshot()
        self.good = replace(self.named(1), revision=self.snap.revision)
        self.rolled_out(self.good)
        self.listed = [parse("new")]
        self.begin()

    def rolled_out(self, release: Release) -> None:
        """A rollout of that release ended well."""
        held, _ = self.lock.enter(self.lock.look(), lambda number: Ticket(number, release), first=number_of(release.id))
        self.lock.queue.end(held, "good")

    @property
    def member_(self) -> Member:
        return self.rollout.members[0]

    def join(self, snapshot: Snapshot | None = None) -> Release:
        self.rollout.connect()
        return join(self.member_, self.rollout, self.lock, snapshot or self.snap, self.run)

    @property
    def ends(self) -> list[str]:
        return [each.outcome for each in self.lock.look().tickets]


@pytest.fixture
def fleet(tmp_path: Path) -> Joining:
    return Joining(tmp_path)


def test_a_new_host_is_brought_to_what_is_live(fleet: Joining) -> None:
    assert fleet.join() == fleet.good
    assert fleet.texts == {"new": "one"}
    assert fleet.states == {"new": "done"}
    assert fleet.ends == ["good", "joined"]
    last = fleet.lock.look().tickets[-1]
    assert (last.why, last.release and last.release.id, last.previous) == ("join", fleet.good.id, "")
    # Once more changes nothing.
    fleet.begin()
    fleet.called.clear()
    assert fleet.join() == fleet.good
    assert not fleet.verbs("push")


def test_a_host_that_was_prepared_is_only_switched(fleet: Joining) -> None:
    rollout = fleet.rollout
    rollout.connect()
    rollout.plan(fleet.snap)
    rollout.prepare(rollout.members, fleet.snap, fleet.good)
    fleet.begin()
    fleet.called.clear()
    fleet.join()
    assert (fleet.verbs("push"), fleet.verbs("switch")) == ([], ["new"])
    assert fleet.texts == {"new": "one"}
    told = [event.state for event in fleet.events if isinstance(event, HostChanged)]
    assert told[-3:] == ["prepared", "switched", "done"]


def test_the_same_content_under_another_name_stays(fleet: Joining) -> None:
    rollout = fleet.rollout
    rollout.connect()
    rollout.plan(fleet.snap)
    other = fleet.named(2)
    rollout.prepare(rollout.members, fleet.snap, other)
    rollout.members[0].strategy.switch(other.id)
    fleet.begin()
    fleet.called.clear()
    fleet.join()
    assert (fleet.verbs("push"), fleet.verbs("switch")) == ([], [])
    assert fleet.member_.reason == f"{other.id} is live, which is the same"
    assert fleet.states == {"new": "done"}


def test_of_those_that_joined_long_ago_nothing_is_kept(fleet: Joining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "KEPT", 2)
    for _ in range(4):
        fleet.begin()
        fleet.join()
    assert fleet.ends == ["good", "joined", "joined"]


def test_who_cannot_be_reached_does_not_join(fleet: Joining) -> None:
    fleet.fails("connect", "new", *[TargetError(LOST)] * 2)
    with pytest.raises(TargetError, match=f"^new: {LOST}; nothing was changed$"):
        fleet.join()
    assert fleet.ends == ["good"]


def test_only_with_the_project_that_is_live_a_host_joins(fleet: Joining) -> None:
    fleet.write("index.html", "two")
    with pytest.raises(PushRefused, match="is live on here, and the project is not what was pushed then"):
        fleet.join(fleet.snapshot())
    assert fleet.ends == ["good"]
    assert not fleet.texts


def test_what_was_rolled_out_while_a_host_waited_is_what_it_joins_with(
    fleet: Joining, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = fleet.lock.enter

    def late(survey: Survey, describe: Callable[[int], Ticket]) -> tuple[Ticket, Survey]:
        monkeypatch.setattr(fleet.lock, "enter", enter)
        fleet.rolled_out(replace(fleet.named(2), revision=replace(fleet.snap.revision, digest="ab" * 32)))
        return enter(fleet.lock.look(), describe)

    monkeypatch.setattr(fleet.lock, "enter", late)
    with pytest.raises(PushRefused, match=f"^{fleet.named(2).id} is live on here, and the project is not"):
        fleet.join()
    assert fleet.ends[-1].startswith(f"failed: {fleet.named(2).id} is live on here")
    assert not fleet.texts


@pytest.mark.parametrize(("before", "left"), [(False, "one"), (True, "old")])
def test_a_host_that_fails_goes_back_if_there_is_anything_to_go_back_to(
    fleet: Joining, before: bool, left: str
) -> None:
    if before:
        rollout = fleet.rollout
        rollout.connect()
        fleet.write("index.html", "old")
        rollout.plan(fleet.snapshot())
        # From a time before the fleet's.
        first = replace(fleet.named(0), id="000005-20261122T193012Z-abc")
        rollout.prepare(rollout.members, fleet.snapshot(), first)
        rollout.members[0].strategy.switch(first.id)
        fleet.write("index.html", "one")
    fleet.begin(health={"command": "true", "within": 0.01, "every": 0.05})
    fleet.fails("health", "new", TargetError("it does not answer"))
    live = first.id if before else fleet.good.id
    with pytest.raises(
        PushFailed, match=f"1 of 1 hosts failed: new: it does not answer; {live} is live on new"
    ) as caught:
        fleet.join()
    assert caught.value.hint == "mend it, and join again"
    assert fleet.texts == {"new": left}
    assert fleet.ends[-1].startswith("failed: 1 of 1 hosts failed")
    # Who has nothing to go back to was not about to.
    assert fleet.said(Warned) == []


def test_a_host_that_has_it_already_and_is_not_well_stays_as_it_is(fleet: Joining) -> None:
    fleet.join()
    fleet.begin(health={"command": "true", "within": 0.01, "every": 0.05})
    fleet.fails("health", "new", TargetError("it does not answer"))
    with pytest.raises(PushFailed, match=f"it does not answer; {fleet.good.id} is live on new"):
        fleet.join()
    assert fleet.verbs("rollback") == []


def test_who_stops_is_told_what_is_live(fleet: Joining) -> None:
    fleet.fails("switch", "new", Interrupted("stopped"))
    switch = fleet.rollout.switch

    def stop(*given: object) -> None:
        fleet.cancelled.set()
        switch(*given)  # type: ignore[arg-type]

    fleet.rollout.switch = stop  # type: ignore[method-assign,assignment]
    with pytest.raises(Interrupted, match=r"^stopped: nothing is live on new$") as caught:
        fleet.join()
    assert caught.value.hint == "join again"


def test_what_is_live_on_a_host_that_is_gone_is_not_known(fleet: Joining, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.join()
    assert live_on(fleet.member_) == f"{fleet.good.id} is live on new"

    def gone() -> None:
        raise RemoteMissing(LOST)

    monkeypatch.setattr(fleet.member_.strategy, "status", gone)
    assert live_on(fleet.member_) == "what is live on new is not known"
    assert fleet.member_.state is State.DONE
