"""``push log``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.project import Project


@pytest.fixture
def log(project: Project) -> Path:
    """The log of a target with two releases and a rollback."""
    project.push()
    (project.root / "index.html").write_text("two")
    project.push()
    project.push("rollback")
    return project.root.parent / "live/.push/log"


def test_the_log_names_each_push_the_newest_last(project: Project, log: Path) -> None:
    lines = project.push("log").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert [line.split()[-1] for line in lines] == ["good", "good", "back"]
    assert all("@" in line for line in lines)
    assert project.push("log", "production", "-n", "1").stdout.splitlines() == lines[-1:]
    assert project.push("log", "-n", "9").stdout.splitlines() == lines


def test_the_log_as_json(project: Project, log: Path) -> None:
    first, second, third = map(json.loads, project.push("log", "--json").stdout.splitlines())
    assert [each["number"] for each in (first, second, third)] == [1, 2, 3]
    assert (third["why"], third["outcome"]) == ("rollback", "rolled back")
    assert (third["release"], third["previous"]) == (first["release"], second["release"])


def test_damaged_lines_are_left_out_and_told(project: Project, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    damaged = [b"{\n", b"\xff\n", b"[" * 100_000 + b"\n", b'{"number": true}\n', lines[1][:40] + b"\n"]
    log.write_bytes(b"".join([lines[0], *damaged, *lines[1:]]) + lines[0][:30])
    done = project.push("log")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["1", "2", "3"]
    assert "damaged lines of the log are left out: 6" in done.stderr


def test_what_the_log_says_cannot_take_the_terminal_over(project: Project, log: Path) -> None:
    record = json.loads(log.read_text().splitlines()[0])
    evil = json.dumps(record | {"who": "\x1b[2J\nx", "outcome": "\u202egood"})
    log.write_text(evil + "\n")
    (line,) = project.push("log").stdout.splitlines()
    assert "\\x1b[2J\\nx" in line
    assert "\\u202egood" in line


def test_a_target_without_pushes_has_an_empty_log(project: Project) -> None:
    done = project.push("log")
    assert (done.returncode, done.stdout) == (0, "")
