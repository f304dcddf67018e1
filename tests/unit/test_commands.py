"""Commands on the host: what they are given, how they are ended, and what is live when one fails."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pushkit import Action, Busy, Command, Interrupted, PushFailed, PushRefused, TimedOut
from pushkit.events import Event, Output, StepFinished, StepStarted, Warned
from pushkit.files import Capabilities, RemoteDenied, RemoteLost
from pushkit.files.commands import Commands
from pushkit.files.releases import Releases
from pushkit.model import Release
from pushkit_dir.remote import LocalRemote
from unit.test_releases import Site
from unit.test_shell import LocalShell
from unit.test_shell import remote as remote  # noqa: PLC0414  (a fixture)


def until(true: object, within: float = 10.0) -> bool:
    """Whether ``true()`` becomes true."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def runs(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


class Host(Site):
    """A site with commands on its host, which is this machine."""

    def commands(self, *, before: Sequence[str] = (), after: Sequence[str] = (), timeout: float = 30) -> None:
        """Begin a command line of its own with these commands."""
        commands = Commands(tuple(before), tuple(after), timeout)
        self.releases = Releases(self.remote, self.run, 5, commands=commands, stale=1)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def output(self) -> list[str]:
        return [event.line for event in self.events if isinstance(event, Output)]

    @property
    def outcomes(self) -> dict[int, str]:
        return {ticket.number: ticket.outcome for ticket in self.releases.look().tickets}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.write("index.html", "one")
    return made


def change(host: Host, text: str) -> Release:
    host.write("index.html", text)
    return host.push()


# How a command runs.


def command(text: str, directory: Path, timeout: float = 30, **environment: str) -> Command:
    return Command(("sh", "-c", text), directory, environment, "after_switch", timeout=timeout)


def test_output_comes_line_by_line_and_the_exit_code_is_the_commands(remote: LocalShell, host: Host) -> None:
    text = 'echo "$WORD"; pwd; echo problem >&2; exit 7'
    remote.noise = "echo welcome\n"
    assert remote.run(command(text, Path(remote.root) / "old", WORD="it's $HOME"), host.run) == 7
    assert host.output == ["it's $HOME", f"{remote.root}/old", "problem"]


def test_a_command_does_not_wait_for_input(remote: LocalShell, host: Host) -> None:
    assert remote.run(command("cat; echo done", Path(remote.root)), host.run) == 0
    assert host.output == ["done"]


def test_a_directory_that_is_not_there_is_a_failure(remote: LocalShell, host: Host) -> None:
    assert remote.run(command("echo never", Path(remote.root) / "nowhere"), host.run) != 0
    assert "never" not in host.output


def test_after_its_time_a_command_ends_with_its_children(remote: LocalShell, host: Host) -> None:
    text = "sleep 300 & echo $!; wait"
    with pytest.raises(TimedOut, match=r"ended after 1 second$"):
        remote.run(command(text, Path(remote.root), timeout=1), host.run)
    assert until(lambda: not runs(int(host.output[0])))


def test_a_command_that_will_not_end_is_forced_to(remote: LocalShell, host: Host) -> None:
    text = "trap : TERM; echo $$; while :; do sleep 0.2; done"
    with pytest.raises(TimedOut):
        remote.run(command(text, Path(remote.root), timeout=0.5), host.run)
    assert until(lambda: not runs(int(host.output[0])))


def test_ctrl_c_ends_a_command_with_its_children(remote: LocalShell, host: Host) -> None:
    threading.Timer(0.5, host.cancelled.set).start()
    with pytest.raises(Interrupted):
        remote.run(command("sleep 300 & echo $!; wait", Path(remote.root)), host.run)
    assert until(lambda: not runs(int(host.output[0])))


def test_what_a_command_leaves_in_the_background_ends_with_it(remote: LocalShell, host: Host) -> None:
    assert remote.run(command("sleep 300 >/dev/null 2>&1 & echo $!", Path(remote.root)), host.run) == 0
    assert until(lambda: not runs(int(host.output[0])))


# Around the switch.


