"""What a target says of itself, from one look at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pushkit.files.queue import over
from pushkit.files.survey import Survey
from pushkit.files.ticket import PREPARED, SUCCESS, Ticket, number_of
from pushkit.model import Place, Release, Status


def status_of(survey: Survey, live: str, releases: Sequence[Release]) -> Status:
    """What ``survey`` shows: ``live`` is the id of the live release, ``releases`` are the good ones."""
    waiting = prepared(survey)
    good = {release.id for release in releases}
    made = [ticket for ticket in survey.tickets if ticket.release and ticket.release.id == live and went_live(ticket)]
    return Status(
        live,
        made[-1].closed if made else None,
        made[-1].holder if made else "",
        tuple(releases),
        tuple(ticket.release for name, ticket in waiting.items() if ticket.release and name not in good),
        tuple(place_of(ticket) for ticket in survey.open_tickets),
        survey.hold,
    )


def went_live(ticket: Ticket) -> bool:
    """Whether ``ticket`` made its release live."""
    return ticket.outcome in SUCCESS.values()


def prepared(survey: Survey) -> dict[str, Ticket]:
    """The tickets whose releases were prepared and are there, by release, in the order of their numbers."""
    there = set(survey.names("releases"))
    return {
        ticket.release.id: ticket
        for ticket in survey.tickets
        if ticket.outcome == PREPARED
        and ticket.release
        and number_of(ticket.release.id) == ticket.number
        and ticket.release.id in there
    }


def place_of(ticket: Ticket) -> Place:
    """What a ticket that has not ended tells of its push."""
    seen = datetime.fromtimestamp(ticket.heartbeat, UTC).replace(microsecond=0) if ticket.heartbeat > 0 else None
    release = ticket.release.id if ticket.release else ""
    died = over(ticket)
    return Place(ticket.number, ticket.why, ticket.holder, ticket.since, seen, release, ticket.switching, died)
