"""``push resume``: a push that died while ``after_switch`` ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.holder import AFTER, holding, let_go
from cli.project import Project


@pytest.fixture
def dead(project: Project) -> Path:
    """The target of a push that was killed once its release was live and before its commands had ended."""
    project.push()
    (project.root / "index.html").write_text("two")
    with holding(project, AFTER) as holder:
        holder.kill()
        holder.wait()
        let_go(project)
    return project.root.parent / "live"


def test_a_push_after_it_is_refused_and_names_the_ways_on(project: Project, dead: Path) -> None:
    assert (dead / "current/index.html").read_text() == "two"
    assert "has begun to change what is live" in project.push("status").stdout
    (project.root / "index.html").write_text("three")
    done = project.push()
    assert done.returncode == 6, done.stderr
    for way in ("push resume", "push rollback", "push unlock 2 --why"):
        assert way in done.stderr


def test_a_push_of_the_same_project_is_refused_too(project: Project, dead: Path) -> None:
    done = project.push()
    assert done.returncode == 6, done.stderr
    assert "push resume" in done.stderr
    assert (dead / "current/index.html").read_text() == "two"
    (project.root.parent / "here").unlink()
    assert project.push("resume").returncode == 0
    again = project.push()
    assert again.returncode == 0
    assert "nothing to do" in again.stderr


def test_status_says_that_it_died(project: Project, dead: Path) -> None:
    assert "it has died" in project.push("status").stdout


@pytest.mark.parametrize("line", [["resume"], ["resume", "2"], ["resume", "production", "2"]], ids=" ".join)
def test_resume_runs_what_it_lacks_and_ends_it_well(project: Project, dead: Path, line: list[str]) -> None:
    (project.root.parent / "here").unlink()
    done = project.push(*line)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("000002-")
    assert (project.root.parent / "here").exists()
    status = json.loads(project.push("status", "--json").stdout)
    assert (status["queue"], status["live"]) == ([], done.stdout.strip())
    assert [each["id"] for each in status["releases"]][-1] == status["live"]
    done = project.push(*line)
    assert done.returncode == 6
    assert project.push("rollback").returncode == 0


def test_resume_as_json(project: Project, dead: Path) -> None:
    last = json.loads(project.push("resume", "--json").stdout.splitlines()[-1])
    assert set(last) == {"version", "event", "target", "release", "who"}
    assert last["event"] == "resumed"


def test_rollback_leaves_it(project: Project, dead: Path) -> None:
    assert project.push("rollback").returncode == 0
    assert (dead / "current/index.html").read_text() == "<h1>one</h1>\n"
    assert json.loads(project.push("status", "--json").stdout)["queue"] == []


def test_unlock_takes_it_as_it_is(project: Project, dead: Path) -> None:
    assert project.push("unlock", "2", "--why", "the cache is warm").returncode == 0
    (project.root / "index.html").write_text("three")
    assert project.push().returncode == 0
    assert (dead / "current/index.html").read_text() == "three"


def test_there_may_be_nothing_to_resume(project: Project) -> None:
    project.push()
    for line in (["resume"], ["resume", "1"], ["resume", "7"]):
        assert project.push(*line).returncode == 6
    assert project.push("resume", "0").returncode == 2
