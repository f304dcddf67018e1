"""A rollout over hosts that are directories of this machine: who goes when, what a failure stops, and the way back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pushkit import Action, Interrupted, PushFailed, PushRefused, Run, Snapshot, Step, TargetError
from pushkit.events import HostChanged, Note, StepFinished, Warned
from pushkit.fleet.host import parse
from pushkit.fleet.member import Member
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.rollout import Rollout, Stopped, alike, names, step_of, switch_of
from pushkit.fleet.state import State
from pushkit.model import Host, Plan, Release, Revision
from pushkit_dir.strategy import DirOptions, DirStrategy
from unit.test_releases import Site

Trouble = dict[tuple[str, str], list[Exception]]


class Directory(DirStrategy):
    """A host that is a directory. What ``trouble`` has for one of its verbs is raised, one after the other."""

    trouble: Trouble
    called: list[tuple[str, str]]
    host: str

    def _may_fail(self, verb: str) -> None:
        self.called.append((verb, self.host))
        if errors := self.trouble.get((verb, self.host)):
            raise errors.pop(0)

    def connect(self) -> None:
        self._may_fail("connect")
        super().connect()

    def plan(self, snapshot: Snapshot) -> Plan:
        self._may_fail("plan")
        return super().plan(snapshot)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        self._may_fail("push")
        return super().push(plan, snapshot)

    def switch(self, release: str) -> Release:
        self._may_fail("switch")
        try:
            return super().switch(release)
        finally:
            self._may_fail("switched")

    def rollback(self, release: str = "") -> Release:
        self._may_fail("rollback")
        return super().rollback(release)

    def close(self) -> None:
        self._may_fail("close")
        super().close()

    def ask_health(self, command: str, seconds: float) -> str:
        self._may_fail("health")
        return ""


class Fleet(Site):
    """A project, and hosts that are directories. ``listed`` are those that the source names."""

    def __init__(self, tmp_path: Path, *hosts: str, **options: Any) -> None:
        super().__init__(tmp_path)
        self.trouble: Trouble = {}
        self.called: list[tuple[str, str]] = []
        self.listed = [parse(host) for host in hosts]
        self.unlisted: list[Exception] = []
        self.given = options
        self.rollout = self.begin()
        self.release = self.named(1)
        self.write("index.html", "one")

    def begin(self, **options: Any) -> Rollout:
        """Another rollout."""
        health = options.pop("health", self.given.get("health"))
        table = {"parallel": 1, **self.given, **options}
        table.pop("health", None)
        asked = {"health": health} if health else {}
        given = FleetOptions.of({"path": "/srv", "hosts": ["web1"], "rollout": table, **asked})
        self.rollout = Rollout(self.run, given, self.source_of_hosts, self.member)
        return self.rollout

    def named(self, number: int) -> Release:
        # On each host a push and its switch have taken the numbers before.
        name = f"{10 * number:06d}-20261122T193012Z-abc"
        return Release(name, Revision("", False, ""), datetime(2026, 11, 22, 19, 30, 12, tzinfo=UTC), "ada@lovelace")

    def source_of_hosts(self) -> list[Host]:
        if self.unlisted:
            raise self.unlisted.pop(0)
        return list(self.listed)

    def member(self, host: Host) -> Member:
        def make(host: Host, run: Run) -> Directory:
            strategy = Directory(DirOptions.of({"path": str(self.place(str(host)))}), run)
            strategy.trouble, strategy.called, strategy.host = self.trouble, self.called, str(host)
            return strategy

        return Member(host, make, self.run)

    def place(self, host: str) -> Path:
        return self.path.parent / host

    def fails(self, verb: str, host: str, *errors: Exception) -> None:
        self.trouble[verb, host] = list(errors)

    def up_to(self, verb: str, number: int = 1) -> Rollout:
        """The rollout of a release, up to and with that verb."""
        rollout, snapshot, self.release = self.rollout, self.snapshot(), self.named(number)
        rollout.connect()
        if verb != "connect":
            rollout.plan(snapshot)
        if verb in {"prepare", "go_live"}:
            rollout.prepare(rollout.at(State.CONNECTED), snapshot, self.release)
        if verb == "go_live":
            rollout.go_live(rollout.at(State.PREPARED), self.change)
        return rollout

    def change(self, member: Member) -> object:
        return member.strategy.switch(self.release.id)

    def pushed(self, number: int, text: str) -> None:
        """A whole rollout of a release with that text."""
        self.write("index.html", text)
        self.begin()
        self.up_to("go_live", number).finish()
        self.events.clear()
        self.called.clear()

    def verbs(self, verb: str) -> list[str]:
        """The hosts on which it was done, in this order."""
        return [host for each, host in self.called if each == verb]

    @property
    def states(self) -> dict[str, str]:
        return {each.name: each.state.value for each in self.rollout.members}

    @property
    def texts(self) -> dict[str, str]:
        """What is live on which host."""
        hosts = [each.host for each in self.rollout.members]
        files = {str(host): self.place(str(host)) / "current/index.html" for host in hosts}
        return {host: file.read_text() for host, file in files.items() if file.exists()}

    def said(self, kind: type[Note] | type[Warned]) -> list[str]:
        return [event.message for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits before a host is tried again."""
    monkeypatch.setattr("pushkit.fleet.rollout.random.uniform", lambda low, high: 0.0)


