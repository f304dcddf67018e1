"""What stays of the releases on a target, what goes, and in which order: computed from one look at it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from pushkit import Action, PushRefused, Step
from pushkit.files.history import before, good_in, left, meant, pruning
from pushkit.files.machine import machine
from pushkit.files.operation import Operation, Remove, RemoveTree, Rename
from pushkit.files.place import STATE
from pushkit.files.stat import Found, Stat
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket
from pushkit.model import Kind, Release, Revision

NOW = datetime(2026, 11, 22, 19, 30, 12, tzinfo=UTC)


def named(number: int) -> str:
    """The id of the release that the push of that number makes."""
    return f"{number:06d}-20261122T193012Z-abc"


def ticket(number: int, outcome: str = "good", *, of: int = 0, previous: int = 0, **more: Any) -> Ticket:
    """One that ended so, or is open where the outcome is empty; of a push, or of what is for another's release."""
    release = Release(named(of or number), Revision("", False, ""), NOW, "ada@lovelace")
    state = {"ended": bool(outcome), "outcome": outcome, "why": "switch" if of else "push", **more}
    return Ticket(number, release, named(previous) if previous else "", **state)


def survey(tickets: Sequence[Ticket], releases: Sequence[int] = (), incoming: Sequence[int] = ()) -> Survey:
    """What a target holds, the last first."""
    paths = [f"releases/{named(number)}" for number in releases]
    paths += [f".push/incoming/{named(number)}" for number in incoming]
    found = {path: Found(Stat(path.rpartition("/")[2], Kind.DIRECTORY, 0o755, 0)) for path in reversed(paths)}
    made = Survey("/srv/blog", STATE, found)
    made.__dict__["tickets"] = tickets
    return made


def pruned(operations: Sequence[Operation]) -> list[tuple[int, str]]:
    """The releases that go, each with its reason."""
    steps = [each.step for each in operations if each.step]
    assert {step.action for step in steps} <= {Action.PRUNE}
    return [(int(step.subject[:6]), step.reason) for step in steps]


def test_good_is_what_is_there_and_was_live_by_its_own_push_or_the_last_switch_to_it() -> None:
    tickets = [
        ticket(1),
        ticket(2, "died"),
        ticket(3, "prepared"),
        ticket(4, "prepared"),
        ticket(5),
        ticket(6, "died"),
        ticket(7, "switched", of=3),
        ticket(8, "switched", of=1),
        ticket(9, "rolled back", of=1),
        Ticket(10, ended=True, outcome="good"),
        ticket(11, "good", of=1),
    ]
    good = good_in(survey(tickets, [1, 2, 3, 4, 6]), named(6))
    assert {int(name[:6]): each.number for name, each in good.items()} == {1: 8, 3: 7, 6: 6}
    assert list(good) == [named(1), named(3), named(6)]


def test_before_the_live_release_comes_what_was_live_then_or_the_newest_that_is_older() -> None:
    good = {named(each.number): each for each in (ticket(1), ticket(2), ticket(3, previous=1), ticket(5, previous=4))}
    assert before(named(3), good) == named(1)
    assert before(named(5), good) == named(3)
    assert before(named(4), good) == named(3)
    assert before(named(2), good) == named(1)
    assert before(named(1), good) == ""


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", ""),
        ("2", 0),
        ("000002", 0),
        ("000002-20261122T193012Z-4f2a91c", 0),
        ("4f2", 0),
        ("4f", "4f"),
        ("0c0ffee", 2),
        ("9", "9"),
        ("²", "²"),
    ],
)
def test_a_release_is_meant_by_its_id_its_number_or_how_its_revision_begins(wanted: str, found: int | str) -> None:
    names = [
        f"{number:06d}-20261122T193012Z-{text}" for number, text in ((2, "4f2a91c"), (3, "4fa"), (4, "0c0ffee-dirty"))
    ]
    if found == "4f":
        with pytest.raises(PushRefused, match=f"'4f' may be each of {names[0]}, {names[1]}; nothing was changed"):
            meant(wanted, names)
    else:
        assert meant(wanted, iter(names)) == (names[found] if isinstance(found, int) else found)


def test_after_a_push_go_old_releases_what_failed_and_what_waited_to_be_switched_to() -> None:
    tickets = [
        *(ticket(1), ticket(2), ticket(3), ticket(4, "failed: no space"), ticket(5, "prepared"), ticket(6, "")),
        *(ticket(7, "prepared"), ticket(8, "prepared"), ticket(9, "", of=8), ticket(10, "", previous=3), ticket(12)),
    ]
    there = survey(tickets, [1, 2, 3, 4, 5, 6, 7, 8, 10, 11])
    assert pruned(pruning(there, tickets[-2], named(3), 1)) == [
        (1, "the newest 1 stay"),
        (2, "the newest 1 stay"),
        (4, "its push did not end well"),
        (5, "a later push goes live, and it never was"),
        (7, "a later push goes live, and it never was"),
    ]
    assert pruned(pruning(there, tickets[-2], named(3), 3))[:2] == [
        (1, "the newest 3 stay"),
        (4, "its push did not end well"),
    ]
    assert pruned(pruning(there, tickets[-2], named(3), 1, 2)) == [(1, "the newest 1 stay")]
    only_begun = survey(tickets, [2, 3, 10], [1])
    assert [number for number, _ in pruned(pruning(only_begun, tickets[-2], named(3), 1))] == [1, 2]


