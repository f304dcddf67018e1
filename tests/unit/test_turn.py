"""Rollbacks, switches and what becomes of them while others change what is live."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pushkit import Action, Busy, Interrupted, PushRefused, Run, Step
from pushkit.errors import PushFailed
from pushkit.events import Event, StepFinished, Warned
from pushkit.files.activation import Activation
from pushkit.files.commands import Commands
from pushkit.files.errors import RemoteDenied, RemoteError, RemoteExists, RemoteLost
from pushkit.files.log import read_log
from pushkit.files.operation import Pointing
from pushkit.files.place import STATE
from pushkit.files.releases import Releases
from pushkit.files.ticket import Ticket
from pushkit.files.turn import good_release
from pushkit.model import Entry
from pushkit_dir.remote import LocalRemote
from unit.test_history import named, survey, ticket
from unit.test_live_release import pointing
from unit.test_releases import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Three releases, of which the third is live."""
    made = Site(tmp_path)
    for text in "123":
        made.write("a", text)
        made.push()
    return made


def releases(site: Site) -> list[str]:
    """Those that are there, the oldest first."""
    return sorted(os.listdir(site.path / "releases"))


def outcomes(site: Site) -> list[str]:
    return [each.outcome for each in site.releases.look().tickets]


def meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch, live: str) -> None:
    """Somebody has the target, and makes a release live while others wait."""
    other = site.enter()

    def sleep(self: Run, seconds: float) -> None:
        (site.path / "current").unlink()
        if live:
            (site.path / "current").symlink_to(f"releases/{live}")
        site.releases.queue.end(other, "switched")

    monkeypatch.setattr(Run, "sleep", sleep)
    site.run.wait = 60


