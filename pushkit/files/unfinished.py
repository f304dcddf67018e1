"""A push that made its release live and has not ended: a person says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable

from pushkit.errors import PushRefused
from pushkit.files.commands import AFTER
from pushkit.files.live_release import live_in
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket


def waits(ticket: Ticket, live: str) -> bool:
    """Whether ``ticket`` made ``live`` what it is, and has commands to run after that."""
    begun = ticket.switching or ticket.why == "resume"
    return ticket.after and begun and ticket.release is not None and ticket.release.id == live


def unfinished(ticket: Ticket) -> str:
    """What is to be said of a ticket that `waits`."""
    assert ticket.release
    return f"{ticket.why} {ticket.number} by {ticket.holder} made {ticket.release.id} live, and {AFTER} has not ended"


def settle(ticket: Ticket, survey: Survey) -> str:
    """How a push ended that died when it had begun to switch. Raises `PushRefused` when it `waits`."""
    live = live_in(survey)
    if waits(ticket, live):
        raise PushRefused(
            f"{unfinished(ticket)}; nothing was changed",
            hint="run it again: push resume; or go back: push rollback; "
            f"or take it as it is: push unlock {ticket.number} --why TEXT",
        )
    return ticket.success if ticket.release and live == ticket.release.id else "died"


def decided(outcome: str) -> Callable[[Ticket, Survey], str]:
    """As `settle`, for a person who knows what to do about a push that `waits`: it ends with ``outcome``."""

    def settled(ticket: Ticket, survey: Survey) -> str:
        return outcome if waits(ticket, live_in(survey)) else settle(ticket, survey)

    return settled