def test_commands_run_in_the_new_release_with_what_they_need_to_know(host: Host, tmp_path: Path) -> None:
    first = host.push()
    seen = tmp_path / "seen"
    say = f'printf "%s " "$PUSH_TARGET" "$PUSH_RELEASE" "$PUSH_REVISION" "$PUSH_PREVIOUS" "$PWD" >>{seen}'
    host.commands(before=[f"{say}; readlink ../../current >>{seen}"], after=[f"{say}; readlink ../../current >>{seen}"])
    second = change(host, "two")
    path = host.path / "releases" / second.id
    told = f"here {second.id} {second.revision.short} {first.id} {path} releases/"
    assert seen.read_text().splitlines() == [told + first.id, told + second.id]


def test_the_place_of_the_release_stands_in_a_command(host: Host) -> None:
    host.commands(before=["cat {release}/index.html; echo $PUSH_RELEASE_PATH"])
    release = host.push()
    assert host.output == ["one" + str(host.path / "releases" / release.id)]


def test_a_plan_shows_the_commands_around_the_switch(host: Host) -> None:
    host.commands(before=["make cache"], after=["systemctl   restart site", "true"])
    steps = [step for step in host.releases.plan(host.snapshot()).steps if step.action in {Action.RUN, Action.SWITCH}]
    assert [step.subject for step in steps] == ["make cache", "current", "systemctl restart site", "true"]
    assert steps[0].reason == "on the host, before the release goes live"
    assert steps[2].reason == "on the host, once the release is live"


def test_each_step_is_reported_once(host: Host) -> None:
    host.commands(before=["true"], after=["true"])
    plan = host.releases.plan(host.snapshot())
    host.releases.push(plan, host.snapshot())
    finished = [event.step for event in host.events if isinstance(event, StepFinished)]
    assert sorted(map(str, finished)) == sorted(map(str, plan.steps))


def test_when_before_switch_fails_nothing_changes_and_the_release_is_gone(host: Host) -> None:
    first = host.push()
    host.commands(before=["echo no; exit 3", "echo never"])
    with pytest.raises(PushFailed, match="before_switch ended with exit code 3"):
        change(host, "two")
    assert host.live() == {"index.html": "one"}
    assert host.output == ["no"]
    assert os.listdir(host.path / "releases") == [first.id]
    assert os.listdir(host.path / ".push/manifests") == [first.id]
    assert host.outcomes[2].startswith("failed: before_switch ended with exit code 3")


def test_when_after_switch_fails_what_was_live_is_live_again_and_told_to_run(host: Host, tmp_path: Path) -> None:
    first = host.push()
    second = change(host, "two")
    seen = tmp_path / "seen"
    host.commands(after=[f"cat index.html >>{seen}; grep -q two index.html"])
    with pytest.raises(PushFailed, match=f"exit code 1.*; {second.id} is live again"):
        change(host, "three")
    assert host.live() == {"index.html": "two"}
    assert seen.read_text() == "threetwo"
    assert len(os.listdir(host.path / "releases")) == 2
    assert host.outcomes[3].startswith("failed: after_switch ended with exit code 1")
    host.commands()
    assert host.releases.rollback().id == first.id


def test_it_goes_back_to_what_was_live_and_not_to_the_release_before(host: Host) -> None:
    first = host.push()
    change(host, "two")
    host.releases.rollback(first.id)
    host.commands(after=["grep -qv three index.html"])
    with pytest.raises(PushFailed, match=f"{first.id} is live again"):
        change(host, "three")
    assert host.live() == {"index.html": "one"}


def test_when_after_switch_fails_in_the_first_release_nothing_is_live(host: Host) -> None:
    host.commands(after=["false"])
    with pytest.raises(PushFailed, match="nothing is live, as before"):
        host.push()
    assert not os.path.lexists(host.path / "current")
    assert os.listdir(host.path / "releases") == []


def test_a_failure_of_what_was_live_is_only_told(host: Host) -> None:
    first = host.push()
    host.commands(after=["false"])
    with pytest.raises(PushFailed, match=f"{first.id} is live again"):
        change(host, "two")
    assert any(f"{first.id} is live again, but" in event.message for event in host.events if isinstance(event, Warned))


