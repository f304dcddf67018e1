"""``push --prepare-only`` and ``push switch``."""

from __future__ import annotations

import json

from cli.project import Project


def prepare(project: Project, text: str) -> str:
    (project.root / "index.html").write_text(text)
    done = project.push("--prepare-only")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def live(project: Project) -> str:
    return (project.root.parent / "live/current/index.html").read_text()


def test_a_prepared_release_is_complete_and_live_once_it_is_switched_to(project: Project) -> None:
    first = project.push().stdout.strip()
    second = prepare(project, "two")
    assert live(project) == "<h1>one</h1>\n"
    assert (project.root.parent / "live/releases" / second / "index.html").read_text() == "two"
    assert [line[:2] + line.split()[-1] for line in project.push("status").stdout.splitlines()[2:]] == ["  prepared"]
    status = json.loads(project.push("status", "--json").stdout)
    assert (status["live"], [each["id"] for each in status["prepared"]]) == (first, [second])
    done = project.push("switch", second)
    assert (done.returncode, done.stdout) == (0, second + "\n"), done.stderr
    assert live(project) == "two"
    status = json.loads(project.push("status", "--json").stdout)
    assert (status["live"], status["prepared"]) == (second, [])
    assert [each["id"] for each in status["releases"]] == [first, second]


def test_a_switch_to_what_is_live_does_nothing(project: Project) -> None:
    first = project.push().stdout.strip()
    assert project.push("--prepare-only").stdout.strip() == first
    done = project.push("switch", "production", first)
    assert (done.returncode, done.stdout) == (0, first + "\n")
    assert len(project.push("log").stdout.splitlines()) == 1


def test_the_first_release_can_be_prepared(project: Project) -> None:
    release = prepare(project, "one")
    assert not (project.root.parent / "live/current").exists()
    assert project.push("status").stdout.startswith("production: nothing is live\n")
    assert project.push("switch", release).returncode == 0
    assert live(project) == "one"


def test_rollback_goes_back_to_what_was_live_before_the_switch(project: Project) -> None:
    project.push()
    prepared = prepare(project, "prepared")
    (project.root / "index.html").write_text("between")
    between = project.push("-v").stdout.strip()
    assert live(project) == "between"
    # A push that goes live takes away what was prepared before it.
    done = project.push("switch", prepared)
    assert done.returncode == 6
    assert between in done.stderr
    later = prepare(project, "later")
    assert project.push("switch", later).returncode == 0
    done = project.push("rollback")
    assert (done.returncode, done.stdout) == (0, between + "\n"), done.stderr


def test_what_is_prepared_stays_while_it_is_newer_than_what_is_live(project: Project) -> None:
    project.write(production='strategy = "dir"\npath = "../live"\nkeep = 1')
    project.push()
    two, three = prepare(project, "two"), prepare(project, "three")
    assert project.push("switch", two).returncode == 0
    assert project.push("switch", three).returncode == 0
    assert live(project) == "three"
    assert project.push("rollback").stdout.strip() == two


def test_a_switch_that_was_not_prepared_is_refused_and_names_what_there_is(project: Project) -> None:
    first = project.push().stdout.strip()
    for wanted in ("000009-20260101T000000Z-abc", "nonsense"):
        done = project.push("switch", "production", wanted)
        assert done.returncode == 6
        assert first in done.stderr
    assert project.push("switch").returncode == 2


def test_the_plan_of_what_is_only_prepared_has_no_switch(project: Project) -> None:
    project.push()
    (project.root / "index.html").write_text("two")
    for line in (["plan", "--prepare-only"], ["--dry-run", "--prepare-only"], ["--prepare-only", "plan"]):
        done = project.push(*line)
        assert "replace" in done.stdout, done.stderr
        assert "switch" not in done.stdout


def test_the_receipt_of_a_prepared_release_says_so(project: Project) -> None:
    done = project.push("--prepare-only", "--json")
    receipt = json.loads(done.stdout.splitlines()[-1])["receipt"]
    assert (receipt["outcome"], receipt["live"]) == ("prepared", "")
    assert receipt["release"]["id"].startswith("000001-")


def test_commands_of_the_target_run_around_a_switch_and_not_while_it_is_prepared(project: Project) -> None:
    commands = 'before_switch = "echo before >> ../../../ran"\nafter_switch = "echo after >> ../../../ran"'
    project.write(production=f'strategy = "dir"\npath = "../live"\n{commands}')
    ran = project.root.parent / "ran"
    release = prepare(project, "one")
    assert not ran.exists()
    assert project.push("switch", release).returncode == 0
    assert ran.read_text() == "before\nafter\n"


def test_a_switch_whose_command_fails_goes_back(project: Project) -> None:
    project.push()
    project.write(production='strategy = "dir"\npath = "../live"\nafter_switch = "false"')
    release = prepare(project, "two")
    done = project.push("switch", release)
    assert done.returncode == 8, done.stderr
    assert live(project) == "<h1>one</h1>\n"
    assert json.loads(project.push("status", "--json").stdout)["queue"] == []
