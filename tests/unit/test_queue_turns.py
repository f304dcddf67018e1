"""The queue by itself: whose a place is, when it is its turn, and what is said of who lost it."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from pushkit import Busy, PushRefused
from pushkit.errors import PushkitError
from pushkit.events import Note
from pushkit.files import RemoteError
from pushkit.files import queue as queues
from pushkit.files.errors import RemoteExists, RemoteLost, RemoteMissing
from pushkit.files.log import read_log
from pushkit.files.machine import machine
from pushkit.files.operation import MakeDirectory, Operation, RemoveTree, Rename, Write
from pushkit.files.place import STATE
from pushkit.files.queue import Queue, expiring
from pushkit.files.survey import Look, Survey
from pushkit.files.ticket import Ticket
from pushkit.model import Release, Revision
from unit.test_releases import Site

NOW = datetime(2026, 11, 22, 19, 30, 12, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A target that nobody has pushed to, whose queue is looked at often."""
    monkeypatch.setattr(queues, "PAUSE", 0.02)
    made = Site(tmp_path)
    made.path.mkdir()
    return made


def describe(number: int) -> Ticket:
    """What a push says of its ticket."""
    return Ticket(number, Release(f"{number:06d}-20261122T193012Z-abc", Revision("", False, ""), NOW, "ada@lovelace"))


def look(site: Site) -> Survey:
    return Look(STATE).at(site.remote)


def never(ticket: Ticket, survey: Survey) -> str:
    raise AssertionError("nobody had begun to switch")


def queue(
    site: Site,
    *,
    stale: float = 60.0,
    seen: Callable[[], Survey] | None = None,
    settle: Callable[[Ticket, Survey], str] = never,
) -> Queue:
    """The queue of the site, for one more push."""
    return Queue(site.remote, STATE, site.run, look=seen or (lambda: look(site)), settle=settle, stale=stale)


def enter(site: Site) -> Ticket:
    """The ticket of another push, which is alive."""
    ticket, _ = queue(site).enter(look(site), describe)
    return ticket


def nameless(site: Site, number: int) -> Path:
    """A ticket that nobody has signed yet."""
    place = site.path / STATE.ticket(number)
    place.mkdir(parents=True)
    return place


def tickets(*found: Ticket) -> Survey:
    """A survey that found these tickets, the first first."""
    survey = Survey("/srv/blog", STATE, {})
    survey.__dict__["tickets"] = found
    return survey


def test_a_place_is_taken_signed_and_said_to_be_alive_in_this_order(site: Site) -> None:
    entrance = queue(site).entrance(look(site), describe)
    assert entrance
    place = ".push/pushes/000001"
    assert entrance.operations == [
        MakeDirectory(".push", 0o700, may_exist=True),
        MakeDirectory(".push/pushes", 0o700, may_exist=True),
        MakeDirectory(place, 0o700),
        Write(f"{place}/ticket.json", entrance.ticket.record(), whole=False),
        Write(f"{place}/hb", b"alive\n", whole=False),
    ]
    assert entrance.taking is entrance.operations[2]
    ticket = entrance.ticket
    assert (ticket.machine, ticket.process, ticket.who) == (machine(), os.getpid(), "ada@lovelace")
    assert ticket.since
    assert ticket.since.microsecond == 0
    assert abs((datetime.now(UTC) - ticket.since).total_seconds()) < 60


def test_a_place_is_at_least_the_first_that_is_asked_for(site: Site) -> None:
    assert queue(site).enter(look(site), describe, first=7)[0].number == 7
    queue(site).end(describe(7), "good")
    entrance = queue(site).entrance(look(site), describe, first=9)
    assert entrance
    assert entrance.ticket.number == 9
    entrance = queue(site).entrance(look(site), describe, first=3)
    assert entrance
    assert entrance.ticket.number == 8


def test_nobody_takes_a_place_while_pushes_are_held(site: Site) -> None:
    queue(site).hold("the shop is open")
    for take in (queue(site).enter, queue(site).entrance):
        with pytest.raises(PushRefused, match=r"are held by ada@lovelace since 20.*: the shop is open"):
            take(look(site), describe)
    assert not look(site).tickets


def test_where_somebody_has_a_place_nobody_enters_without_a_wait(site: Site) -> None:
    enter(site)
    assert queue(site).entrance(look(site), describe) is None


