"""The host of a fleet that keeps the queue of its rollouts."""

from __future__ import annotations

from collections.abc import Iterable

from pushkit.errors import PushRefused, TargetError
from pushkit.files.survey import Survey
from pushkit.fleet.lock import look
from pushkit.fleet.member import Member
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.rollout import Rollout
from pushkit.fleet.source import NAMED
from pushkit.fleet.state import State
from pushkit.model import Host


def lead_of(hosts: Iterable[Host], options: FleetOptions) -> Host:
    """The one of ``hosts``, in the order of a rollout, that keeps the queue. Raises `PushRefused` when none can."""
    sources = [each for each in options.texts if NAMED.fullmatch(each)]
    if sources and not options.lock_host:
        raise PushRefused(
            f"the hosts come from {sources[0]}, and may be others each time: one has to keep the queue",
            hint='name it: lock_host = "web1.example.com"',
        )
    # Names and ranges are the same each time; their order is that of the rollout.
    lead = next((each for each in hosts if options.lock_host in {"", each.name, str(each)}), None)
    if lead is None:
        raise PushRefused(f"lock_host {options.lock_host} is none of the hosts", hint="see them: push hosts")
    return lead


def leading(members: Iterable[Member], options: FleetOptions) -> Member:
    """The one of ``members`` with the queue. Raises `TargetError` when it cannot be used."""
    members = list(members)
    host = lead_of((each.host for each in members), options)
    lead = next(each for each in members if each.host is host)
    if lead.state is State.UNREACHABLE or lead.strategy.remote is None:
        raise TargetError(f"the host with the queue cannot be used: {lead.name}: {lead.reason}")
    return lead


def former(members: Iterable[Member], lead: Member, rollout: Rollout) -> tuple[Member, Survey] | None:
    """The one of ``members`` that kept the queue of rollouts before ``lead`` did, and what it remembers; the last one.

    With other hosts in a list, another may be the first of its order.
    """
    found: dict[Member, Survey] = {}

    def ask(member: Member) -> None:
        assert member.strategy.remote
        found[member] = look(member.strategy.remote)

    # Where nothing is live, nothing was ever rolled out. Who cannot be asked is told of elsewhere.
    rollout.together([each for each in members if each is not lead and each.before and not each.out], ask)
    kept = [(each, survey) for each, survey in found.items() if survey.tickets]
    # The highest of the numbers that hosts and rollouts share.
    return max(kept, key=lambda pair: pair[1].tickets[-1].number, default=None)
