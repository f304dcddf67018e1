"""Who has no name yet, or has died on another machine, in the queue of a target."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path

import pytest
from msgspec.structs import replace

from pushkit import Action, Busy, Interrupted, PushFailed, PushRefused, TargetError
from pushkit.errors import Overtaken
from pushkit.files import RemoteError
from pushkit.files.commands import Commands
from pushkit.files.heartbeat import Heartbeat
from pushkit.files.log import read_log
from pushkit.files.place import STATE
from pushkit.files.releases import Releases
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket
from pushkit.model import Entry
from pushkit_dir.remote import LocalRemote
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


def test_who_never_says_who_they_are_is_found_dead_though_the_clock_of_the_target_is_wrong(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    impatient(site)
    place = site.path / STATE.ticket(2)
    place.mkdir()
    ahead = time.time() + 10_000
    os.utime(place, (ahead, ahead))
    site.write("a", "2")
    site.push()
    assert site.live() == {"a": "2"}
    assert [ticket.outcome for ticket in site.releases.look().tickets] == ["good", "died", "good"]


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


def test_a_process_that_took_the_number_of_a_dead_push_keeps_nobody_out(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    ticket = site.enter()  # of this process, which runs on
    long_ago = time.time() - 3600
    os.utime(site.path / STATE.ticket(ticket.number) / "hb", (long_ago, long_ago))
    impatient(site)
    site.write("a", "2")
    site.push()
    assert site.live() == {"a": "2"}


def test_a_ticket_that_names_no_release_is_as_good_as_damaged(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    ticket = site.enter()
    file = site.path / STATE.ticket(ticket.number) / "ticket.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"why": "switch", "release": "../../etc"}))
    assert site.releases.look().tickets[-1].release is None


class Beats(LocalRemote):
    """A remote on which the first sign of life meets a wish to stop."""

    beats = 0

    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        self.beats += 1
        if self.beats == 1:
            raise Interrupted("stopped while the server was at work")
        super().write(path, chunks, mode)


def test_a_heart_goes_on_beating_when_somebody_asks_to_stop(tmp_path: Path) -> None:
    remote = Beats(tmp_path)
    with Heartbeat(remote, "hb", "", 0.01):
        limit = time.monotonic() + 30
        while remote.beats < 3 and time.monotonic() < limit:
            time.sleep(0.01)
    assert (tmp_path / "hb").read_bytes() == b"alive\n"


class Slow(LocalRemote):
    """A remote that takes its time to compare and to remove. ``entered`` says that it compares."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.entered = threading.Event()

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        self.entered.set()
        time.sleep(0.5)
        return super().verify(directory, entries)

    def remove_tree(self, path: str) -> None:
        if path.startswith(STATE.incoming):
            time.sleep(0.3)
        super().remove_tree(path)


def test_who_waits_to_switch_to_what_is_being_removed_does_not_make_it_live(tmp_path: Path) -> None:
    site = Site(tmp_path, keep=1)
    for text in "123":
        site.write("a", text)
        site.push()
    prepare = copy(site.run)
    prepare.prepare = True
    preparing = Releases(site.remote, prepare, 1)
    site.write("a", "prepared")
    snapshot = site.snapshot()
    prepared = preparing.push(preparing.plan(snapshot), snapshot)
    site.write("a", "new")
    snapshot = site.snapshot()
    slow = Slow(site.path)
    pushing = Releases(slow, site.run, 1)
    plan = pushing.plan(snapshot)
    pusher = threading.Thread(target=pushing.push, args=(plan, snapshot))
    pusher.start()
    assert slow.entered.wait(30)
    waiting = copy(site.run)
    waiting.wait = 60
    with pytest.raises((Busy, PushRefused, TargetError)):
        Releases(site.remote, waiting, 1).switch(prepared.id)
    pusher.join()
    assert site.live() == {"a": "new"}
    assert not site.releases.look().open_tickets