def error(
    kind: type[RemoteError], operations: Sequence[Operation], at: int | None = None, done: Sequence[int] = ()
) -> RemoteError:
    """What a remote raises: at one of some operations, or of others, after those that are known to be done."""
    found = kind("it failed")
    found.operation = None if at is None else operations[at] if at < len(operations) else MakeDirectory("later")
    found.done = [operations[each] for each in done]
    return found


@pytest.mark.parametrize(
    ("kind", "at", "done", "mine"),
    [
        pytest.param(RemoteError, 3, (), True, id="it could not sign"),
        pytest.param(RemoteError, 5, (), True, id="what comes after the ticket failed"),
        pytest.param(RemoteLost, None, (0, 1, 2), True, id="the line was cut after it had heard of its number"),
        pytest.param(RemoteError, None, (0, 1, 2), True, id="it failed after it had taken the number"),
        pytest.param(RemoteExists, 2, (0, 1), False, id="somebody has the number"),
        pytest.param(RemoteError, 0, (), False, id="it failed before"),
        pytest.param(RemoteError, None, (0, 1), False, id="it failed somewhere"),
    ],
)
def test_a_ticket_that_nobody_signed_is_of_who_knows_that_it_took_the_number(
    site: Site, kind: type[RemoteError], at: int | None, done: tuple[int, ...], mine: bool
) -> None:
    own = queue(site)
    entrance = own.entrance(look(site), describe)
    assert entrance
    own.heed(entrance, error(kind, entrance.operations, at, done))
    nameless(site, 1)
    assert own.owns(entrance.ticket, look(site)) is mine


def test_what_is_no_error_of_the_remote_tells_nothing_of_a_number(site: Site) -> None:
    own = queue(site)
    entrance = own.entrance(look(site), describe)
    assert entrance
    own.heed(entrance, KeyboardInterrupt())
    nameless(site, 1)
    assert not own.owns(entrance.ticket, look(site))


@pytest.mark.parametrize("signs", [False, True])
def test_who_did_not_hear_whether_it_has_a_number_waits_a_beat_for_another_to_sign(site: Site, signs: bool) -> None:
    place = nameless(site, 1)
    looks: list[float] = []

    def seen() -> Survey:
        looks.append(time.monotonic())
        if signs:
            (place / "ticket.json").write_bytes(replace(describe(1), machine="another", process=4711).record())
        return look(site)

    own = queue(site, stale=1.2, seen=seen)
    entrance = own.entrance(Survey("", STATE, {}), describe)
    assert entrance
    own.heed(entrance, error(RemoteLost, entrance.operations))
    start = time.monotonic()
    assert own.owns(entrance.ticket, look(site)) is not signs
    if signs:
        assert len(looks) == 1
    else:
        assert time.monotonic() - start > 0.2
        assert 1 <= len(looks) <= 11


def test_a_ticket_is_of_the_process_that_signed_it(site: Site) -> None:
    own = queue(site)
    ticket, _ = own.enter(look(site), describe)
    survey = look(site)
    assert own.owns(ticket, survey)
    for other in (
        replace(ticket, machine="another"),
        replace(ticket, process=1),
        replace(ticket, release=describe(2).release),
    ):
        assert not own.owns(ticket, tickets(other))
    assert not own.owns(ticket, tickets())
    assert not own.owns(replace(ticket, release=None), survey)
    # Who has not entered owns nothing that is not signed, and nobody what has ended.
    assert not queue(site).owns(describe(1), tickets(Ticket(1)))
    assert not own.owns(ticket, tickets(Ticket(1, ended=True)))


def test_who_gives_up_ends_its_own_ticket_only(site: Site) -> None:
    other = enter(site)
    own = queue(site)
    own.abandon("gave up")
    assert [each.number for each in look(site).open_tickets] == [other.number]
    queue(site).end(other, "good")
    own.enter(look(site), describe)
    own.abandon("gave up")
    assert [each.outcome for each in look(site).tickets] == ["good", "gave up"]


def holds(site: Site, own: Queue, ticket: Ticket) -> None:
    site.remote.perform(own.holding(ticket), site.run.step, STATE.name)


def test_who_holds_leaves_its_number_in_the_fence_and_may_begin_to_switch_twice(site: Site) -> None:
    own = queue(site)
    ticket, _ = own.enter(look(site), describe)
    for _ in range(2):
        holds(site, own, ticket)
        site.remote.perform([own.switching(ticket)], site.run.step, STATE.name)
    assert look(site).fence == 1
    assert look(site).tickets[0].switching
    assert (site.path / ".push/pushes/000001/switching").stat().st_mode & 0o777 == 0o700


