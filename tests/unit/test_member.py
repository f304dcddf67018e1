"""One host of a rollout: what it begins with, what is told of it, and what of its own push the fleet hears."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from pushkit import Action, Run, Step, TargetError
from pushkit.events import HostChanged, Note, Output, StepFinished, StepProgress, Warned
from pushkit.files.assembly import ReleasesPlan
from pushkit.files.supply import Supply
from pushkit.fleet.member import Member
from pushkit.fleet.state import State
from pushkit.model import Host
from pushkit_dir.strategy import DirOptions, DirStrategy
from unit.test_rollout import Fleet

SEND = Step(Action.ADD, "web1", "new")


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, "web1")


@pytest.fixture
def member(fleet: Fleet) -> Member:
    return fleet.member(fleet.listed[0])


def test_a_host_begins_with_nothing_known_of_it(member: Member) -> None:
    found = (member.state, member.reason, member.hint, member.before, member.plan, member.touched, member.step)
    assert found == (State.PENDING, "", "", "", None, False, None)
    assert (member.name, member.last) == ("web1", 0)


def test_what_runs_on_a_host_waits_for_nobody_there_and_only_prepares(fleet: Fleet, tmp_path: Path) -> None:
    def make(host: Host, run: Run) -> DirStrategy:
        return DirStrategy(DirOptions.of({"path": str(fleet.place(host.name))}), run)

    fleet.run.wait = 60.0
    supply = Supply(tmp_path)
    found = Member(fleet.listed[0], make, fleet.run, supply)
    assert (found.strategy.run.wait, found.strategy.run.prepare) == (0.0, True)
    assert found.strategy.supply is supply
    # Of the fleet's own nothing changed.
    assert (fleet.run.wait, fleet.run.prepare) == (60.0, False)
    found.named(fleet.release)
    assert (found.strategy.run.release, fleet.run.release) == (fleet.release, None)


@pytest.mark.parametrize(
    ("state", "bad", "out"),
    [
        (State.PENDING, False, False),
        (State.CONNECTED, False, False),
        (State.PREPARED, False, False),
        (State.SWITCHED, False, False),
        (State.VERIFIED, False, False),
        (State.DONE, False, False),
        (State.GONE, False, True),
        (State.ROLLED_BACK, False, True),
        (State.UNREACHABLE, True, True),
        (State.FAILED, True, True),
        (State.UNKNOWN, True, True),
    ],
)
def test_a_state_says_whether_it_is_a_failure_and_whether_a_host_is_out(
    member: Member, state: State, *, bad: bool, out: bool
) -> None:
    member.become(state)
    assert (member.bad, member.out) == (bad, out)


def test_what_becomes_of_a_host_is_told(fleet: Fleet, member: Member) -> None:
    member.become(State.CONNECTED)
    member.become(State.SWITCHED, "it was first", "1 of 2")
    assert (member.state, member.reason) == (State.SWITCHED, "it was first")
    assert fleet.events == [
        HostChanged("here", "web1", "connected", "", ""),
        HostChanged("here", "web1", "switched", "it was first", "1 of 2"),
    ]


def test_what_to_do_about_a_failure_is_remembered_as_long_as_it_is_the_last(fleet: Fleet, member: Member) -> None:
    member.fail(TargetError("the disk is full", hint="make room"))
    assert (member.state, member.reason, member.hint) == (State.FAILED, "the disk is full", "make room")
    member.fail(ExceptionGroup("both", [TargetError("lost")]), State.UNKNOWN, "2 of 2")
    assert (member.state, member.hint) == (State.UNKNOWN, "")
    assert [(each.state, each.batch) for each in fleet.events if isinstance(each, HostChanged)] == [
        ("failed", ""),
        ("unknown", "2 of 2"),
    ]


def test_the_last_number_of_a_host_is_what_its_plan_saw(fleet: Fleet) -> None:
    fleet.pushed(1, "one")
    fleet.begin()
    (planned,) = fleet.up_to("plan", 2).members
    plan = cast("ReleasesPlan", planned.plan)
    assert plan.survey
    # That of its release, and the one that its switch took.
    assert planned.last == plan.survey.last == 11
    planned.plan = replace(plan, survey=None)
    assert planned.last == 0


def test_the_fleet_hears_what_is_said_on_a_host_with_its_name_and_counts_its_bytes(
    fleet: Fleet, member: Member
) -> None:
    own = Step(Action.ADD, "index.html", "new")
    emit = member.strategy.run.emit
    # Nobody said yet what the bytes are for.
    emit(StepProgress("web1", own, 5))
    member.step = SEND
    emit(StepProgress("web1", own, 7))
    emit(StepFinished("web1", own, 0.5))
    emit(Output("web1", "build", "it is done"))
    emit(Note("web1", "it has all"))
    emit(Warned("web1", "it is slow"))
    assert fleet.events == [
        StepProgress("here", SEND, 7),
        Output("here", "web1 build", "it is done"),
        Note("here", "web1: it has all"),
        Warned("here", "web1: it is slow"),
    ]
    # Its own steps, and what it printed, are in its own course.
    assert member.strategy.run.course is not fleet.run.course
    assert member.strategy.run.course.phases
    assert not fleet.run.course.phases
