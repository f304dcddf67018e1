"""Several people and one target: ``--wait``, ``push status``, ``hold``, ``release`` and ``unlock``."""

from __future__ import annotations

import json
import signal

import pytest

from cli.holder import holding, let_go, said, start
from cli.project import Project


def live(project: Project) -> str:
    return (project.root.parent / "live/current/index.html").read_text()


def change(project: Project, text: str) -> None:
    (project.root / "index.html").write_text(text)


def test_a_busy_target_is_exit_code_9_at_once_and_says_who_has_it_since_when_and_why(project: Project) -> None:
    project.push()
    change(project, "two")
    with holding(project) as holder:
        change(project, "three")
        done = project.push()
        assert (done.returncode, done.stdout) == (9, "")
        assert "production is busy: push 2 by " in done.stderr
        assert " has it since 20" in done.stderr
        assert "push --wait SECONDS" in done.stderr
        let_go(project)
        out, err = holder.communicate(timeout=30)
    assert holder.returncode == 0, err
    assert out.startswith("000002-")
    assert live(project) == "two"


def test_who_waits_says_who_is_ahead_and_has_their_turn(project: Project) -> None:
    project.push()
    change(project, "two")
    with holding(project) as holder:
        change(project, "three")
        with start(project, "--wait", "60") as waiter:
            assert "push 2 by " in said(waiter, "waiting: ")
            status = project.push("status").stdout.splitlines()
            assert " has it since " in status[-2]
            assert " waits since " in status[-1]
            assert ", last sign of life 20" in status[-1]
            event = json.loads(project.push("status", "--json").stdout)
            assert [(each["number"], each["why"], each["switching"]) for each in event["queue"]] == [
                (2, "push", False),
                (3, "push", False),
            ]
            let_go(project)
            out, err = waiter.communicate(timeout=60)
        holder.communicate(timeout=30)
    assert (holder.returncode, waiter.returncode) == (0, 0), err
    assert out.startswith("000003-")
    assert live(project) == "three"
    assert json.loads(project.push("status", "--json").stdout)["queue"] == []


def test_a_wait_that_runs_out_is_exit_code_9_and_leaves_the_queue(project: Project) -> None:
    with holding(project) as holder:
        change(project, "two")
        done = project.push("--wait", "0.1")
        assert done.returncode == 9, done.stderr
        event = json.loads(project.push("status", "--json").stdout)
        assert [each["number"] for each in event["queue"]] == [1]
        let_go(project)
        holder.communicate(timeout=30)
    assert holder.returncode == 0
    assert live(project) == "<h1>one</h1>\n"


def test_ctrl_c_of_who_waits_ends_their_own_place_only(project: Project) -> None:
    with holding(project) as holder:
        change(project, "two")
        with start(project, "--wait", "60") as waiter:
            said(waiter, "waiting: ")
            waiter.send_signal(signal.SIGINT)
            _, err = waiter.communicate(timeout=30)
        assert waiter.returncode == 130
        assert "push: stopped: on production nothing is live yet\n" in err
        event = json.loads(project.push("status", "--json").stdout)
        assert [each["number"] for each in event["queue"]] == [1]
        let_go(project)
        holder.communicate(timeout=30)
    assert holder.returncode == 0
    assert project.push("log").stdout.splitlines()[0].endswith("gave up waiting")


def test_ctrl_c_of_a_rollback_that_waits_says_that_nothing_was_changed(project: Project) -> None:
    project.push()
    change(project, "two")
    second = project.push().stdout.strip()
    change(project, "three")
    with holding(project) as holder:
        with start(project, "rollback", "--wait", "60") as waiter:
            said(waiter, "waiting: ")
            waiter.send_signal(signal.SIGINT)
            out, err = waiter.communicate(timeout=30)
        assert (waiter.returncode, out) == (130, "")
        assert "push: stopped: on production nothing was changed\n" in err
        assert json.loads(project.push("status", "--json").stdout)["live"] == second
        let_go(project)
        holder.communicate(timeout=30)
    assert holder.returncode == 0


def test_rollback_and_switch_wait_as_well(project: Project) -> None:
    first = project.push().stdout.strip()
    change(project, "two")
    project.push()
    change(project, "three")
    with holding(project) as holder:
        for line in (["rollback"], ["switch", first]):
            done = project.push(*line)
            assert done.returncode == 9, done.stderr
        with start(project, "rollback", first, "--wait", "60") as waiter:
            said(waiter, "waiting: ")
            let_go(project)
            out, err = waiter.communicate(timeout=60)
        holder.communicate(timeout=30)
    assert (holder.returncode, waiter.returncode, out) == (0, 0, first + "\n"), err
    assert live(project) == "<h1>one</h1>\n"
    # Who undid what, and back to what, is what counts for the next rollback.
    assert project.push("log").stdout.splitlines()[-1].endswith("rolled back")


def test_a_rollback_without_an_id_does_not_follow_what_became_live_while_it_waited(project: Project) -> None:
    project.push()
    change(project, "two")
    project.push()
    change(project, "three")
    with holding(project) as holder:
        with start(project, "rollback", "--wait", "60") as waiter:
            said(waiter, "waiting: ")
            let_go(project)
            _, err = waiter.communicate(timeout=60)
        holder.communicate(timeout=30)
    assert waiter.returncode == 9
    assert "this rollback changed nothing" in err
    assert live(project) == "three"