LOST = "the connection was lost"


def test_all_are_prepared_before_the_first_goes_live_and_then_they_go_in_batches(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", batches=["1", "100%"])
    fleet.up_to("go_live").finish()
    assert [each for each in fleet.called if each[0] in {"push", "switch"}] == [
        *(("push", host) for host in ("web1", "web2", "web3")),
        *(("switch", host) for host in ("web1", "web2", "web3")),
    ]
    batches = [event.batch for event in fleet.events if isinstance(event, HostChanged) and event.state == "switched"]
    assert batches == ["batch 1 of 2", "batch 2 of 2", "batch 2 of 2"]
    assert set(fleet.states.values()) == {"done"}
    assert set(fleet.texts.values()) == {"one"}
    steps = [event.step for event in fleet.events if isinstance(event, StepFinished)]
    assert Step(Action.PREPARE, "web1", "1 to add", 3) in steps
    assert Step(Action.SWITCH, "web3", "from nothing") in steps
    fleet.rollout.close()
    assert fleet.verbs("close") == ["web1", "web2", "web3"]


def test_who_does_not_answer_is_tried_twice_and_is_gone_when_nobody_lists_it_any_more(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", max_failures=1)
    fleet.fails("connect", "web1", TargetError(LOST))
    fleet.fails("connect", "web2", TargetError(LOST), TargetError("again"))
    fleet.fails("connect", "web3", TargetError(LOST), TargetError(LOST))
    rollout = fleet.up_to("connect")
    assert fleet.states == {"web1": "connected", "web2": "unreachable", "web3": "unreachable"}
    assert fleet.verbs("connect") == ["web1", "web2", "web3"] * 2
    assert rollout.bad == 2
    assert rollout.failures() == f"2 of 3 hosts failed: web2: again; web3: {LOST}"
    with pytest.raises(TargetError, match=r"^2 of 3 hosts failed: .*; nothing was changed on any host$") as caught:
        rollout.check()
    assert "max_failures in" in caught.value.hint
    fleet.listed.pop()
    rollout.plan(fleet.snapshot())
    assert fleet.states == {"web1": "connected", "web2": "unreachable", "web3": "gone"}
    assert rollout.members[2].reason == LOST
    assert rollout.summary() == "1 connected, 1 unreachable, 1 gone"


def test_who_is_gone_before_it_was_reached_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(tmp_path, "web1", "web2")
    slept: list[float] = []

    def sleep(run: Run, seconds: float) -> None:
        slept.append(seconds)
        fleet.listed.pop()

    monkeypatch.setattr(Run, "sleep", sleep)
    fleet.fails("connect", "web2", *[TargetError(LOST)] * 2)
    fleet.rollout.connect()
    assert fleet.states == {"web1": "connected", "web2": "gone"}
    fleet.rollout.check()
    assert len(slept) == 1
    # Where all answer, nobody waits.
    fleet.begin().connect()
    assert len(slept) == 1


def test_a_source_that_cannot_be_asked_again_says_nothing_of_any_host(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", max_failures=1)
    fleet.fails("connect", "web1", *[TargetError(LOST)] * 2)
    fleet.rollout.connect()
    fleet.unlisted.append(TargetError("the table of hosts is gone"))
    fleet.rollout.plan(fleet.snapshot())
    assert fleet.states == {"web1": "unreachable", "web2": "connected"}
    assert fleet.said(Warned) == ["the hosts cannot be listed again: the table of hosts is gone"]
    fleet.unlisted.append(Interrupted("stopped"))
    with pytest.raises(Interrupted):
        fleet.rollout.plan(fleet.snapshot())


def test_who_stops_while_hosts_are_reached_leaves_them(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1")
    fleet.cancelled.set()
    with pytest.raises(Interrupted):
        fleet.rollout.connect()
    assert fleet.states == {"web1": "pending"}


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("plan", "1 of 2 hosts failed: web2: no space; nothing was changed on any host"),
        ("push", "1 of 2 hosts failed: web2: no space; it was switched to on no host"),
    ],
)
def test_a_failure_before_the_first_switch_leaves_all_as_they_were(tmp_path: Path, verb: str, words: str) -> None:
    fleet = Fleet(tmp_path, "web1", "web2")
    fleet.fails(verb, "web2", TargetError("web2: no space"))
    with pytest.raises(TargetError, match=f"^{words}$"):
        fleet.up_to("prepare")
    assert not fleet.texts
    assert fleet.states["web2"] == "failed"


def test_as_many_may_fail_as_are_allowed_and_are_told_of_at_the_end(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", max_failures=2)
    fleet.fails("push", "web2", TargetError("no space"))
    fleet.fails("switch", "web3", PushRefused("held"))
    fleet.up_to("go_live").finish()
    assert fleet.texts == {"web1": "one"}
    assert fleet.states == {"web1": "done", "web2": "failed", "web3": "failed"}
    assert fleet.said(Warned) == ["2 of 3 hosts failed: web2: no space; web3: held; push again once they are mended"]


def test_one_failure_too_many_stops_all_that_were_not_begun(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", "web4", max_failures=1, batches=["3", "100%"])
    fleet.fails("switch", "web1", PushRefused("held"))
    fleet.fails("switch", "web2", PushRefused("held"))
    with pytest.raises(Stopped, match=r"^2 of 4 hosts failed: web1, web2: held$"):
        fleet.up_to("go_live")
    assert fleet.verbs("switch") == ["web1", "web2"]
    assert fleet.states == {"web1": "failed", "web2": "failed", "web3": "prepared", "web4": "prepared"}
    with pytest.raises(Stopped):
        fleet.rollout.finish()


def test_who_failed_before_counts_when_hosts_go_live(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", "web4", "web5", max_failures=2, batches=["100%"])
    fleet.fails("push", "web1", TargetError("no space"))
    for host in ("web2", "web3", "web4"):
        fleet.fails("switch", host, PushRefused("held"))
    with pytest.raises(Stopped, match=r"^3 of 5 hosts failed: web1: no space; web2, web3: held$"):
        fleet.up_to("go_live")
    assert fleet.verbs("switch") == ["web2", "web3"]


def test_who_failed_and_is_gone_does_not_count_and_the_others_have_their_turn(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", batches=["100%"])
    fleet.fails("switch", "web1", TargetError(LOST))
    fleet.up_to("prepare")
    fleet.listed.pop(0)
    fleet.rollout.go_live(fleet.rollout.at(State.PREPARED), fleet.change)
    assert fleet.states == {"web1": "gone", "web2": "switched", "web3": "switched"}


@pytest.mark.parametrize(
    ("error", "state"), [(TargetError(LOST), "unknown"), (PushRefused("held"), "failed"), (PushFailed("no"), "failed")]
)
def test_of_whom_the_line_was_cut_in_the_switch_nobody_knows_until_it_is_looked_at(
    tmp_path: Path, error: Exception, state: str
) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", max_failures=2)
    fleet.fails("switched", "web1", error)
    fleet.fails("switch", "web2", error)
    rollout = fleet.up_to("go_live")
    assert fleet.states == {"web1": state, "web2": state, "web3": "switched"}
    fleet.fails("switch", "web2")
    rollout.settle(fleet.release.id)
    assert fleet.states == {"web1": "switched" if state == "unknown" else state, "web2": state, "web3": "switched"}


HEALTH = {"command": "true", "within": 0.01, "every": 0.05}


def test_who_is_not_well_after_its_switch_has_failed(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", health=HEALTH, max_failures=1, batches=["1", "100%"])
    fleet.fails("health", "web2", TargetError("it does not answer"))
    rollout = fleet.up_to("go_live")
    assert fleet.states == {"web1": "verified", "web2": "failed", "web3": "verified"}
    assert fleet.verbs("health") == ["web1", "web2", "web3"]
    # That it was switched is known.
    assert set(fleet.texts) == {"web1", "web2", "web3"}
    rollout.finish([rollout.members[2]])
    assert fleet.states == {"web1": "done", "web2": "failed", "web3": "verified"}


def test_those_that_have_the_release_already_are_asked_too_where_anybody_is(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2")
    fleet.pushed(1, "one")
    rollout = fleet.begin(health=HEALTH, max_failures=1)
    rollout.connect()
    fleet.fails("health", "web2", TargetError("it does not answer"))
    assert {each.name: str(error) for each, error in rollout.verify(rollout.members).items()} == {
        "web2": "it does not answer"
    }
    assert fleet.states == {"web1": "verified", "web2": "failed"}
    rollout = fleet.begin()
    rollout.connect()
    assert rollout.verify(rollout.members) == {}
    assert fleet.states == {"web1": "connected", "web2": "connected"}


def test_the_way_back_is_to_what_was_live_on_each_host_the_last_batch_first(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", batches=["1", "1", "100%"])
    fleet.pushed(1, "one")
    fleet.listed = fleet.listed[:2]
    fleet.pushed(2, "two")
    fleet.listed.append(parse("web3"))
    fleet.write("index.html", "three")
    fleet.begin()
    rollout = fleet.up_to("go_live", 3)
    assert set(fleet.texts.values()) == {"three"}
    assert rollout.roll_back(fleet.release.id) == ""
    assert fleet.texts == {"web1": "two", "web2": "two", "web3": "one"}
    assert fleet.verbs("rollback") == ["web3", "web2", "web1"]
    assert set(fleet.states.values()) == {"rolled back"}
    steps = [event.step for event in fleet.events if isinstance(event, StepFinished)]
    assert Step(Action.REVERT, "web3", f"back to {fleet.named(1).id}") in steps


def test_only_where_the_new_release_is_live_anything_goes_back_and_failures_are_told(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", "web4", batches=["100%"], max_failures=3)
    fleet.listed = fleet.listed[:3]
    fleet.pushed(1, "one")
    fleet.listed.append(parse("web4"))
    fleet.write("index.html", "two")
    fleet.begin()
    fleet.fails("switch", "web1", PushRefused("held"))
    fleet.fails("rollback", "web2", TargetError("web2: " + LOST))
    rollout = fleet.up_to("go_live", 2)
    assert rollout.roll_back(fleet.release.id) == f"web2: {LOST}"
    assert fleet.texts == {"web1": "one", "web2": "two", "web3": "one", "web4": "two"}
    assert fleet.verbs("rollback") == ["web2", "web3"]
    assert fleet.said(Warned) == [f"{fleet.release.id} stays live on web4: nothing was live there before"]
    assert fleet.states["web3"] == "rolled back"


def test_what_fails_on_the_way_back_is_told_of_every_batch_and_who_is_gone_is_left(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", batches=["1", "1", "100%"])
    fleet.pushed(1, "one")
    fleet.write("index.html", "two")
    fleet.begin()
    fleet.fails("rollback", "web1", TargetError(LOST))
    fleet.fails("rollback", "web2", TargetError("held"))
    rollout = fleet.up_to("go_live", 2)
    rollout.members[2].become(State.GONE)
    assert rollout.roll_back(fleet.release.id) == f"web2: held; web1: {LOST}"
    assert fleet.verbs("rollback") == ["web2", "web1"]


def test_who_came_meanwhile_is_brought_along(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1")
    rollout = fleet.up_to("go_live")
    fleet.listed += [parse("web2"), parse("web3")]
    rollout.reconcile(fleet.snapshot(), fleet.release)
    rollout.finish()
    assert fleet.texts == {"web1": "one", "web2": "one", "web3": "one"}
    assert fleet.said(Note) == ["2 hosts more since this began: web2, web3"]
    assert not fleet.said(Warned)
    new = [event.host for event in fleet.events if isinstance(event, HostChanged) and event.batch == "new"]
    assert new == ["web2", "web3"]
    # They go back after none and before all others.
    assert rollout.roll_back(fleet.release.id) == ""


def test_who_comes_with_the_release_has_nothing_to_be_sent(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2")
    fleet.pushed(1, "one")
    fleet.listed = fleet.listed[:1]
    fleet.write("index.html", "two")
    fleet.begin()
    fleet.up_to("go_live", 2)
    fleet.write("index.html", "one")
    fleet.listed.append(parse("web2"))
    fleet.called.clear()
    fleet.rollout.reconcile(fleet.snapshot(), fleet.release)
    assert not fleet.verbs("push")
    assert fleet.states["web2"] == "connected"


def test_hosts_that_come_again_and_again_are_followed_a_few_times(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1")
    rollout = fleet.up_to("go_live")
    source = rollout._source
    rollout._source = lambda: (fleet.listed.append(parse(f"new{len(fleet.listed)}")), source())[1]  # type: ignore[func-returns-value]
    rollout.reconcile(fleet.snapshot(), fleet.release)
    assert sorted(fleet.texts) == ["new1", "new2", "new3", "web1"]
    assert fleet.said(Warned) == ["there are new hosts again and again: push once more"]


def test_where_the_hosts_cannot_be_listed_at_the_end_nobody_is_new(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1")
    rollout = fleet.up_to("go_live")
    fleet.unlisted.append(TargetError("the table of hosts is gone"))
    rollout.reconcile(fleet.snapshot(), fleet.release)
    assert fleet.said(Warned) == ["the hosts cannot be listed again: the table of hosts is gone"]


def test_what_is_live_is_seen_on_each_host(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2")
    fleet.listed = fleet.listed[:1]
    fleet.pushed(1, "one")
    fleet.listed.append(parse("web2"))
    rollout = fleet.begin()
    rollout.connect()
    rollout.see()
    assert [each.before for each in rollout.members] == [fleet.named(1).id, ""]
    assert switch_of(rollout.members[0]) == Step(Action.SWITCH, "web1", f"from {fleet.named(1).id}")


def test_two_hosts_of_one_name_are_told_apart_by_their_ports(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1:22", "web1:23", "web2:22")
    fleet.rollout.connect()
    assert list(fleet.states) == ["web1:22", "web1:23", "web2"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [(False, "a person said no to the next batch"), (PushRefused("nobody to ask"), "nobody to ask")],
)
def test_a_person_who_is_asked_between_two_batches_may_stop_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object, words: str
) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", batches=["1", "100%"], confirm=True)
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    monkeypatch.setattr(fleet.run, "confirm", confirm)
    with pytest.raises(Stopped, match=words):
        fleet.up_to("go_live")
    assert asked == ["2 prepared, 1 switched. Go on with batch 2 of 2, 2 hosts?"]
    assert fleet.texts == {"web1": "one"}
    answer = True
    fleet.rollout.go_live(fleet.rollout.at(State.PREPARED), fleet.change)
    assert set(fleet.texts) == {"web1", "web2", "web3"}


def test_who_stops_instead_of_an_answer_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", batches=["1", "100%"], confirm=True)

    def confirm(question: str) -> bool:
        fleet.cancelled.set()
        return True

    monkeypatch.setattr(fleet.run, "confirm", confirm)
    with pytest.raises(Interrupted, match=r"^stopped$"):
        fleet.up_to("go_live")
    assert fleet.texts == {"web1": "one"}


def test_as_many_hosts_are_worked_on_at_once_as_the_pushfile_says(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web1", "web2", "web3", "web4", parallel=2)
    fleet.rollout.connect()
    both, most, under_way = threading.Barrier(2), 0, set[str]()

    def work(member: Member) -> None:
        nonlocal most
        under_way.add(member.name)
        both.wait(10)
        most = max(most, len(under_way))
        both.wait(10)
        under_way.discard(member.name)

    assert not fleet.rollout.together(fleet.rollout.members, work)
    assert most == 2


def members(tmp_path: Path, *hosts: str) -> Sequence[Member]:
    fleet = Fleet(tmp_path, *hosts)
    return [fleet.member(host) for host in fleet.listed]


def test_many_problems_are_told_on_one_screen(tmp_path: Path) -> None:
    found = members(tmp_path, *(f"web{number}" for number in range(1, 9)))
    assert names(found) == "web1, web2, web3, web4, web5 and 3 more"
    assert names(found[:5]) == "web1, web2, web3, web4, web5"
    same = [(each, f"{each.host.name}:22: {LOST}") for each in found[:2]]
    assert alike(same) == f"web1, web2: {LOST}"
    assert alike([(each, f"reason {number}") for number, each in enumerate(found[:5])]).count(";") == 4
    assert alike([(each, f"reason {number}") for number, each in enumerate(found)]).endswith(
        "web5: reason 4; and 3 hosts more, for other reasons"
    )
    assert alike([]) == ""


def test_a_step_says_what_a_host_lacks(tmp_path: Path) -> None:
    (member,) = members(tmp_path, "web1")
    member.plan = Plan(
        "web1", (Step(Action.REPLACE, "a", "", 2), Step(Action.REMOVE, "b", ""), Step(Action.REMOVE, "c", ""))
    )
    assert step_of(member) == Step(Action.PREPARE, "web1", "1 to replace, 2 to remove", 2)
    member.plan = Plan("web1", ())
    assert step_of(member) == Step(Action.PREPARE, "web1", "nothing to send", 0)
