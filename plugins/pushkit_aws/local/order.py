"""Which lifecycle events a local deployment goes through, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from pushkit import UsageError
from pushkit_aws.appspec import IN_PLACE

#: Those for which a load balancer would have to be there have nothing to do on a machine by itself.
DEFAULT = tuple(event for event in IN_PLACE if event not in {"BlockTraffic", "AllowTraffic"})

#: They run from the revision that was installed last, and not in a group's first deployment.
OF_THE_LAST = ("BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop")

BEFORE_INSTALL = (*OF_THE_LAST, "BlockTraffic", "DownloadBundle", "BeforeInstall")


def ordered(events: Sequence[str]) -> tuple[str, ...]:
    """The events of a deployment: all of them, or ``events`` with those that no deployment does without.

    Raises `UsageError` where the order cannot be: before Install stand only the events that are before it anyway.
    """
    if not events:
        return DEFAULT
    found = list(events)
    for event in found:
        if found.count(event) > 1:
            raise UsageError(f"the event {event} is there twice")
        if not event.isidentifier():
            raise UsageError(f"{event!r} is no name of an event", hint="a name has letters and digits: WarmCaches")
    if "Install" not in found:
        found.insert(leading(found, BEFORE_INSTALL), "Install")
    if "DownloadBundle" not in found:
        found.insert(leading(found, (*OF_THE_LAST, "BlockTraffic")), "DownloadBundle")
    early = found[: found.index("Install")]
    for event in early:
        if event not in BEFORE_INSTALL:
            hint = f"only these may: {', '.join(BEFORE_INSTALL)}"
            raise UsageError(f"the event {event} cannot stand before Install", hint=hint)
    if "DownloadBundle" not in early:
        raise UsageError("the event DownloadBundle cannot stand after Install")
    if "BeforeInstall" in early and early.index("BeforeInstall") < early.index("DownloadBundle"):
        raise UsageError("the event BeforeInstall cannot stand before DownloadBundle")
    return tuple(found)


def leading(events: Sequence[str], which: Sequence[str]) -> int:
    """How many of ``events`` are of ``which`` before the first that is not."""
    return next((number for number, event in enumerate(events) if event not in which), len(events))
