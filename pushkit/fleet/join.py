"""One new host is brought to what is live on the others: ``push join`` of a boot script.

What is live on a fleet is the release of its last rollout that ended well, as the host with the queue remembers it. A
join has a place in that queue, so that no rollout goes on beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from pushkit.errors import Interrupted, PushFailed, PushRefused, TargetError, UsageError
from pushkit.files.layout import REASON
from pushkit.files.survey import Survey
from pushkit.files.ticket import JOINED, SUCCESS, UNLOCKED, Ticket
from pushkit.fleet.host import parse
from pushkit.fleet.lead import lead_of
from pushkit.fleet.lock import Lock
from pushkit.fleet.member import Member
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.rollout import Rollout
from pushkit.fleet.state import State
from pushkit.model import Host, Release
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run, one_line


def newcomer(text: str, hosts: Sequence[Host]) -> Host:
    """The host ``text``: the listed one of that name, or, listed nowhere yet, itself. Raises `UsageError`."""
    try:
        named = parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    alike = [each for each in hosts if text in {each.name, str(each)}]
    return alike[0] if len(alike) == 1 else named


def pair(text: str, hosts: Sequence[Host], options: FleetOptions) -> list[Host]:
    """The host with the queue, and the new one. Raises `PushRefused` when they are the same."""
    new, lead = newcomer(text, hosts), lead_of(hosts, options)
    if (new.name, new.port) == (lead.name, lead.port):
        raise PushRefused(
            f"{new.name} keeps the queue, and what is live on the others is remembered there; nothing was changed",
            hint='let one that is not new keep it: lock_host = "..."',
        )
    return [lead, new]


def recorded(survey: Survey) -> Release:
    """What is live on the fleet. Raises `PushRefused` when nobody knows."""
    for ticket in reversed([each for each in survey.tickets if each.ended]):
        if ticket.outcome in SUCCESS.values() and ticket.release:
            return ticket.release
        if ticket.switching and (not ticket.outcome or ticket.outcome.startswith(UNLOCKED)):
            raise PushRefused(
                f"{ticket.why} {ticket.number} by {ticket.holder} was ended in the middle of its hosts: no one release "
                "is what is live; nothing was changed",
                hint="push to all first",
            )
    raise PushRefused("nothing was ever rolled out that a host could join; nothing was changed", hint="push first")


def check_revision(release: Release, snapshot: Snapshot, target: str) -> None:
    """Raise `PushRefused` when ``snapshot`` is not what is live."""
    if snapshot.digest == release.revision.digest:
        return
    live, here = release.revision, snapshot.revision
    raise PushRefused(
        f"{release.id} is live on {target}, and the project is not what was pushed then: "
        f"revision {here.short} in place of {live.short}; nothing was changed",
        hint=f"check out {live.commit}" if live.commit and not live.dirty else f"push to all: push {target}",
    )


def join(member: Member, rollout: Rollout, lock: Lock, snapshot: Snapshot, run: Run) -> Release:
    """Bring ``member`` to what is live: prepare, switch, verify, in the place that it takes in the queue.

    Raises `PushRefused` when ``snapshot`` is not what is live, `TargetError` when nothing changed on the host,
    `PushFailed` when something did.
    """
    if member.state is not State.CONNECTED:
        raise TargetError(f"{member.name}: {member.reason}; nothing was changed")
    seen = lock.look()
    release = recorded(seen)
    if not seen.open_tickets:
        # Who is ahead may make it what is live.
        check_revision(release, snapshot, run.target.name)
    before = member.live()

    def describe(number: int) -> Ticket:
        return Ticket(number, release, before, "join")

    ticket, survey = lock.enter(seen, describe)
    with lock.queue.alive(ticket):
        try:
            # Somebody may have rolled out while it waited.
            release = recorded(survey)
            check_revision(release, snapshot, run.target.name)
            bring(member, rollout, snapshot, release)
        except BaseException as error:
            # The connection to this host may be what failed.
            with suppress(TargetError):
                lock.queue.end(ticket, f"failed: {run.redact(one_line(error))[:REASON]}")
            raise
        lock.queue.end(ticket, JOINED)
        lock.expire()
    return release


def bring(member: Member, rollout: Rollout, snapshot: Snapshot, release: Release) -> None:
    """Prepare, switch, verify."""
    rollout.plan(snapshot)
    before = member.before
    if before != release.id:
        plan = member.plan
        assert plan
        if not plan.steps:
            # The same content under another name, from a push to it alone.
            member.become(State.DONE, f"{before} is live, which is the same")
            return
        status = member.strategy.status()
        if release.id in {each.id for each in (*status.releases, *status.prepared)}:
            member.become(State.PREPARED)
        else:
            rollout.prepare([member], snapshot, release)
    try:
        rollout.go_live([member], lambda each: each.strategy.switch(release.id))
        member.become(State.DONE)
    except Interrupted as error:
        raise Interrupted(f"stopped: {live_on(member)}", hint="join again") from error
    except (PushFailed, TargetError) as error:
        # With nothing to go back to, it stays: nobody sends work to a host that did not join.
        problems = rollout.roll_back(release.id) if before and before != release.id else ""
        why = f"{error.message}; {problems}" if problems else error.message
        raise PushFailed(f"{why}; {live_on(member)}", hint="mend it, and join again") from error


def live_on(member: Member) -> str:
    """What is live on it, in words."""
    try:
        return f"{member.live() or 'nothing'} is live on {member.name}"
    except TargetError:
        return f"what is live on {member.name} is not known"