def test_a_push_that_died_right_after_its_switch_and_was_unlocked_may_be_gone_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    for text in "12":
        site.write("a", text)
        site.push()
    make = LocalRemote.make_directory

    def die(self: LocalRemote, path: str, mode: int) -> None:
        if path.endswith("/end"):
            raise SystemExit
        make(self, path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(LocalRemote, "make_directory", die)
        site.write("a", "3")
        with pytest.raises(SystemExit):
            site.push()
    third = site.releases.live()
    assert third.startswith("000003-")
    site.releases.queue.unlock(3, "it is dead")
    site.write("a", "4")
    site.push()
    assert site.releases.rollback().id == third
    assert site.live() == {"a": "3"}


def test_a_switch_whose_end_could_not_be_told_was_a_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    first = site.push()
    site.write("a", "2")
    site.push()
    make = LocalRemote.make_directory
    failures = [RemoteError("a hiccup of the network")]

    def fail_once(self: LocalRemote, path: str, mode: int) -> None:
        if path.endswith("/end") and failures:
            raise failures.pop()
        make(self, path, mode)

    monkeypatch.setattr(LocalRemote, "make_directory", fail_once)
    with pytest.raises(RemoteError, match="hiccup"):
        site.releases.switch(first.id)
    assert site.releases.live() == first.id
    site.write("a", "3")
    site.push()
    assert site.releases.rollback().id == first.id


def test_a_resumed_push_that_somebody_ended_takes_no_good_release_with_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    releases = []
    for text in "12":
        site.write("a", text)
        releases.append(site.push())
    commands = Commands(after=("true",))

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    dying = Releases(site.remote, site.run, 5, commands=commands)
    dying._activation.after = die  # type: ignore[method-assign]
    dying.queue.end = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        dying.switch(releases[0].id)
    (left,) = site.releases.look().open_tickets
    site.die(left)
    resuming = Releases(site.remote, site.run, 5, commands=commands)

    def meanwhile(ticket: Ticket, *_: object, **__: object) -> None:
        site.releases.queue.unlock(ticket.number, "it hangs")
        site.releases.switch(releases[1].id)
        raise PushFailed("after_switch ended with exit code 1")

    resuming._activation.after = meanwhile  # type: ignore[method-assign]
    with pytest.raises(PushFailed):
        resuming.resume()
    assert releases[0].id in os.listdir(site.path / "releases")
    assert site.live() == {"a": "2"}


class Dies(LocalRemote):
    """A remote that dies half way through the removal of a ticket, once."""

    expiring: str = ""

    def remove_tree(self, path: str) -> None:
        if ".push/pushes/" in path and not self.expiring:
            self.expiring = path
            super().remove_tree(f"{path}/end")
            raise TargetError("the server went away")
        super().remove_tree(path)


def test_a_ticket_that_is_half_gone_is_not_taken_for_one_that_has_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkit.files.queue.KEPT", 2)
    site = Site(tmp_path, keep=1)
    site.remote = Dies(site.path)
    site.releases = Releases(site.remote, site.run, 1)
    for number in range(6):
        site.write("a", str(number))
        with suppress(TargetError):
            site.push()
    assert isinstance(site.remote, Dies)
    assert site.remote.expiring
    assert all(ticket.ended for ticket in site.releases.look().tickets)
    numbers = [json.loads(line)["number"] for line in (site.path / ".push/log").read_text().splitlines()]
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert all(name.isdigit() for name in os.listdir(site.path / ".push/pushes"))


def test_who_ends_a_ticket_that_was_ended_and_removed_meanwhile_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    ticket = site.enter()
    shutil.rmtree(site.path / STATE.ticket(ticket.number))
    assert not site.releases.queue.end(ticket, "died")
    assert site.releases.queue.bury(site.releases.look(), [replace(ticket, heartbeat=1.0)], 1e12, never) == []


def test_what_is_said_twice_of_one_push_is_told_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    log = site.path / ".push/log"
    log.write_text(log.read_text() * 2)
    entries, damaged = read_log(site.remote, STATE)
    assert ([(each.number, each.outcome) for each in entries], damaged) == ([(1, "good")], 0)


def never(ticket: Ticket, survey: Survey) -> str:
    raise AssertionError("it had not begun to switch")


def test_a_push_with_nothing_to_do_removes_what_a_dead_one_left_and_lets_the_living_be(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    ticket = site.enter()
    assert ticket.release
    (site.path / ".push/incoming" / ticket.release.id / "tree").mkdir(parents=True)
    # While its push lives there is nothing to do.
    assert site.releases.plan(site.snapshot()).steps == ()
    process = subprocess.Popen(["true"])
    process.wait()
    file = site.path / STATE.ticket(ticket.number) / "ticket.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"process": process.pid}))
    (step,) = site.releases.plan(site.snapshot()).steps
    assert (step.action, step.subject, step.reason) == (Action.PRUNE, "2 paths", "left by a push that died")
    with pytest.raises(Overtaken):
        site.push()
    assert site.releases.plan(site.snapshot()).steps == ()
    site.releases.close()
    assert not site.debris()
    assert [each.outcome for each in site.releases.look().tickets] == ["good", "died", "given up"]
    assert site.live() == {"a": "1"}


def test_what_nobody_can_be_told_to_have_made_keeps_no_push_from_saying_that_there_is_nothing_to_do(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    (site.path / ".push/incoming/000002-20261123T000000Z-abc").mkdir()
    assert [step.action for step in site.releases.plan(site.snapshot()).steps] == [Action.PRUNE]
    shutil.rmtree(site.path / STATE.ticket(1))
    assert site.releases.plan(site.snapshot()).steps == ()


def test_a_push_with_nothing_to_do_removes_a_ticket_whose_remover_died(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    (site.path / ".push/pushes/000000.expired/end").mkdir(parents=True)
    with pytest.raises(Overtaken):
        site.push()
    assert site.releases.plan(site.snapshot()).steps == ()
    assert sorted(os.listdir(site.path / ".push/pushes")) == ["000001", "000002"]


def test_a_push_with_nothing_to_do_does_not_wait_for_who_is_at_work(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    (site.path / ".push/incoming/000002-20261123T000000Z-abc").mkdir()
    site.enter()
    assert site.releases.plan(site.snapshot()).steps == ()


def test_a_push_with_nothing_to_do_says_how_that_ended_which_could_not(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    site.push()
    ticket = site.path / STATE.ticket(1)
    (ticket / "end/outcome.json").unlink()
    (site.path / ".push/log").unlink()
    # Whoever lives is about to say it.
    assert site.releases.plan(site.snapshot()).steps == ()
    process = subprocess.Popen(["true"])
    process.wait()
    record = json.loads((ticket / "ticket.json").read_text())
    (ticket / "ticket.json").write_text(json.dumps(record | {"process": process.pid}))
    with pytest.raises(Overtaken):
        site.push()
    assert site.releases.plan(site.snapshot()).steps == ()
    assert [each.outcome for each in site.releases.look().tickets] == ["good", ""]
    site.releases.close()
    entries, _ = read_log(site.remote, STATE)
    assert [(each.number, each.outcome) for each in entries] == [(1, "good"), (2, "given up")]
