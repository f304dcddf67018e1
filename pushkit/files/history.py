"""The releases that are there: which were live once, which stay, and which go."""

from __future__ import annotations

from collections.abc import Iterable

from pushkit.errors import PushRefused
from pushkit.files.operation import Operation, Remove, RemoveTree, Rename
from pushkit.files.place import RELEASES, STATE
from pushkit.files.queue import expired, expiring, over
from pushkit.files.status import prepared
from pushkit.files.survey import Survey
from pushkit.files.ticket import GOOD, RELEASE_ID, SWITCHED, Ticket, number_of
from pushkit.model import Action, Step


def good_in(survey: Survey, live: str) -> dict[str, Ticket]:
    """The tickets whose releases are there and were live once, by release, in the order of the releases' numbers.

    That is the ticket of the push that made it, or of the last switch to it.
    """
    there = set(survey.names(RELEASES))
    found: dict[str, Ticket] = {}
    for ticket in survey.tickets:
        if ticket.release and ticket.release.id in there:
            own = number_of(ticket.release.id) == ticket.number
            if ticket.outcome == SWITCHED or (own and (ticket.outcome == GOOD or ticket.release.id == live)):
                found[ticket.release.id] = ticket
    return dict(sorted(found.items(), key=lambda item: number_of(item[0])))


def before(live: str, good: dict[str, Ticket]) -> str:
    """The release that was live before ``live``, if it is there; else the newest good one that is older."""
    if live in good and good[live].previous in good:
        return good[live].previous
    older = [name for name in good if number_of(name) < number_of(live)]
    return older[-1] if older else ""


def meant(wanted: str, names: Iterable[str]) -> str:
    """The one of the releases ``names`` that ``wanted`` names: by its id, its number, or how its revision begins.

    ``wanted`` itself when it is none of them. Raises `PushRefused` when it is several.
    """
    names = list(names)
    if wanted in names or not wanted:
        return wanted
    found = [name for name in names if wanted.isdecimal() and number_of(name) == int(wanted)]
    found = found or [name for name in names if name.split("-", 2)[2].startswith(wanted)]
    if len(found) > 1:
        raise PushRefused(f"{wanted!r} may be each of {', '.join(found)}; nothing was changed", hint="name its number")
    return found[0] if found else wanted


def pruning(
    survey: Survey, ticket: Ticket, was_live: str, keep: int, below: int = 0, *, spares: bool = False
) -> list[Operation]:
    """Remove what is neither live nor one of the newest ``keep`` good releases, and what dead pushes left.

    ``ticket`` is that of the release that goes live in place of ``was_live``. What a rollback would take stays. It is
    up to the pushes before the number ``below``, that of ``ticket`` when it is 0, to have left something. Where a
    remote ``spares`` a tree, the newest of those that go becomes the spare.
    """
    assert ticket.release
    live = ticket.release.id
    good = good_in(survey, was_live) | {live: ticket}
    stay = {live, before(live, good), *list(good)[-keep:]}
    queued = {each.release.id for each in survey.open_tickets if each.release}
    waiting = {name for name in prepared(survey) if number_of(name) > number_of(live)}
    operations: list[Operation] = []
    going: list[tuple[str, Step]] = []
    for name in sorted({*survey.names(STATE.incoming), *survey.names(RELEASES)}):
        if not RELEASE_ID.fullmatch(name) or name in stay or number_of(name) >= (below or ticket.number):
            continue
        if name in good:
            reason = f"the newest {keep} stay"
        elif name in prepared(survey) and name not in waiting | queued:
            reason = "a later push goes live, and it never was"
        elif name not in waiting | queued:
            reason = "its push did not end well"
        else:
            continue
        going.append((name, Step(Action.PRUNE, name, reason)))
    there = survey.names(RELEASES)
    spared = next((name for name, _ in reversed(going) if spares and name in there), "")
    for name, step in going:
        if name not in there:
            operations += forgetting(name, step)
        elif name == spared:
            operations += sparing(name, step, instead=STATE.spare in survey.found)
        else:
            # A release that is half gone must not look like one that somebody may go back to.
            away = STATE.stage(name)
            operations += [RemoveTree(away), Rename(f"{RELEASES}/{name}", away, step=step)]
            operations += forgetting(name)[1:]
    if STATE.spare in survey.found and not spares:
        operations.append(RemoveTree(STATE.spare))
    # What has its name was whole, and its push died before it had put away the stage.
    named = {name for name in survey.names(STATE.incoming) if name in stay | waiting and name != live}
    operations += [RemoveTree(f"{STATE.incoming}/{name}") for name in sorted(named & set(survey.names(RELEASES)))]
    needed = [number_of(name) for name in stay | waiting if name]
    needed += [each.number for name, each in good.items() if name in stay]
    return [*operations, *expiring(survey, needed)]


def left(survey: Survey, live: str) -> list[str]:
    """What dead pushes left, nothing while anybody may be at work: stages, and tickets that have not ended or not gone.

    So is the ticket of what is ``live``, when it has ended without a word.
    """
    mute = [each for each in survey.tickets if each.ended and each.switching and not each.outcome]
    tickets = [*survey.open_tickets, *(each for each in mute if each.release and each.release.id == live)]
    if not all(map(over, tickets)):
        return []
    names = filter(RELEASE_ID.fullmatch, survey.names(STATE.incoming))
    stages = [f"{STATE.incoming}/{name}" for name in names]
    return [*(STATE.ticket(each.number) for each in tickets), *stages, *expired(survey)]


def sparing(release: str, step: Step, *, instead: bool) -> list[Operation]:
    """Make the tree of a release that is not live the spare, ``instead`` of one that is there."""
    away = STATE.stage(release)
    # Somebody may be at work in a spare: it is not removed where it lies.
    return [
        RemoveTree(away),
        *([Rename(STATE.spare, away)] if instead else []),
        Remove(STATE.manifest(release)),
        Remove(f"{STATE.manifest(release)}.new"),
        # By this the next push finds it, should this one die before.
        Rename(f"{RELEASES}/{release}", STATE.spare, step=step),
        *([RemoveTree(away)] if instead else []),
    ]


def forgetting(release: str, step: Step | None = None) -> list[Operation]:
    """Remove a release that is not live, wherever it lies, and its manifest."""
    return [
        RemoveTree(f"{RELEASES}/{release}", step=step),
        Remove(STATE.manifest(release)),
        # Its push may have died while it wrote that.
        Remove(f"{STATE.manifest(release)}.new"),
        # The last to go: by this the next push finds what is left, should this one die.
        RemoveTree(f"{STATE.incoming}/{release}"),
    ]
