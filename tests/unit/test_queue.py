"""Who has no name yet, or has died on another machine, in the queue of a target."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pushkit import Busy
from pushkit.files.releases import STATE, Releases
from unit.test_releases import Site


def impatient(site: Site) -> None:
    """A push without a heartbeat for a second is dead from now on."""
    site.releases = Releases(site.remote, site.run, 3, stale=1)


def test_a_push_that_died_before_it_said_who_it_was_is_waited_for_shortly_and_then_buried(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    impatient(site)
    (site.path / STATE.ticket(2)).mkdir()
    site.write("a", "2")
    assert site.push().id.startswith("000003-")
    assert [ticket.outcome for ticket in site.releases.look().tickets] == ["good", "died", "good"]


def test_who_never_says_who_they_are_by_a_clock_that_is_wrong_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    impatient(site)
    place = site.path / STATE.ticket(2)
    place.mkdir()
    ahead = time.time() + 10_000
    os.utime(place, (ahead, ahead))
    site.write("a", "2")
    with pytest.raises(Busy):
        site.push()
    assert site.live() == {"a": "1"}


def test_a_push_of_another_machine_whose_heart_has_stopped_is_buried(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    ticket = site.enter()
    site.die(ticket)
    impatient(site)
    site.write("a", "2")
    site.push()
    assert [each.outcome for each in site.releases.look().tickets] == ["good", "died", "good"]