def test_who_goes_back_to_what_was_before_does_not_when_something_else_went_live(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = releases(site)[0]
    meanwhile(site, monkeypatch, first)
    with pytest.raises(
        Busy, match=f"^another push made {first} live meanwhile; this rollback changed nothing$"
    ) as caught:
        site.releases.rollback()
    assert caught.value.hint == "look at it (push status), then rollback again"
    assert site.live() == {"a": "1"}
    assert outcomes(site)[4] == "overtaken"


def test_who_goes_back_to_a_release_by_its_name_goes_whatever_went_live(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = releases(site)
    meanwhile(site, monkeypatch, first)
    assert site.releases.rollback(second).id == second
    assert site.live() == {"a": "2"}
    left = site.releases.look().tickets[4]
    assert (left.outcome, left.previous) == ("rolled back", first)
    site.run.wait = 0
    assert site.releases.switch(third).id == third
    assert site.live() == {"a": "3"}
    # To what is live it need not turn.
    before = outcomes(site)
    assert site.releases.switch(third).id == third
    assert outcomes(site) == before


def test_who_goes_to_what_went_live_meanwhile_has_nothing_to_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = releases(site)[0]
    meanwhile(site, monkeypatch, first)
    with pytest.raises(Busy, match=f"another push made {first} live meanwhile; this switch changed nothing"):
        site.releases.switch(first)
    assert outcomes(site)[4] == "overtaken"


def test_where_nothing_is_live_any_more_it_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(site, monkeypatch, "")
    with pytest.raises(Busy, match="another push made nothing live meanwhile"):
        site.releases.rollback()


def test_what_is_gone_when_its_turn_comes_does_not_go_live(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = releases(site)
    meanwhile(site, monkeypatch, second)
    sleep = Run.sleep

    def remove(self: Run, seconds: float) -> None:
        os.rename(site.path / "releases" / first, site.path / "gone")
        sleep(self, seconds)

    monkeypatch.setattr(Run, "sleep", remove)
    with pytest.raises(Busy, match="meanwhile; this rollback changed nothing"):
        site.releases.rollback(first)
    assert site.live() == {"a": "2"}
    assert third in releases(site)


def turned(site: Site) -> str:
    """What the last switch said that it did."""
    steps = [event.step for event in site.events if isinstance(event, StepFinished)]
    return [step.reason for step in steps if step.action is Action.SWITCH][-1]


def test_a_switch_prunes_what_is_old_and_a_rollback_does_not(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for text in "1234":
        site.write("a", text)
        site.push()
    first, _, third, fourth = releases(site)
    site.releases = Releases(site.remote, site.run, 1)
    site.releases.rollback(third)
    assert len(releases(site)) == 4
    assert turned(site) == f"from {fourth} back to {third}"
    site.releases.switch(fourth)
    assert releases(site) == [third, fourth]
    assert turned(site) == f"from {third} to {fourth}"
    assert first not in releases(site)


def test_what_is_no_release_cannot_be_switched_to(site: Site) -> None:
    with pytest.raises(PushRefused, match=r"^there is no release '../../etc' to switch to$") as caught:
        site.releases.switch("../../etc")
    assert caught.value.hint == f"releases to choose from: {', '.join(releases(site))}"
    assert not site.releases.look().open_tickets


def test_to_an_empty_target_nothing_can_be_switched(tmp_path: Path) -> None:
    with pytest.raises(PushRefused, match="there is no release '7' to switch to") as caught:
        Site(tmp_path).releases.switch("7")
    assert caught.value.hint == "releases to choose from: none"


@pytest.mark.parametrize(
    ("live", "wanted", "words"),
    [
        (0, "", "nothing was ever pushed to /srv/blog: there is nothing to roll back"),
        (1, "", f"there is no release before {named(1)} on the target: nothing to roll back to"),
        (2, "2", f"{named(2)} is live already"),
        (2, "7", "there is no good release '7' to roll back to"),
        (1, "7", "there is no good release '7' to roll back to"),
    ],
)
def test_there_is_not_always_something_to_roll_back_to(live: int, wanted: str, words: str) -> None:
    found = pointing(f"releases/{named(live)}") if live else survey([])
    found.found.update(survey([], [1, 2, 3]).found)
    found.__dict__["tickets"] = [ticket(1), ticket(2), ticket(3, "prepared")]
    with pytest.raises(PushRefused, match=f"^{words}$") as caught:
        good_release(found, wanted)
    if wanted == "7":
        assert caught.value.hint == f"releases to choose from: {named(3 - live)}"


def test_where_there_is_nothing_to_choose_from_it_is_told() -> None:
    found = pointing(f"releases/{named(1)}")
    found.__dict__["tickets"] = [ticket(1)]
    with pytest.raises(PushRefused, match="no good release '7'") as caught:
        good_release(found, "7")
    assert caught.value.hint == "releases to choose from: none"


def test_a_rollback_goes_back_to_what_was_before_or_is_named() -> None:
    found = pointing(f"releases/{named(2)}")
    found.found.update(survey([], [1, 2, 3]).found)
    found.__dict__["tickets"] = [ticket(1), ticket(2), ticket(3)]
    assert good_release(found, "").id == named(1)
    assert good_release(found, "3").id == named(3)


class Switching(Site):
    """A site one of whose parts is at hand."""

    @property
    def activation(self) -> Activation:
        return self.releases._activation

    def underway(self, *, after: bool = False, number: int = 2) -> Ticket:
        """A ticket of this push, to whose release a directory and a manifest belong."""

        def describe(at: int) -> Ticket:
            return replace(ticket(at), after=after, outcome="", ended=False)

        made, _ = self.releases.queue.enter(self.releases.look(), describe, first=number)
        assert made.release
        (self.path / "releases" / made.release.id).mkdir(parents=True)
        (self.path / ".push/incoming" / made.release.id).mkdir(parents=True)
        (self.path / ".push/manifests" / made.release.id).touch()
        return made

    def point(self, release: str) -> None:
        current = self.path / "current"
        current.unlink(missing_ok=True)
        current.symlink_to(f"releases/{release}")


@pytest.fixture
def switching(tmp_path: Path) -> Switching:
    made = Switching(tmp_path)
    made.write("a", "1")
    made.push()
    return made


@pytest.mark.parametrize("after", [False, True])
def test_what_turns_out_to_be_live_is_not_given_up(switching: Switching, after: bool) -> None:
    mine = switching.underway(after=after)
    switching.point(named(2))
    assert switching.activation.give_up(mine, RemoteLost("the connection was lost"))
    assert named(2) in releases(switching)
    # Where commands have to run yet, a person says how it ends.
    assert outcomes(switching)[-1] == ("" if after else "good")


@pytest.mark.parametrize(
    ("error", "stage"), [(RemoteExists("it failed"), False), (RemoteLost("lost"), True), (Interrupted("stopped"), True)]
)
def test_what_is_given_up_leaves_no_release_but_what_may_be_taken_up(
    switching: Switching, error: BaseException, stage: bool
) -> None:
    mine = switching.underway()
    assert not switching.activation.give_up(mine, error)
    assert len(releases(switching)) == 1
    assert (switching.path / ".push/incoming" / named(2)).exists() is stage
    assert (switching.path / ".push/manifests" / named(2)).exists() is stage
    assert outcomes(switching)[-1] == f"failed: {error}"


def test_the_release_of_another_push_is_not_given_up_with_a_switch_to_it(switching: Switching) -> None:
    (first,) = releases(switching)
    mine = switching.underway()
    of_another = replace(mine, release=replace(mine.release, id=first))  # type: ignore[type-var]
    switching.releases.queue._mine = of_another
    place = switching.path / STATE.ticket(2) / "ticket.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"release": first, "why": "switch"}))
    (switching.path / "current").unlink()
    assert not switching.activation.give_up(of_another, RemoteExists("it failed"))
    assert first in releases(switching)
    assert outcomes(switching)[-1] == "failed: it failed"


def test_who_lost_its_ticket_gives_up_nothing(switching: Switching) -> None:
    mine = switching.underway()
    switching.die(mine)
    assert not switching.activation.give_up(mine, RemoteExists("it failed"))
    assert named(2) in releases(switching)
    assert outcomes(switching)[-1] == ""


@pytest.mark.parametrize(
    ("changes", "vouched"),
    [
        ({"outcome": ""}, True),
        ({"outcome": "unlocked by ada: it is dead"}, True),
        ({"outcome": "good"}, False),
        ({"outcome": "", "switching": False}, False),
        ({"outcome": "", "ended": False}, False),
        ({"outcome": "", "number": 3}, False),
    ],
)
def test_who_made_what_is_live_and_died_before_it_said_so_is_vouched_for(
    switching: Switching, changes: dict[str, object], vouched: bool
) -> None:
    found = pointing(f"releases/{named(2)}")
    number = int(str(changes.pop("number", 2)))
    found.__dict__["tickets"] = [ticket(number, **{"switching": True, "ended": True, **changes})]  # type: ignore[arg-type]
    (switching.path / STATE.ticket(2) / "end").mkdir(parents=True)
    operations = switching.activation.vouching(found)
    switching.remote.perform(operations, switching.run.step, STATE.name)
    logged = [(each.number, each.outcome) for each in read_log(switching.remote, STATE)[0]]
    assert logged == [(1, "good"), *([(2, "good")] if vouched else [])]
    assert (outcomes(switching)[-1] == "good") is vouched


def test_what_is_live_is_looked_at_again_before_another_release_goes_live(switching: Switching) -> None:
    mine = switching.underway()
    (first, _) = releases(switching)
    step = Step(Action.SWITCH, "current", "")
    assert Pointing("current", f"releases/{first}") in switching.activation.switching(mine, named(2), first, step)
    assert Pointing("current", "") in switching.activation.switching(mine, named(2), "", step)


def test_who_is_ended_while_it_waits_for_the_end_of_its_commands_is_told(switching: Switching) -> None:
    mine = switching.underway()
    switching.releases.queue.unlock(2, "it hangs")
    words = f"^{named(2)} is live, but somebody ended push 2 while after_switch ran$"
    with pytest.raises(PushFailed, match=words):
        switching.activation.conclude(mine, switching.releases.queue.ending(mine, "good"))
    assert outcomes(switching)[-1] == "unlocked by ada@lovelace: it hangs"


def resuming(site: Site, after: str) -> Releases:
    return Releases(site.remote, site.run, 5, commands=Commands(after=(after,)), stale=1)


@pytest.mark.parametrize("number", [0, 2])
def test_of_several_that_wait_only_the_one_that_made_what_is_live_is_resumed(
    switching: Switching, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = releases(switching)
    left = switching.underway(after=True)
    (switching.path / STATE.ticket(2) / "switching").mkdir()
    switching.die(left)
    switching.point(named(2))
    layout = resuming(switching, "true")
    with pytest.raises(PushRefused, match=r"^push 1 does not wait to be resumed on here; nothing was changed$"):
        layout.resume(1)
    ran: list[str] = []
    monkeypatch.setattr(layout._activation, "after", lambda ticket, previous, back: ran.append(f"{ticket.why} {back}"))
    assert layout.resume(number).id == named(2)
    assert ran == ["resume True"]
    assert outcomes(switching) == ["good", "good", "resumed"]
    assert switching.releases.look().tickets[-1].switching
    assert first in releases(switching)


def test_what_was_good_before_stays_live_though_its_commands_fail_when_resumed(
    switching: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = releases(switching)
    other = site_ticket(switching, first)
    switching.die(other)
    layout = resuming(switching, "true")
    ran: list[bool] = []
    monkeypatch.setattr(layout._activation, "after", lambda ticket, previous, back: ran.append(back))
    layout.resume()
    assert ran == [False]


def site_ticket(site: Switching, release: str) -> Ticket:
    """One of a switch to a release that was live before, which waits for the end of its commands."""

    def describe(number: int) -> Ticket:
        known = site.releases.look().tickets[0].release
        return Ticket(number, known, "", "switch", after=True)

    made, _ = site.releases.queue.enter(site.releases.look(), describe)
    assert made.release
    assert made.release.id == release
    (site.path / STATE.ticket(made.number) / "switching").mkdir()
    return made


def test_a_switch_while_somebody_is_there_waits_and_says_so_in_its_ticket(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = releases(site)
    meanwhile(site, monkeypatch, second)
    assert site.releases.switch(first).id == first
    left = site.releases.look().tickets[-1]
    assert (left.why, left.previous, left.outcome, left.switching) == ("switch", second, "switched", True)


def with_commands(site: Site, *, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Releases:
    return Releases(site.remote, site.run, 5, commands=Commands(before, after), stale=1)


class Performing(LocalRemote):
    """A remote that counts what it is asked for at once, and on which something happens when a ticket is taken."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.performed = 0
        self.happens: Callable[[str], None] | None = None
        self.broken = ""

    def perform(self, *given: Any) -> Sequence[Entry]:
        self.performed += 1
        return super().perform(*given)

    def make_directory(self, path: str, mode: int) -> None:
        if self.happens and Path(path).parent.name == "pushes":
            happens, self.happens = self.happens, None
            happens(path)
        super().make_directory(path, mode)

    def rename(self, old: str, new: str) -> None:
        if self.broken == "before" and new == "current":
            raise RemoteDenied("current: permission denied")
        super().rename(old, new)
        if self.broken == "after" and new == "current":
            raise RemoteLost("the connection was lost")


@pytest.fixture
def performing(site: Site) -> Performing:
    """The site's remote, for rollbacks and switches."""
    remote = Performing(site.path)
    site.remote = remote
    site.releases = Releases(remote, site.run, 5)
    return remote


def test_where_nobody_is_and_no_command_runs_all_is_done_at_once(site: Site, performing: Performing) -> None:
    site.releases.rollback()
    assert performing.performed == 1
    site.releases.switch("3")
    assert performing.performed == 2
    # `before_switch` is for what goes forward.
    with_commands(site, before=("false",)).rollback()
    assert performing.performed == 3


def test_commands_run_around_a_switch_in_what_goes_live(site: Site, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    layout = with_commands(
        site,
        before=(f"echo before $(cat a) $(cat {site.path}/current/a) >>{seen}",),
        after=(f"echo after $(cat a) $(cat {site.path}/current/a) >>{seen}",),
    )
    layout.switch("1")
    assert seen.read_text() == "before 1 3\nafter 1 1\n"
    assert outcomes(site)[-1] == "switched"
    assert site.releases.look().tickets[-1].after


def test_who_lost_its_place_before_its_commands_runs_none(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = with_commands(site, before=(f"touch {tmp_path}/seen",))
    enter = layout.queue.enter

    def late(*given: Any) -> Any:
        found = enter(*given)
        site.releases.queue.unlock(found[0].number, "not now")
        return found

    monkeypatch.setattr(layout.queue, "enter", late)
    with pytest.raises(Busy, match=r"push 4 lost its place in the queue \(unlocked by ada@lovelace: not now\)"):
        layout.switch("1")
    assert not (tmp_path / "seen").exists()
    assert site.live() == {"a": "3"}
    assert outcomes(site)[-1] == "unlocked by ada@lovelace: not now"


def test_who_died_before_the_end_of_its_commands_is_left_by_a_rollback_and_not_by_a_switch(
    switching: Switching,
) -> None:
    (first,) = releases(switching)
    left = switching.underway(after=True)
    (switching.path / STATE.ticket(2) / "switching").mkdir()
    switching.die(left)
    switching.point(named(2))
    layout = Releases(switching.remote, switching.run, 5, stale=1)
    with pytest.raises(PushRefused, match=r"made .* live, and after_switch has not ended"):
        layout.switch(first)
    assert outcomes(switching)[1] == ""
    layout.rollback(first)
    assert outcomes(switching) == ["good", "left by a rollback", "gave up waiting", "rolled back"]


def test_who_was_faster_is_waited_for(site: Site, performing: Performing) -> None:
    def faster(path: str) -> None:
        other = Releases(LocalRemote(site.path), site.run, 5)
        other.queue.enter(other.look(), lambda number: ticket(number, ""))

    performing.happens = faster
    with pytest.raises(Busy, match="push 4 by ada@lovelace has it"):
        site.releases.rollback()
    assert outcomes(site)[3:] == ["", "gave up waiting"]


def test_who_is_held_in_a_moment_is_told_of_the_hold(site: Site, performing: Performing) -> None:
    performing.happens = lambda path: Releases(LocalRemote(site.path), site.run, 5).queue.hold("the shop is open")
    with pytest.raises(PushRefused, match=r"are held by ada@lovelace since .*: the shop is open"):
        site.releases.rollback()
    assert outcomes(site)[3].startswith("failed: ")
    assert site.live() == {"a": "3"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("broken", "outcome"), [("before", "failed: current: permission denied"), ("after", "rolled back")]
)
def test_a_rollback_that_fails_ended_as_what_is_live_then_tells(
    site: Site, performing: Performing, after: bool, broken: str, outcome: str
) -> None:
    performing.broken = broken
    layout = with_commands(site, after=("true",) if after else ())
    with pytest.raises(RemoteError):
        layout.rollback()
    assert site.live() == {"a": "3" if broken == "before" else "2"}
    # Where commands have to run yet, it has not ended.
    assert outcomes(site)[-1] == ("" if after and broken == "after" else outcome)


def test_what_is_gone_meanwhile_is_not_resumed(switching: Switching, monkeypatch: pytest.MonkeyPatch) -> None:
    left = switching.underway(after=True)
    (switching.path / STATE.ticket(2) / "switching").mkdir()
    switching.die(left)
    switching.point(named(2))
    layout = resuming(switching, "true")
    enter = layout.queue.enter

    def late(*given: Any) -> Any:
        (switching.path / "current").unlink()
        return enter(*given)

    monkeypatch.setattr(layout.queue, "enter", late)
    with pytest.raises(Busy, match=r"^nothing was made live meanwhile; nothing was resumed$"):
        layout.resume()
    assert outcomes(switching)[-1] == "overtaken"


def test_a_resume_that_fails_ends_so_and_leaves_live_what_was(switching: Switching) -> None:
    (first,) = releases(switching)
    left = switching.underway(after=True)
    for directory in (STATE.ticket(2), f"releases/{named(2)}"):
        (switching.path / directory / "switching").mkdir()
    file = switching.path / STATE.ticket(2) / "ticket.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"previous": first}))
    switching.die(left)
    switching.point(named(2))
    with pytest.raises(PushFailed, match=f"after_switch ended with exit code 1.*; {first} is live again"):
        resuming(switching, "test -f a").resume()
    assert switching.live() == {"a": "1"}
    assert outcomes(switching)[1] == "left to push resume"
    assert outcomes(switching)[2].startswith("failed: after_switch ended with exit code 1")


def warned(site: Site) -> list[str]:
    return [event.message for event in site.events if isinstance(event, Warned)]


def reverted(site: Site) -> list[str]:
    """What was said of every way back."""
    steps = [event.step for event in site.events if isinstance(event, StepFinished)]
    return [step.reason for step in steps if step.action is Action.REVERT]


def test_when_before_switch_fails_it_is_told_what_is_live_as_before(site: Site, tmp_path: Path) -> None:
    third = releases(site)[2]
    with pytest.raises(PushFailed, match=f"^before_switch ended with exit code 1.*; {third} is live as before$"):
        with_commands(site, before=("false",)).switch("1")
    (tmp_path / "fresh").mkdir()
    fresh = Site(tmp_path / "fresh")
    fresh.write("a", "1")
    fresh.releases = with_commands(fresh, before=("false",))
    with pytest.raises(PushFailed, match=r"; nothing is live, as before$"):
        fresh.push()


def test_when_after_switch_fails_it_is_told_what_is_live_again(site: Site) -> None:
    first, _, third = releases(site)
    with pytest.raises(PushFailed, match=f"; {third} is live again$") as caught:
        with_commands(site, after=("test $(cat a) = 3",)).switch(first)
    assert "as before" not in caught.value.message
    assert reverted(site) == [f"from {first} back to {third}"]
    assert warned(site) == []


def test_where_nothing_was_live_before_nothing_is_told_to_run_again(tmp_path: Path) -> None:
    fresh = Site(tmp_path)
    fresh.write("a", "1")
    fresh.releases = with_commands(fresh, after=(f"echo ran >>{tmp_path}/seen; false",))
    with pytest.raises(PushFailed, match=r"; nothing is live, as before$"):
        fresh.push()
    assert (tmp_path / "seen").read_text() == "ran\n"
    (reason,) = reverted(fresh)
    assert reason.startswith("from 000001-")
    assert reason.endswith(" back to nothing")
    assert warned(fresh) == []


def test_who_asks_to_stop_on_the_way_back_still_has_all_of_it(site: Site) -> None:
    third = releases(site)[2]
    emit = site.run.emit

    def heard(event: Event) -> None:
        emit(event)
        if isinstance(event, StepFinished) and event.step.action is Action.REVERT:
            site.cancelled.set()

    site.run.emit = heard
    with pytest.raises(PushFailed, match=f"; {third} is live again$"):
        with_commands(site, after=(f"cat a >>{site.source}/seen; test $(cat a) = 3",)).switch("1")
    assert (site.source / "seen").read_text() == "13"
    assert warned(site) == []


@pytest.mark.parametrize(
    ("error", "hint"), [(PushFailed("it failed", hint="look at it"), "look at it"), (ValueError("it failed"), "")]
)
def test_what_to_do_about_a_failure_is_what_its_error_says(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, hint: str
) -> None:
    layout = with_commands(site, after=("true",))

    def fail(when: str, release: str, *more: object) -> None:
        if release == releases(site)[0]:
            raise error

    monkeypatch.setattr(layout._activation, "command", fail)
    with pytest.raises(PushFailed, match=r"it failed; .* is live again$") as caught:
        layout.switch("1")
    assert caught.value.hint == hint


def test_who_was_faster_and_has_ended_is_in_nobodys_way(site: Site, performing: Performing) -> None:
    def faster(path: str) -> None:
        other = Releases(LocalRemote(site.path), site.run, 5)
        held, _ = other.queue.enter(other.look(), lambda number: ticket(number, "", of=3))
        other.queue.end(held, "switched")

    performing.happens = faster
    site.releases.rollback()
    assert site.live() == {"a": "2"}
    assert outcomes(site)[3:] == ["switched", "rolled back"]


def test_where_nothing_is_live_any_more_a_release_may_be_switched_to(site: Site) -> None:
    (site.path / "current").unlink()
    site.releases.switch("1")
    assert turned(site) == f"from nothing to {releases(site)[0]}"
