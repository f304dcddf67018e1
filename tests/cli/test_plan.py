"""``push plan`` and ``push --dry-run``."""

from __future__ import annotations

import json

import pytest

from cli.project import Project


@pytest.mark.parametrize(
    "arguments",
    [["plan"], ["plan", "production"], ["--dry-run"], ["production", "--dry-run"], ["--dry-run", "plan"]],
    ids=" ".join,
)
def test_a_plan_is_on_stdout_and_changes_nothing(project: Project, arguments: list[str]) -> None:
    done = project.push(*arguments)
    assert done.returncode == 0, done.stderr
    *steps, summary = done.stdout.splitlines()
    assert any(step.startswith("add      css/site.css  (") for step in steps)
    assert summary.startswith("production: ")
    assert "to add" in summary
    assert not (project.root.parent / "live").exists()


def test_a_plan_of_nothing_to_do_says_what_stays(project: Project) -> None:
    project.acme(production="nothing")
    assert project.push("plan").stdout == "production: nothing to do, 3 kept\n"


def test_a_plan_as_json_is_an_event(project: Project) -> None:
    done = project.push("plan", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["snapshot-taken", "plan-ready"]
    assert any(step["subject"] == "index.html" and step["reason"] for step in events[1]["plan"]["steps"])


def test_a_dry_run_of_another_command_is_refused(project: Project) -> None:
    project.push()
    before = (project.root.parent / "live" / "current").readlink()
    done = project.push("--dry-run", "rollback")
    assert done.returncode == 2
    assert "--dry-run" in done.stderr
    assert (project.root.parent / "live" / "current").readlink() == before