def test_a_held_target_refuses_everything_that_changes_it_until_the_release(project: Project) -> None:
    first = project.push().stdout.strip()
    change(project, "two")
    project.push()
    done = project.push("hold", "-m", "the shop is full")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    change(project, "three")
    for line in ([], ["rollback"], ["switch", first], ["--prepare-only"], ["--wait", "60"], ["hold", "-m", "again"]):
        done = project.push(*line)
        assert done.returncode == 6, (line, done.stderr)
        assert "held by " in done.stderr
        assert ": the shop is full; nothing was changed" in done.stderr
    assert live(project) == "two"
    assert "production: held by " in project.push("status").stdout
    assert json.loads(project.push("status", "--json").stdout)["hold"]["why"] == "the shop is full"
    assert "the shop is full" in project.push("plan").stderr
    done = project.push("release")
    assert done.returncode == 0
    assert "is over: the shop is full" in done.stderr
    assert project.push().returncode == 0
    assert live(project) == "three"
    assert project.push("release").returncode == 0


def test_a_target_can_be_held_before_the_first_push(project: Project) -> None:
    assert project.push("hold", "production", "-m", "not yet").returncode == 0
    assert project.push().returncode == 6
    assert project.push("release", "production", "--json").stdout.startswith('{"target":"production","hold":{"who":')
    assert project.push().returncode == 0


def test_a_hold_stops_a_push_under_way_before_it_changes_what_is_live(project: Project) -> None:
    project.push()
    change(project, "two")
    with holding(project) as holder:
        assert project.push("hold", "-m", "stop").returncode == 0
        let_go(project)
        _, err = holder.communicate(timeout=30)
    assert holder.returncode == 6, err
    assert ": stop; nothing was changed" in err
    assert live(project) == "<h1>one</h1>\n"


def test_unlock_ends_a_push_that_notices_it_and_says_so_in_the_log(project: Project) -> None:
    project.push()
    change(project, "two")
    with holding(project) as holder:
        done = project.push("unlock", "2", "--why", "the runner is gone", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "version": 1,
            "event": "unlocked",
            "target": "production",
            "number": 2,
            "why": "the runner is gone",
        }
        assert project.push("unlock", "production", "2", "--why", "twice").returncode == 6
        let_go(project)
        _, err = holder.communicate(timeout=30)
    assert holder.returncode == 9, err
    assert live(project) == "<h1>one</h1>\n"
    last = project.push("log").stdout.splitlines()[-1]
    assert "unlocked by " in last
    assert last.endswith(": the runner is gone")
    assert project.push().returncode == 0
    assert live(project) == "two"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["unlock", "7", "--why", "x"], 6),
        (["unlock", "1", "--why", "x"], 6),
        (["unlock", "1"], 2),
        (["unlock", "--why", "x"], 2),
        (["unlock", "1", "--why", " "], 2),
        (["unlock", "0", "--why", "x"], 2),
        (["unlock", "1x", "--why", "x"], 2),
        (["unlock", "production", "other", "1", "--why", "x"], 2),
        (["rollback", "production", "1", "2"], 2),
        (["hold"], 2),
        (["hold", "-m", ""], 2),
        (["--wait", "-1"], 2),
        (["--wait", "5", "status"], 2),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_its_exit_code(project: Project, line: list[str], code: int) -> None:
    project.push()
    done = project.push(*line)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_who_waits_and_is_unlocked_by_somebody_is_told_so(project: Project) -> None:
    with holding(project) as holder:
        change(project, "two")
        with start(project, "--wait", "60") as waiter:
            said(waiter, "waiting: ")
            assert project.push("unlock", "2", "--why", "it is not needed").returncode == 0
            out, err = waiter.communicate(timeout=30)
        assert (waiter.returncode, out) == (9, "")
        assert "push: push 2 lost its place in the queue\n  hint: look at it: push status" in err
        let_go(project)
        holder.communicate(timeout=30)
    assert holder.returncode == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("status", "does not know what is live"),
        ("log", "does not know what is live"),
        ("diff", "cannot look into what is live"),
        ("--repair", "cannot look into what is live"),
        ("hold -m x", "keeps no queue"),
        ("release", "keeps no queue"),
        ("unlock 1 --why x", "keeps no queue"),
        ("--prepare-only", "cannot prepare a release"),
        ("switch 1", "cannot prepare a release"),
        ("resume", "cannot resume a push"),
    ],
)
def test_what_a_strategy_cannot_do_is_said_by_its_name(project: Project, line: str, words: str) -> None:
    project.write(production='strategy = "script"\nrun = "touch ../../pushed"')
    done = project.push(*line.split())
    assert done.returncode == 2
    assert f"the script strategy {words}" in done.stderr


def test_a_push_that_was_killed_gives_its_turn_to_the_next(project: Project) -> None:
    project.push()
    change(project, "two")
    with holding(project) as holder:
        holder.kill()
        holder.wait()
        assert "push 2 by " in project.push("status").stdout
        let_go(project)
        done = project.push()
    assert done.returncode == 0, done.stderr
    assert live(project) == "two"
    assert " died" in project.push("log").stdout
