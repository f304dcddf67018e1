"""Which release is live, whether it is there, and what it holds, as far as one look tells."""

from __future__ import annotations

import re

import pytest

from pushkit import Entry, Kind, PushRefused, manifest
from pushkit.files.live_release import held, is_there, live_in, recorded
from pushkit.files.stat import Found, Stat
from pushkit.files.survey import Survey
from unit.test_history import named, survey

ENTRIES = [Entry("d", Kind.DIRECTORY, 0o755)]


def pointing(link: str, kind: Kind | None = Kind.SYMLINK) -> Survey:
    """A target whose ``current`` is that."""
    made = survey([], [1])
    made.found["current"] = Found(Stat("current", kind, 0o777, 0), link=link)
    return made


def remembering(content: bytes | None) -> Survey:
    """A target with a release and its manifest."""
    made = survey([], [1])
    if content is not None:
        made.found[f".push/manifests/{named(1)}"] = Found(Stat(named(1), Kind.FILE, 0o600, 0), content)
    return made


def test_the_live_release_is_what_current_points_to() -> None:
    assert live_in(survey([])) == ""
    assert live_in(pointing(f"releases/{named(1)}")) == named(1)


@pytest.mark.parametrize(
    "link", [named(1), f"/srv/blog/releases/{named(1)}", "releases/mine", "releases/", f"releases/{named(1)}/x"]
)
def test_a_link_to_what_is_no_release_is_refused(link: str) -> None:
    with pytest.raises(PushRefused, match=f"^/srv/blog/current points to {re.escape(repr(link))}, ") as caught:
        live_in(pointing(link))
    assert "mv /srv/blog/current /srv/blog/current.before" in caught.value.hint


@pytest.mark.parametrize(("kind", "word"), [(Kind.DIRECTORY, "directory"), (Kind.FILE, "file"), (None, "special file")])
def test_what_is_no_link_is_refused(kind: Kind | None, word: str) -> None:
    with pytest.raises(PushRefused, match=f"^/srv/blog/current is a {word}, not a symlink to a release; ") as caught:
        live_in(pointing("", kind))
    assert "mv /srv/blog/current /srv/blog/current.before" in caught.value.hint


def test_a_live_release_that_is_gone_is_told_of() -> None:
    warnings: list[str] = []
    assert is_there(named(1), survey([], [1]), warnings)
    assert not is_there("", survey([]), warnings)
    assert not warnings
    assert is_there(named(2), survey([], [1]), warnings) is False
    assert warnings == [f"the live release {named(2)} is gone from the target: every file is sent"]
    assert recorded(named(2), remembering(b""), warnings) is None
    assert len(warnings) == 2


def test_what_a_release_holds_is_what_its_manifest_says() -> None:
    warnings: list[str] = []
    there = remembering(manifest.encode(ENTRIES))
    assert held(named(1), there, warnings) == ENTRIES
    # It is large, and let go of.
    assert there.found[f".push/manifests/{named(1)}"].content == b""
    assert held("", there, warnings) == []
    assert not warnings


@pytest.mark.parametrize(("content", "word"), [(None, "missing"), (b"x" * 200, "damaged (")])
def test_of_a_release_without_a_sound_manifest_nothing_is_known(content: bytes | None, word: str) -> None:
    warnings: list[str] = []
    assert held(named(1), remembering(content), warnings) == []
    (warning,) = warnings
    assert warning.startswith(f"the manifest of the live release {named(1)} is {word}")
    assert warning.endswith(": every file is sent")