def removed(site: Site) -> None:
    shutil.rmtree(site.path / ".push/pushes/000001")


def unlocked(site: Site) -> None:
    queue(site).unlock(1, "it hangs")


def ended_mutely(site: Site) -> None:
    (site.path / ".push/pushes/000001/end").mkdir()


def fenced(site: Site) -> None:
    (site.path / ".push/fence").write_text("000002\n")


def held(site: Site) -> None:
    queue(site).hold("the shop is open")


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (removed, r"push 1 lost its place in the queue \(it was removed\); what is live was not changed"),
        (unlocked, r"push 1 lost its place in the queue \(unlocked by ada@lovelace: it hangs\); what is live"),
        (ended_mutely, r"push 1 lost its place in the queue \(it was removed\); what is live"),
        (held, "are held by ada@lovelace since 20.*: the shop is open; nothing was changed"),
        (fenced, "it failed"),
    ],
)
def test_who_does_not_hold_any_more_is_stopped_and_told_why(
    site: Site, happens: Callable[[Site], None], words: str
) -> None:
    own = queue(site)
    ticket, _ = own.enter(look(site), describe)
    happens(site)
    with pytest.raises((RemoteExists, RemoteMissing)):
        holds(site, own, ticket)
    with pytest.raises(PushkitError, match=words):
        raise own.lost(ticket, RemoteExists("it failed"))


def test_the_log_says_of_each_end_whose_it_was_and_what_it_was_for(site: Site) -> None:
    own = queue(site)
    ticket, _ = own.enter(look(site), lambda number: replace(describe(number), previous="", why="switch"))
    assert own.end(ticket, "switched")
    assert not own.end(ticket, "switched")
    nameless(site, 2)
    assert queue(site).end(Ticket(2), "died")
    mine, other = read_log(site.remote, STATE)[0]
    assert (mine.number, mine.outcome, mine.who, mine.why) == (1, "switched", "ada@lovelace", "switch")
    assert (mine.release, mine.previous) == ("000001-20261122T193012Z-abc", "")
    assert (other.number, other.outcome, other.who, other.release) == (2, "died", "somebody", "")
    lines = [json.loads(line) for line in (site.path / ".push/log").read_text().splitlines()]
    assert "phases" in lines[0]
    assert "output" not in lines[0]
    assert "phases" not in lines[1]
    outcome = json.loads((site.path / ".push/pushes/000001/end/outcome.json").read_text())
    assert [outcome[key] for key in ("number", "outcome", "who", "why")] == [1, "switched", "ada@lovelace", "switch"]
    assert datetime.fromisoformat(outcome["ended"]).microsecond == 0
    assert (site.path / ".push/pushes/000001/end").stat().st_mode & 0o777 == 0o700


def test_who_ends_in_failure_says_what_was_printed_last(site: Site) -> None:
    own = queue(site)
    ticket, _ = own.enter(look(site), describe)
    own.end(ticket, "failed: no space")
    (line,) = (site.path / ".push/log").read_text().splitlines()
    assert "output" in json.loads(line)


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (lambda site: queue(site).end(describe(1), "good"), r"push 1 by ada@lovelace has ended already \(good\); noth"),
        (ended_mutely, r"push 1 by ada@lovelace has ended already \(without a word\); nothing was changed"),
        (removed, "no push 1 is known on here; nothing was changed"),
    ],
)
def test_what_has_ended_cannot_be_unlocked(site: Site, ended: Callable[[Site], object], words: str) -> None:
    enter(site)
    ended(site)
    before = look(site).tickets
    with pytest.raises(PushRefused, match=words):
        queue(site).unlock(1, "it hangs")
    assert look(site).tickets == before


def test_who_is_ended_while_another_unlocks_it_was_ended_by_the_first(site: Site) -> None:
    enter(site)
    before = look(site)
    queue(site).end(describe(1), "good")
    with pytest.raises(PushRefused, match="has ended already"):
        queue(site, seen=lambda: before).unlock(1, "it hangs")
    assert look(site).tickets[0].outcome == "good"


