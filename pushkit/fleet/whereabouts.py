"""What is live where: the last word of a rollout that did not go well."""

from __future__ import annotations

from collections.abc import Sequence

from pushkit.amount import counted
from pushkit.fleet.crowd import together
from pushkit.fleet.member import Member
from pushkit.fleet.rollout import names, never
from pushkit.fleet.state import State

#: So many releases are told of.
MOST = 6


def whereabouts(members: Sequence[Member], parallel: int) -> str:
    """What is live on which of ``members``, in a few words. Whoever asks to stop wants to know it, too."""
    here = [each for each in members if each.state is not State.GONE]
    seen: dict[Member, str] = {}

    def look(member: Member) -> None:
        seen[member] = member.live() or "nothing"

    together([each for each in here if each.state is not State.UNREACHABLE], look, parallel, never())
    found: dict[str, list[Member]] = {}
    for each in here:
        found.setdefault(seen.get(each, "what nobody knows"), []).append(each)
    # Most first: that may be many hosts with a few odd ones, and is one screen.
    groups = sorted(found.items(), key=lambda group: -len(group[1]))
    shown = [f"{live} is live on {names(alike)}" for live, alike in groups[:MOST]]
    left = sum(len(alike) for _live, alike in groups[MOST:])
    return "; ".join([*shown, *([f"others on {counted(left, 'host')} more"] if left else [])])
