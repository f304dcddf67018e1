"""What lies on a target of a ticket: the same names and words in every version, read as far as they are sound."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from pushkit.files import ticket as tickets
from pushkit.files.ticket import GOOD_ENDS, Ticket, number_of, read_ticket, time_of
from pushkit.model import Release, Revision

NOW = datetime(2026, 11, 22, 19, 30, 12, tzinfo=UTC)
ID, BEFORE = "000042-20261122T193012Z-4f2a91c", "000041-20261121T080000Z-0c0ffee-dirty"
RELEASE = Release(ID, Revision("4f2a91c" + "0" * 33, True, "ab" * 32), NOW, "ada@lovelace")
RECORD = {
    "release": ID,
    "commit": "4f2a91c" + "0" * 33,
    "dirty": True,
    "digest": "ab" * 32,
    "created": "2026-11-22T19:30:12+00:00",
    "creator": "ada@lovelace",
    "previous": BEFORE,
    "why": "push",
    "after_switch": True,
    "who": "bob@desk",
    "since": "2026-11-22T19:30:13+00:00",
    "machine": "0" * 32,
    "process": 4711,
}
SINCE = datetime(2026, 11, 22, 19, 30, 13, tzinfo=UTC)
WHOLE = Ticket(42, RELEASE, BEFORE, "push", "bob@desk", SINCE, "0" * 32, 4711, after=True)


def read(**parts: Any) -> Ticket:
    """The ticket 42 of these parts, each by its name."""
    names = {"outcome": "end/outcome.json", "record": "ticket.json"}
    found = {names.get(name, name): json.dumps(value).encode() for name, value in parts.items()}
    return read_ticket(42, found, 7.5)


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**RECORD, **changes}.items() if key not in names}


def test_a_record_is_as_every_version_writes_it() -> None:
    assert json.loads(WHOLE.record()) == RECORD
    assert WHOLE.record().endswith(b"}\n")
    names = ("ticket.json", "hb", "switching", "end", "end/outcome.json")
    assert names == (tickets.RECORD, tickets.HEARTBEAT, tickets.SWITCHING, tickets.END, tickets.OUTCOME)


def test_a_ticket_is_read_from_the_names_that_every_version_gives_its_parts() -> None:
    found = read(record=RECORD, hb="", switching="", end="", outcome={"outcome": "good", "ended": RECORD["since"]})
    assert found == Ticket(
        *(42, RELEASE, BEFORE, "push", "bob@desk", SINCE, "0" * 32, 4711),
        after=True,
        heartbeat=7.5,
        switching=True,
        ended=True,
        outcome="good",
        closed=SINCE,
    )


def test_what_is_not_there_is_not_so() -> None:
    assert read() == Ticket(42, heartbeat=7.5)
    bare = Ticket(42)
    assert (bare.release, bare.previous, bare.why, bare.who, bare.since) == (None, "", "push", "", None)
    assert (bare.machine, bare.process, bare.after, bare.heartbeat) == ("", 0, False, 0.0)
    assert (bare.switching, bare.ended, bare.outcome, bare.closed) == (False, False, "", None)
    assert (bare.holder, WHOLE.holder) == ("somebody", "bob@desk")


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (without("machine", "process"), {"machine": "", "process": 0}),
        (without("after_switch"), {"after": False}),
        (without("who", "since"), {"who": "ada@lovelace", "since": NOW}),
        (without("why"), {"why": "push"}),
        (without(previous=""), {"previous": ""}),
    ],
)
def test_what_an_earlier_version_did_not_write_is_reckoned(record: dict[str, Any], changes: dict[str, Any]) -> None:
    found = read(record=record)
    assert found.release == RELEASE
    assert {name: getattr(found, name) for name in changes} == changes


@pytest.mark.parametrize(
    "record",
    [
        *(without(name) for name in ("release", "commit", "dirty", "digest", "created", "creator", "previous")),
        without(release="000041-20261122T193012Z-4f2a91c"),
        without(release="../42"),
        without(previous="../41"),
        without(created="yesterday"),
        without(process="x"),
        without(process=None),
        without(process=math.inf),
    ],
)
def test_a_damaged_record_is_as_good_as_none(record: dict[str, Any]) -> None:
    assert read(record=record) == Ticket(42, heartbeat=7.5)


@pytest.mark.parametrize("why", ["rollback", "switch", "resume", "join"])
def test_a_ticket_that_is_no_push_may_be_for_the_release_of_another(why: str) -> None:
    found = read(record=without(why=why, release=BEFORE))
    assert (found.why, found.release and found.release.id) == (why, BEFORE)


def test_each_reason_has_the_word_with_which_it_ends_well() -> None:
    words = {"push": "good", "rollback": "rolled back", "switch": "switched", "resume": "resumed", "join": "joined"}
    assert {why: Ticket(1, why=why).success for why in words} == words
    assert Ticket(1, why="what a later version does").success == "good"
    assert {*words.values(), "prepared"} == GOOD_ENDS
    assert tickets.UNLOCKED == "unlocked by "


@pytest.mark.parametrize(
    "text", ["", "000042", "42-20261122T193012Z-a", f"{ID}/..", f"{ID}\n", ID.upper(), ID + "-" * 41]
)
def test_what_is_no_release_id_has_no_number(text: str) -> None:
    assert (number_of(ID), number_of(BEFORE)) == (42, 41)
    with pytest.raises(ValueError, match="is not a release id"):
        number_of(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-22T19:30:12+00:00", NOW),
        ("1970-01-01T00:00:00+00:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9998-12-31T00:00:00+00:00", datetime(9998, 12, 31, tzinfo=UTC)),
        ("1969-12-31T23:59:59+00:00", None),
        ("9999-01-01T00:00:00+00:00", None),
        ("2026-11-22T19:30:12", None),
        ("soon", None),
        (1795375812, None),
        (None, None),
    ],
)
def test_a_time_has_a_zone_and_is_of_this_age(text: object, time: datetime | None) -> None:
    assert time_of(text) == time
