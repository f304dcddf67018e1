"""A push that died when it had begun to switch: how it ended, or that a person has to say it."""

from __future__ import annotations

from typing import Any

import pytest

from pushkit import Kind, PushRefused
from pushkit.files.stat import Found, Stat
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket
from pushkit.files.unfinished import decided, settle, unfinished, waits
from unit.test_history import named, survey, ticket


def live(number: int) -> Survey:
    """A target on which the release of that number is live, none for 0."""
    made = survey([], [number])
    if number:
        link = Found(Stat("current", Kind.SYMLINK, 0o777, 0), link=f"releases/{named(number)}")
        made.found["current"] = link
    return made


@pytest.mark.parametrize(
    ("changes", "of", "there"),
    [
        ({"after": True, "switching": True}, 0, True),
        ({"after": True, "why": "resume"}, 1, True),
        ({"after": False, "switching": True}, 0, False),
        ({"after": True}, 0, False),
        ({"after": True, "switching": True}, 1, False),
    ],
)
def test_who_made_a_release_live_and_has_commands_to_run_waits(changes: dict[str, Any], of: int, there: bool) -> None:
    left = ticket(2, "", of=of, **changes)
    release = named(1) if changes.get("why") else named(2)
    assert waits(left, release) is there
    assert not waits(left, named(3))
    assert not waits(Ticket(2, after=True, switching=True), "")


def test_who_waits_is_left_to_a_person_who_is_told_what_there_is_to_choose() -> None:
    left = ticket(2, "", after=True, switching=True, who="bob@desk")
    words = f"push 2 by bob@desk made {named(2)} live, and after_switch has not ended"
    assert unfinished(left) == words
    with pytest.raises(PushRefused, match=f"^{words}; nothing was changed$") as caught:
        settle(left, live(2))
    assert "push unlock 2 --why TEXT" in caught.value.hint
    assert decided("rolled back")(left, live(2)) == "rolled back"


@pytest.mark.parametrize(
    ("left", "of", "outcome"),
    [
        (ticket(2, "", switching=True), 2, "good"),
        (ticket(3, "", of=1, switching=True), 1, "switched"),
        (ticket(2, "", switching=True), 1, "died"),
        (ticket(2, "", switching=True), 0, "died"),
        (Ticket(2, switching=True), 2, "died"),
        (Ticket(2, switching=True), 0, "died"),
    ],
)
def test_who_has_no_commands_to_run_ended_well_if_what_it_made_is_live(left: Ticket, of: int, outcome: str) -> None:
    assert settle(left, live(of)) == outcome
    assert decided("rolled back")(left, live(of)) == outcome
