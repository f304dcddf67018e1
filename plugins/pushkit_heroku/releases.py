"""The releases of an app: which is live, and which one a rollback goes back to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pushkit import PushRefused, Release, Revision
from pushkit_heroku import replies

# What Heroku writes into a description.
DEPLOYED = re.compile(r"Deploy ([0-9a-f]{7,40})\b")
ROLLED_BACK = re.compile(r"Rollback to v(\d{1,18})")


def current(releases: Sequence[replies.Release]) -> replies.Release | None:
    """The release that is live: the one that Heroku calls so, else the newest that succeeded."""
    said = [each for each in releases if each.current]
    return next(iter(said or [each for each in releases if each.status == "succeeded"]), None)


def known(release: replies.Release) -> Release:
    """A release of Heroku's, as push has them; its commit as far as its description tells."""
    found = DEPLOYED.match(release.description)
    return Release(release.name, Revision(found[1] if found else "", False, ""), release.when, release.user.email)


def chosen(releases: Sequence[replies.Release], live: replies.Release | None, wanted: str) -> replies.Release:
    """The release to go back to: ``wanted``, or the last good one before the live one that runs something else.

    ``releases`` begin with the newest. Raises `PushRefused` when there is none.
    """
    if wanted:
        found = [each for each in releases if each.name == "v" + wanted.removeprefix("v")]
        if not found:
            raise PushRefused(f"{wanted} is none of the last releases", hint="see which there are: push log")
        if not found[0].slug:
            raise PushRefused(f"{wanted} has nothing to run", hint="see which there are: push status")
        return found[0]
    back = ROLLED_BACK.match(live.description) if live else None
    # What a rollback left is as good as what it went back to.
    before = int(back[1]) if back else live.version if live else 0
    for each in releases:
        if live and each.slug and each.slug != live.slug and each.version < before and each.status == "succeeded":
            return each
    raise PushRefused("there is no release before the live one to go back to", hint="see what there is: push log")