@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_in_a_command_leaves_live_what_was(host: Host, when: str) -> None:
    host.push()
    host.commands(**{when: ["sleep 300"]})  # type: ignore[arg-type]
    threading.Timer(1, host.cancelled.set).start()
    with pytest.raises(Interrupted):
        change(host, "two")
    assert host.live() == {"index.html": "one"}
    assert host.outcomes[2] == f"failed: {when}_switch was stopped"


def test_a_command_over_its_time_is_a_failure(host: Host) -> None:
    host.commands(before=["sleep 300"], timeout=0.5)
    with pytest.raises(PushFailed, match=r"before_switch was ended after 0\.5 seconds"):
        host.push()
    assert not os.path.lexists(host.path / "current")


def test_a_rollback_runs_after_switch_in_what_is_live_then(host: Host, tmp_path: Path) -> None:
    first = host.push()
    second = change(host, "two")
    seen = tmp_path / "seen"
    host.commands(before=["false"], after=[f"echo $PUSH_RELEASE $PUSH_PREVIOUS >>{seen}"])
    host.releases.rollback()
    assert seen.read_text() == f"{first.id} {second.id}\n"
    assert host.live() == {"index.html": "one"}


def test_a_rollback_whose_after_switch_fails_stays_rolled_back(host: Host) -> None:
    first = host.push()
    change(host, "two")
    host.commands(after=["false"])
    with pytest.raises(PushFailed, match=f"{first.id} is live, and waits for after_switch") as failed:
        host.releases.rollback()
    assert failed.value.hint.startswith("mend what is wrong there, then run it again: push resume")
    assert host.live() == {"index.html": "one"}
    assert {path.name for path in (host.path / "releases").iterdir()} >= {first.id}


def test_who_is_ended_while_after_switch_runs_is_told_that_it_is_live(host: Host) -> None:
    """By a person, say, who takes it for dead."""
    first = host.push()
    host.commands(after=[f"mkdir {host.path}/.push/pushes/000002/end"])
    with pytest.raises(PushFailed, match="is live, but somebody ended push 2 while after_switch ran") as failed:
        change(host, "two")
    assert failed.value.hint == "look at it: push status"
    assert host.live() == {"index.html": "two"}
    assert {path.name for path in (host.path / "releases").iterdir()} > {first.id}