def test_a_hold_says_who_froze_pushes_when_and_why_and_ends_once(site: Site) -> None:
    queue(site).hold("the shop is open")
    hold = look(site).hold
    assert hold
    assert (hold.who, hold.why) == ("ada@lovelace", "the shop is open")
    assert datetime.fromisoformat(hold.when).microsecond == 0
    with pytest.raises(PushRefused, match="are held by ada@lovelace"):
        queue(site).hold("the other shop is open")
    assert queue(site).release_hold() == hold
    assert queue(site).release_hold() is None
    assert look(site).hold is None


def test_of_two_who_hold_at_the_same_moment_one_is_refused(site: Site) -> None:
    before = look(site)
    queue(site).hold("the shop is open")
    looks = [before, look(site)]
    with pytest.raises(PushRefused, match="the shop is open"):
        queue(site, seen=lambda: looks.pop(0)).hold("the other shop is open")
    # One that was there for a moment only is an error as any.
    with pytest.raises(RemoteExists):
        queue(site, seen=lambda: before).hold("the other shop is open")


def at_rest(number: int, **changes: object) -> Ticket:
    """A signed ticket without a heartbeat for an hour, of a push of another machine."""
    return replace(describe(number), machine="another", process=1, heartbeat=0.0, **changes)


def test_the_dead_are_buried_and_the_living_are_waited_for_whoever_comes_first(site: Site) -> None:
    for number in (1, 2, 3):
        enter_at(site, number)
    living = replace(at_rest(2), heartbeat=3590.0)
    found = queue(site).bury(look(site), [at_rest(1), living, at_rest(3)], 3600.0, never)
    assert found == [living]
    assert [each.outcome for each in look(site).tickets] == ["died", "", "died"]
    notes = [event.message for event in site.events if isinstance(event, Note)]
    assert notes == ["push 1 of ada@lovelace had died", "push 3 of ada@lovelace had died"]


def enter_at(site: Site, number: int) -> None:
    """A ticket of that number, of another push."""
    place = nameless(site, number)
    (place / "ticket.json").write_bytes(replace(describe(number), machine="another", process=1).record())
    (place / "hb").write_text("alive\n")


@pytest.mark.parametrize("changes", [{"switching": True}, {"why": "resume"}])
@pytest.mark.parametrize(
    ("outcome", "words"),
    [("good", "died at its end, and is good"), ("given up", "died: given up"), ("died", "had died")],
)
def test_how_a_dead_push_ended_that_may_have_switched_is_asked(
    site: Site, changes: dict[str, object], outcome: str, words: str
) -> None:
    enter_at(site, 1)
    dead = at_rest(1, **changes)
    queue(site).bury(look(site), [dead], 3600.0, lambda ticket, survey: outcome)
    assert look(site).tickets[0].outcome == outcome
    notes = [event.message for event in site.events if isinstance(event, Note)]
    assert notes == [f"{dead.why} 1 of ada@lovelace {words}"]


def test_who_is_buried_by_another_meanwhile_is_not_told_of_twice(site: Site) -> None:
    enter_at(site, 1)
    queue(site).end(describe(1), "died")
    assert queue(site).bury(look(site), [at_rest(1)], 3600.0, never) == []
    assert not site.events


@pytest.mark.parametrize(
    ("ticket", "clock", "dead"),
    [
        (replace(describe(1), machine="another", heartbeat=100.0), 160.0, False),
        (replace(describe(1), machine="another", heartbeat=100.0), 160.1, True),
        (Ticket(1, heartbeat=100.0), 110.0, False),
        (Ticket(1, heartbeat=100.0), 110.1, True),
    ],
)
def test_a_heart_may_rest_for_a_minute_and_who_has_no_name_for_a_beat(
    site: Site, ticket: Ticket, clock: float, dead: bool
) -> None:
    assert queue(site).dead(ticket, clock) is dead


def test_who_does_not_wait_is_told_who_is_ahead_since_when_and_leaves(site: Site) -> None:
    since = enter(site).since
    assert since
    words = f"push 1 by ada@lovelace has it since {since:%Y-%m-%d %H:%M:%S} UTC; nothing was changed"
    with pytest.raises(Busy, match=f"^here is busy: {words}$") as caught:
        queue(site).enter(look(site), describe)
    assert "--wait" in caught.value.hint
    waiting = copy(site.run)
    waiting.wait = 60
    first, second = (
        Queue(site.remote, STATE, run, look=lambda: look(site), settle=never) for run in (waiting, site.run)
    )
    ends: list[Exception] = []

    def wait() -> None:
        try:
            first.enter(look(site), describe)
        except Busy as error:
            ends.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    limit = time.monotonic() + 30
    while len(look(site).open_tickets) < 2 and time.monotonic() < limit:
        time.sleep(0.01)
    with pytest.raises(Busy, match="UTC, and 1 more in the queue; nothing was changed"):
        second.enter(look(site), describe)
    assert [event.message for event in site.events if isinstance(event, Note)] == [
        f"waiting: push 1 by ada@lovelace has it since {since:%Y-%m-%d %H:%M:%S} UTC"
    ]
    queue(site).unlock(3, "it waits in vain")
    thread.join(30)
    assert [str(each) for each in ends] == ["push 3 lost its place in the queue"]
    assert [each.outcome for each in look(site).tickets] == [
        *("", "gave up waiting", "unlocked by ada@lovelace: it waits in vain", "gave up waiting")
    ]


