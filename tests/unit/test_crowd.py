"""Work on many hosts at once: what one's failure stops, what a bug does, and who is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest

from pushkit import Interrupted, TargetError
from pushkit.fleet import crowd
from pushkit.fleet.crowd import Failures, together
from pushkit.fleet.member import Member
from unit.test_rollout import members


class Crowd:
    """Three hosts. ``begun`` and ``ended`` are those whose work was, in this order.

    ``open`` lets those go on that `stay`; it is open when somebody has waited so many ``rounds``, in which ``then`` is
    called.
    """

    def __init__(self, all_of_them: Sequence[Member]) -> None:
        self.members = all_of_them
        self.cancelled = threading.Event()
        self.open = threading.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.rounds = 3
        self.then: Callable[[], object] = self.open.set

    def begin(self, work: Callable[[Member], object], parallel: int = 1, **given: bool) -> Failures:
        def whole(member: Member) -> None:
            self.begun.append(member.name)
            work(member)
            self.ended.append(member.name)

        return together(self.members, whole, parallel, self.cancelled, **given)

    def stay(self, _member: Member) -> None:
        assert self.open.wait(60)

    def wait(self, pending: Collection[Future[Any]], timeout: float) -> Any:
        self.rounds -= 1
        if not self.rounds:
            self.then()
        return wait(pending, timeout)

    def left(self) -> None:
        """All that was left behind ends."""
        self.open.set()
        for each in threading.enumerate():
            if each.name.startswith("host_"):
                each.join(60)


@pytest.fixture
def all_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    found = Crowd(members(tmp_path, "web1", "web2", "web3"))
    monkeypatch.setattr(crowd, "wait", found.wait)
    return found


def test_what_fails_is_kept_with_its_host_and_stops_nobody_else(all_of: Crowd) -> None:
    one, two, _ = all_of.members
    errors = {one.name: TargetError("lost"), two.name: ExceptionGroup("two", [TargetError("a"), TargetError("b")])}

    def work(member: Member) -> None:
        if error := errors.get(member.name):
            raise error

    assert all_of.begin(work) == {one: errors["web1"], two: errors["web2"]}
    assert all_of.ended == ["web3"]


def test_where_there_is_no_host_nothing_fails(all_of: Crowd) -> None:
    assert together([], all_of.stay, 4, all_of.cancelled) == {}


@pytest.mark.parametrize(
    "bug", [ValueError("bug"), ExceptionGroup("both", [TargetError("lost"), ValueError("bug")]), SystemExit(3)]
)
def test_a_bug_is_raised_as_it_is_and_nobody_has_a_turn_after_it(all_of: Crowd, bug: BaseException) -> None:
    def work(_member: Member) -> None:
        raise bug

    with pytest.raises(type(bug)) as caught:
        all_of.begin(work)
    assert caught.value is bug
    assert all_of.begun == ["web1"]


def test_who_stops_is_no_failure(all_of: Crowd) -> None:
    # As whoever asks what is live after somebody asked to stop: that is not to be stopped as a whole.
    def work(member: Member) -> None:
        if member.name == "web2":
            raise Interrupted("stopped")

    assert all_of.begin(work) == {}
    assert all_of.ended == ["web1", "web3"]


def test_after_somebody_asked_to_stop_what_is_under_way_ends_and_nothing_begins(all_of: Crowd) -> None:
    def work(member: Member) -> None:
        all_of.cancelled.set()
        all_of.stay(member)

    with pytest.raises(Interrupted, match=r"^stopped$"):
        all_of.begin(work)
    assert all_of.begun == all_of.ended == ["web1"]


def test_who_may_be_left_behind_is_not_waited_for_when_somebody_asks_to_stop(all_of: Crowd) -> None:
    all_of.rounds, all_of.then = 2, all_of.cancelled.set
    with pytest.raises(Interrupted, match=r"^stopped$"):
        all_of.begin(all_of.stay, leave=True)
    assert (all_of.begun, all_of.ended) == (["web1"], [])
    all_of.left()
    assert all_of.begun == all_of.ended == ["web1"]


def test_who_may_be_left_behind_is_waited_for_when_nobody_asks_to_stop(all_of: Crowd) -> None:
    assert all_of.begin(all_of.stay, leave=True) == {}
    assert all_of.ended == ["web1", "web2", "web3"]


def test_a_person_who_insists_waits_for_nobody_and_nothing_begins(all_of: Crowd) -> None:
    def insist() -> None:
        raise KeyboardInterrupt

    all_of.then = insist
    with pytest.raises(KeyboardInterrupt):
        all_of.begin(all_of.stay)
    assert (all_of.begun, all_of.ended) == (["web1"], [])
    all_of.left()
    assert all_of.begun == all_of.ended == ["web1"]
