"""Which release of an app a rollback goes back to, by what the Platform API tells."""

from __future__ import annotations

import pytest
from msgspec.json import decode, encode

from pushkit import PushRefused
from pushkit_heroku.releases import chosen, current, known
from pushkit_heroku.replies import Release


def release(version: int, slug: str = "", description: str = "Deploy 4f2a91c0", **more: str) -> Release:
    found = {"id": str(version), "version": version, "status": "succeeded", "created_at": "2026-11-22T19:30:12", **more}
    found |= {"user": {"email": "ada@example.com"}, "description": description, "slug": {"id": slug} if slug else None}
    return decode(encode(found), type=Release)


LIVE = release(5, "c")
RELEASES = [
    LIVE,
    release(4, "c", "Set X config vars"),
    release(3, "b", status="failed"),
    release(2, "a"),
    release(1, description="Initial release"),
]


def test_it_is_the_last_good_one_that_ran_something_else() -> None:
    assert chosen(RELEASES, LIVE, "").name == "v2"
    assert chosen(RELEASES, LIVE, "v3").name == chosen(RELEASES, LIVE, "3").name == "v3"


def test_what_a_rollback_left_is_as_good_as_what_it_went_back_to() -> None:
    live = release(6, "b", "Rollback to v3")
    assert chosen([live, *RELEASES], live, "").name == "v2"
    beyond = release(6, "b", f"Rollback to v{'9' * 5000}")
    assert chosen([beyond, *RELEASES], beyond, "").name == "v5"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("v9", "v9 is none of the last releases"), ("v1", "v1 has nothing to run"), ("../v2", "is none of the last")],
)
def test_a_release_that_cannot_run_is_refused(wanted: str, words: str) -> None:
    with pytest.raises(PushRefused, match=words):
        chosen(RELEASES, LIVE, wanted)


@pytest.mark.parametrize("found", [[], [LIVE], RELEASES[:2], RELEASES[-1:]])
def test_where_there_is_nothing_before_it_is_refused(found: list[Release]) -> None:
    with pytest.raises(PushRefused, match="there is no release before the live one"):
        chosen(found, current(found), "")


def test_a_release_without_a_zone_is_of_utc_and_its_commit_is_that_of_its_description() -> None:
    found = known(LIVE)
    assert (found.revision.commit, found.creator) == ("4f2a91c0", "ada@example.com")
    assert found.created.isoformat() == "2026-11-22T19:30:12+00:00"
    assert known(RELEASES[-1]).revision.commit == ""
