"""``push [TARGET...]``."""

from __future__ import annotations

import json

import pytest

from cli.project import PUSH, Project
from cli.terminal import Terminal
from repository import commit, git


def test_a_push_puts_the_project_where_it_runs_and_names_the_release_on_stdout(project: Project) -> None:
    done = project.push("production")
    assert done.returncode == 0, done.stderr
    release = done.stdout.strip()
    live = project.root.parent / "live" / "current"
    assert live.readlink().name == release
    assert (live / "css" / "site.css").read_text() == "h1 { color: red }\n"
    assert f"pushed {release} to production: 3 files" in done.stderr


def test_a_bare_push_takes_the_sole_target_from_any_directory_below(project: Project) -> None:
    done = project.push(directory="css")
    assert done.returncode == 0, done.stderr
    assert (project.root.parent / "live" / "current" / "index.html").exists()


def test_a_push_of_nothing_new_names_what_is_live(project: Project) -> None:
    first = project.push()
    second = project.push()
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert second.stderr.splitlines()[-1] == f"nothing to do on production: {first.stdout.strip()} is live"


def test_a_second_push_sends_what_changed(project: Project) -> None:
    project.push()
    (project.root / "index.html").write_text("<h1>two</h1>\n")
    done = project.push()
    assert ": 1 file, 13 B in " in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-f", "Pushfile.other", "staging"],
        ["staging", "-f", "Pushfile.other"],
        ["staging", "--file", "Pushfile.other"],
        ["-q", "push", "staging", "-f", "Pushfile.other"],
    ],
    ids=" ".join,
)
def test_options_stand_before_or_after_the_target(project: Project, arguments: list[str]) -> None:
    project.acme(staging="well")
    (project.root / "Pushfile").rename(project.root / "Pushfile.other")
    done = project.push(*arguments)
    assert (done.returncode, done.stdout) == (0, "000002-acme\n"), done.stderr


def test_several_targets_are_pushed_in_order(project: Project) -> None:
    project.acme(one="well", two="nothing")
    done = project.push("two", "one", "two")
    assert (done.returncode, done.stdout) == (0, "000001-acme\n000002-acme\n")


def test_several_targets_are_all_validated_before_the_first_is_pushed(project: Project) -> None:
    project.write(good='strategy = "dir"\npath = "../live"', bad='strategy = "dir"')
    done = project.push("good", "bad")
    assert done.returncode == 3
    assert not (project.root.parent / "live").exists()


def test_the_first_failure_stops_and_says_what_was_not_started(project: Project) -> None:
    project.acme(a="well", b="unreachable", c="well", d="well")
    done = project.push("a", "b", "c", "d")
    assert (done.returncode, done.stdout) == (7, "000002-acme\n")
    assert done.stderr.splitlines()[-3:] == [
        "push: acme.example.com cannot be reached",
        "  hint: is it on?",
        "  not started: c, d",
    ]


def test_several_targets_without_a_default_have_to_be_named(project: Project) -> None:
    project.acme(a="well", b="well")
    done = project.push()
    assert done.returncode in {2, 3}
    assert "a, b" in done.stderr or '"a"' in done.stderr


def test_an_unusual_number_of_removals_needs_a_yes_and_names_the_flag(project: Project) -> None:
    project.acme(production="remove")
    done = project.push()
    assert (done.returncode, done.stdout) == (6, "")
    assert "--yes" in done.stderr
    assert project.push("--yes").returncode == 0
    assert project.push("production", "--yes").returncode == 0


def test_who_says_no_to_an_unusual_number_of_removals_changes_nothing(project: Project) -> None:
    project.acme(production="remove")
    with Terminal([PUSH], project.root, project.environment) as terminal:
        terminal.wait_for("3 of the 4 paths that are live on production would be removed. Go on?")
        terminal.type("n\n")
        assert terminal.end()[0] == 6
        assert "3 removals on production were not confirmed; nothing changed" in terminal.seen


def test_the_hosts_of_a_target_that_is_one_cannot_be_listed(project: Project) -> None:
    done = project.push("hosts", "production")
    assert done.returncode == 2
    assert "production is not many hosts" in done.stderr
    assert "`hosts` in the Pushfile" in done.stderr


def test_json_is_events_that_end_with_the_receipt(project: Project) -> None:
    done = project.push("production", "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(event["version"] == 1 and event["target"] == "production" for event in events)
    names = [event["event"] for event in events]
    assert names[:2] == ["snapshot-taken", "plan-ready"]
    assert names[-1] == "push-finished"
    assert events[-1]["receipt"]["outcome"] == "done"
    assert events[-1]["receipt"]["release"]["id"] == events[-1]["receipt"]["live"]


def test_json_of_a_failure_ends_with_the_receipt_that_says_so(project: Project) -> None:
    project.acme(production="several")
    done = project.push("--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "push-finished"
    assert events[-1]["receipt"]["outcome"] == "failed"
    assert len(events[-1]["receipt"]["failed"]) == 3


def test_json_of_an_error_before_the_push_is_an_error_event(project: Project) -> None:
    project.write(production='strategy = "dir"')
    done = project.push("--json")
    (event,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (event["event"], event["exit_code"]) == ("error", 3)
    assert event["problems"][0]["path"].startswith("target.production")
    assert done.stderr


def test_a_target_within_the_project_is_refused_before_it_pushes_itself(project: Project) -> None:
    project.write(here='strategy = "dir"\npath = "deploy"')
    assert project.push().returncode == 0
    (project.root / "index.html").write_text("two")
    done = project.push()
    assert done.returncode == 6
    assert "add /deploy/ to .pushignore" in done.stderr
    (project.root / ".pushignore").write_text("/deploy/\n")
    assert project.push().returncode == 0
    assert not (project.root / "deploy/current/deploy").exists()


def test_a_project_of_no_files_is_not_pushed(project: Project) -> None:
    project.write(production='strategy = "dir"\npath = "../live"\nignore = ["*"]')
    done = project.push()
    assert (done.returncode, done.stdout) == (6, "")
    assert "push: there is no file to push in '.'; nothing was sent\n" in done.stderr
    assert "hint: see what the ignore rules leave: push files" in done.stderr
    assert not (project.root.parent / "live").exists()


def test_the_times_of_files_in_a_commit_cannot_be_kept(project: Project) -> None:
    project.write(production='strategy = "dir"\npath = "../live"\nmtimes = true')
    file = project.root / "Pushfile"
    file.write_text('[project]\nsource = "git:HEAD"\n' + file.read_text())
    git(project.root, "init", "-q")
    commit(project.root)
    done = project.push()
    assert done.returncode == 6
    assert "push: files in a commit have no times that `mtimes` could keep; nothing was sent\n" in done.stderr
    assert "hint: leave out `mtimes`, or push the directory" in done.stderr