def test_after_a_way_back_stays_what_waits_to_be_switched_to() -> None:
    tickets = [ticket(1, "prepared"), ticket(2), ticket(3), ticket(4, "prepared"), ticket(5, "", of=2, previous=3)]
    assert pruned(pruning(survey(tickets, [1, 2, 3, 4]), tickets[-1], named(3), 1)) == [
        (1, "a later push goes live, and it never was")
    ]


def test_a_release_loses_its_name_before_its_content_and_is_found_by_its_stage_until_all_is_gone() -> None:
    tickets = [ticket(1), ticket(2), ticket(3, "died"), ticket(4, "", previous=2)]
    operations = pruning(survey(tickets, [1, 2, 4], [3]), tickets[-1], named(2), 1)
    manifests, incoming = (f".push/{place}" for place in ("manifests", "incoming"))
    assert operations == [
        RemoveTree(f"{incoming}/{named(1)}"),
        Rename(
            *(f"releases/{named(1)}", f"{incoming}/{named(1)}"),
            step=Step(Action.PRUNE, named(1), "the newest 1 stay"),
        ),
        Remove(f"{manifests}/{named(1)}"),
        Remove(f"{manifests}/{named(1)}.new"),
        RemoveTree(f"{incoming}/{named(1)}"),
        RemoveTree(f"releases/{named(3)}", step=Step(Action.PRUNE, named(3), "its push did not end well")),
        Remove(f"{manifests}/{named(3)}"),
        Remove(f"{manifests}/{named(3)}.new"),
        RemoveTree(f"{incoming}/{named(3)}"),
    ]


def test_of_what_stays_and_is_whole_the_stage_goes_and_that_of_the_live_release_is_left_to_its_push() -> None:
    tickets = [ticket(1), ticket(2), ticket(3, "prepared"), ticket(4, "", of=2, previous=1)]
    operations = pruning(survey(tickets, [1, 2, 3], [1, 2, 3]), tickets[-1], named(1), 1)
    assert operations == [RemoveTree(f".push/incoming/{named(number)}") for number in (1, 3)]


def test_what_no_push_made_is_left_alone() -> None:
    tickets = [ticket(1), ticket(2, "", previous=1)]
    there = survey(tickets, [1, 2])
    for path in ("releases/mine", ".push/incoming/mine"):
        there.found[path] = Found(Stat("mine", Kind.DIRECTORY, 0o755, 0))
    assert pruning(there, tickets[-1], named(1), 1) == []


def test_the_tickets_of_what_stays_stay_the_last_that_made_it_live_and_the_first() -> None:
    tickets = [ticket(1, "prepared"), *(ticket(number, "died") for number in range(2, 46))]
    tickets[4] = ticket(5, "switched", of=1)
    tickets.append(ticket(46, "", previous=1))
    operations = pruning(survey(tickets, [1, 46]), tickets[-1], named(1), 1)
    gone = [int(each.old.rpartition("/")[2]) for each in operations if isinstance(each, Rename)]
    # 43 have ended and are not asked for, of which 30 stay.
    assert gone == [2, 3, 4, *range(6, 16)]


@pytest.fixture
def dead() -> dict[str, Any]:
    """Where a push ran that is over."""
    process = subprocess.Popen(["true"])
    process.wait()
    return {"machine": machine(), "process": process.pid}


def test_what_dead_pushes_left_is_their_tickets_and_stages(dead: dict[str, Any]) -> None:
    tickets = [ticket(1), ticket(2, "", **dead), ticket(3, "", switching=True, **dead)]
    there = survey(tickets, [1], [2, 3])
    there.found[".push/incoming/mine"] = Found(Stat("mine", Kind.DIRECTORY, 0o755, 0))
    there.found[".push/pushes/000000.expired"] = Found(Stat("000000.expired", Kind.DIRECTORY, 0o755, 0))
    found = left(there, named(3))
    assert found[:2] == [".push/pushes/000002", ".push/pushes/000003"]
    assert sorted(found[2:4]) == [f".push/incoming/{named(number)}" for number in (2, 3)]
    assert found[4:] == [".push/pushes/000000.expired"]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        pytest.param({"outcome": ""}, 1, id="one is open"),
        pytest.param({"switching": True, "ended": True, "outcome": ""}, 1, id="one is about to say how it ended"),
    ],
)
def test_while_anybody_may_be_at_work_nothing_is_left(changes: dict[str, Any], number: int) -> None:
    alive = {"machine": machine(), "process": os.getpid()}
    assert left(survey([ticket(1, **{"outcome": "", **alive, **changes})], [1], [2]), named(number)) == []


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        pytest.param({"switching": True, "outcome": "good"}, 1, id="it has said how it ended"),
        pytest.param({"switching": True, "outcome": ""}, 2, id="something else is live"),
        pytest.param({"switching": False, "outcome": ""}, 1, id="it had not begun to switch"),
    ],
)
def test_who_has_ended_is_not_at_work(changes: dict[str, Any], number: int) -> None:
    alive = {"machine": machine(), "process": os.getpid(), "ended": True}
    found = left(survey([ticket(1, **{**alive, **changes})], [1], [3]), named(number))
    assert found == [f".push/incoming/{named(3)}"]


def test_a_ticket_that_ended_without_a_word_though_its_release_is_live_is_left_by_a_dead_push(
    dead: dict[str, Any],
) -> None:
    mute = ticket(1, "", **{"ended": True, "switching": True, **dead})
    assert left(survey([mute], [1]), named(1)) == [".push/pushes/000001"]
    assert left(survey([mute], [1]), named(2)) == []