def test_a_connection_that_is_lost_in_the_switch_leaves_after_switch_to_resume(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(LocalRemote):
        lost = False

        def rename(self, old: str, new: str) -> None:
            super().rename(old, new)
            if new == "current" and not self.lost:
                self.lost = True
                raise RemoteLost("the connection was lost")

        def renew(self) -> None:
            """There is another connection."""

    monkeypatch.setattr("pushkit.files.layout.PAUSE", 0)
    host.push()
    host.remote = Lost(host.path)
    host.commands(after=["true"])
    with pytest.raises(PushFailed) as caught:
        change(host, "two")
    live = host.releases.live()
    assert caught.value.message == f"the connection was lost; {live} is live, and after_switch has not ended"
    assert caught.value.hint == "push resume"
    assert host.live() == {"index.html": "two"}
    (ticket,) = host.releases.look().open_tickets
    host.die(ticket)
    assert host.releases.resume().id == live


def test_an_after_switch_that_fails_where_nobody_can_go_back_says_what_was_seen_last(host: Host) -> None:
    class Stuck(LocalRemote):
        switched = False

        def rename(self, old: str, new: str) -> None:
            if new == "current":
                if self.switched:
                    raise RemoteDenied(f"{new}: permission denied")
                self.switched = True
            super().rename(old, new)

    host.push()
    host.remote = Stuck(host.path)
    host.commands(after=["false"])
    with pytest.raises(PushFailed) as caught:
        change(host, "two")
    live = host.releases.live()
    assert caught.value.message == (
        f"after_switch ended with exit code 1 (false); then current: permission denied; when last seen {live} was live"
    )
    assert caught.value.hint == "look at it (push status), then push resume, push rollback, or push unlock 2"
    assert host.live() == {"index.html": "two"}


# A push that dies in after_switch.


def died(host: Host) -> int:
    """A push that died in after_switch on another machine: its number."""
    host.push()
    host.commands(after=["exit 1"])

    class Death(BaseException):
        pass

    def die(*_: object) -> int:
        raise Death

    gone = Releases(Dying(host.path, die), host.run, 5, commands=Commands(after=("true",)))
    host.write("index.html", "two")
    snapshot = host.snapshot()
    gone._activation._go_back = die  # type: ignore[assignment,method-assign]
    gone._activation.give_up = die  # type: ignore[assignment,method-assign]
    with pytest.raises(Death):
        gone.push(gone.plan(snapshot), snapshot)
    ticket = next(each for each in host.releases.look().open_tickets)
    host.die(ticket)
    assert host.live() == {"index.html": "two"}
    return ticket.number


class Dying(LocalRemote):
    """A remote whose client dies when it runs a command."""

    def __init__(self, root: Path, die: object) -> None:
        super().__init__(root)
        self.run = die  # type: ignore[method-assign,assignment]


def test_a_push_that_died_in_after_switch_is_not_called_good(host: Host) -> None:
    number = died(host)
    assert f"push {number} " in host.releases.plan(host.snapshot()).warnings[0]
    with pytest.raises(PushRefused, match="after_switch has not ended; nothing was changed") as refused:
        change(host, "three")
    for way in ("push resume", "push rollback", f"push unlock {number} --why"):
        assert way in refused.value.hint
    assert host.live() == {"index.html": "two"}


def test_resume_runs_after_switch_again_and_ends_the_push_well(host: Host) -> None:
    number = died(host)
    host.commands(after=["cat index.html; echo; echo $PUSH_PREVIOUS"])
    release = host.releases.resume(number)
    assert host.output == ["two", host.releases.history()[0].id]
    assert host.outcomes[number] == "good"
    assert [each.id for each in host.releases.history()][-1] == release.id
    assert change(host, "three").id in {each.id for each in host.releases.history()}
    assert host.releases.rollback().id == release.id


def test_resume_goes_back_when_after_switch_fails_again(host: Host) -> None:
    number = died(host)
    with pytest.raises(PushFailed, match="is live again"):
        host.releases.resume()
    assert host.live() == {"index.html": "one"}
    assert host.outcomes[number] != "good"
    host.commands()
    change(host, "three")
    assert len(host.releases.history()) == 2


def test_rollback_leaves_a_push_that_died_in_after_switch(host: Host) -> None:
    number = died(host)
    host.commands()
    host.releases.rollback()
    assert host.live() == {"index.html": "one"}
    assert host.outcomes[number] == "left by a rollback"
    change(host, "three")


def test_a_resume_does_not_go_on_with_what_is_not_live_any_more(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody went back while it waited for its turn."""
    number = died(host)
    host.commands(after=["echo never"])
    before = next(each for each in sorted(os.listdir(host.path / "releases")) if not each.startswith(f"{number:06d}"))
    enter = host.releases.queue.enter

    def late(*arguments: Any) -> Any:
        host.commands()
        host.releases.rollback()
        return enter(*arguments)

    resuming = host.releases
    monkeypatch.setattr(resuming.queue, "enter", late)
    with pytest.raises(Busy, match=f"{before} was made live meanwhile; nothing was resumed"):
        resuming.resume(number)
    assert host.live() == {"index.html": "one"}
    assert host.output == []
    assert not host.releases.look().open_tickets


def test_there_is_nothing_to_resume_after_a_good_push(host: Host) -> None:
    host.commands(after=["true"])
    host.push()
    with pytest.raises(PushRefused, match="no push waits to be resumed"):
        host.releases.resume()
    with pytest.raises(PushRefused, match="push 1 does not wait"):
        host.releases.resume(1)


# Where there is no shell.


def test_commands_are_refused_by_a_remote_that_runs_none(host: Host) -> None:
    host.remote.capabilities = replace(Capabilities(), copies=True)
    host.commands(before=["true"], after=["true"])
    with pytest.raises(PushRefused, match="without a shell, so that before_switch and after_switch cannot run"):
        host.releases.plan(host.snapshot())
    assert not host.of(StepStarted)