def waiter(site: Site, *, stale: float = 60.0, wait: float = 60.0, seen: Callable[[], Survey] | None = None) -> Queue:
    """The queue for a push that waits so many seconds."""
    run = copy(site.run)
    run.wait = wait
    return Queue(site.remote, STATE, run, look=seen or (lambda: look(site)), settle=never, stale=stale)


def after(site: Site, looks: int, happens: Callable[[Site], object]) -> Callable[[], Survey]:
    """Looks at the site, and lets something happen before one of the looks."""
    left = iter([False] * looks + [True])

    def seen() -> Survey:
        if next(left, False):
            happens(site)
        return look(site)

    return seen


def test_who_waits_has_its_turn_when_who_is_ahead_ends(site: Site) -> None:
    enter(site)
    own = waiter(site, seen=after(site, 2, lambda site: queue(site).end(describe(1), "good")))
    ticket, survey = own.enter(look(site), describe)
    assert ticket.number == 2
    assert [each.number for each in survey.open_tickets] == [2]
    assert [each.name for each in site.run.course.phases] == ["wait"]


def test_who_waits_is_stopped_by_a_hold(site: Site) -> None:
    enter(site)
    with pytest.raises(PushRefused, match="the shop is open"):
        waiter(site, seen=after(site, 1, held)).enter(look(site), describe)
    assert [each.outcome for each in look(site).tickets] == ["", "gave up waiting"]


def test_whose_place_is_ended_while_it_waits_waits_no_longer(site: Site) -> None:
    enter(site)
    ended = after(site, 1, lambda site: queue(site).unlock(2, "not now"))
    with pytest.raises(Busy, match="push 2 lost its place in the queue"):
        waiter(site, seen=ended).enter(look(site), describe)
    assert [each.outcome for each in look(site).tickets] == ["", "unlocked by ada@lovelace: not now"]


def test_who_does_not_wait_still_lets_others_say_who_they_are(site: Site) -> None:
    enter(site)
    nameless(site, 2)
    with pytest.raises(Busy, match="push 1 by ada@lovelace has it"):
        waiter(site, stale=6.0, wait=0).enter(look(site), describe)
    assert [each.outcome for each in look(site).tickets] == ["", "died", "gave up waiting"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_number_that_another_took_in_a_moment_is_followed_by_the_next_and_its_owner_waited_for(
    site: Site, number: int
) -> None:
    before = look(site)
    for _ in range(number):
        enter_at(site, _ + 1)
    with pytest.raises(Busy):
        queue(site).enter(before, describe)
    assert [each.outcome for each in look(site).tickets] == [*[""] * number, "gave up waiting"]


def test_the_oldest_tickets_that_have_ended_go_and_what_is_asked_for_stays() -> None:
    found = [Ticket(number, ended=number != 4) for number in range(1, 40)]
    survey = tickets(*found)

    def gone(number: int) -> list[Operation]:
        place = f".push/pushes/{number:06d}"
        return [Rename(place, f"{place}.expired"), RemoveTree(f"{place}.expired")]

    # Of 39 one has not ended, and one is kept: 37, of which 30 stay.
    assert expiring(survey, [2]) == [each for number in (1, 3, 5, 6, 7, 8, 9) for each in gone(number)]
    assert expiring(survey, [2], 36) == gone(1)
    assert expiring(survey, [2], 37) == []


def test_a_ticket_whose_remover_died_goes_first(site: Site) -> None:
    for number in ("000002", "000001"):
        (site.path / f".push/pushes/{number}.expired").mkdir(parents=True)
    survey = look(site)
    assert expiring(survey, []) == [RemoveTree(f".push/pushes/{number}.expired") for number in ("000001", "000002")]
