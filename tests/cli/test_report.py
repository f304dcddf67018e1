"""``push report``: from real pushes to a page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.project import Project

AFTER = "echo to be seen; cat up || { echo 'no such unit, says \"<b>systemd</b>\"' >&2; exit 3; }"


@pytest.fixture
def history(project: Project) -> Path:
    """The log of a target with a push, one that failed in its command on the host, and a rollback."""
    project.write(
        production=f'strategy = "dir"\npath = "../live"\nafter_switch = {json.dumps(AFTER)}',
        other='strategy = "script"\nrun = "true"',
    )
    (project.root / "up").write_text("well")
    assert project.push("--yes", "production").returncode == 0
    (project.root / "index.html").write_text("two")
    assert project.push("--yes", "production").returncode == 0
    (project.root / "up").unlink()
    assert project.push("--yes", "production").returncode == 8
    assert project.push("rollback", "production").returncode == 0
    return project.root.parent / "live/.push/log"


def test_a_page_is_written_that_tells_of_each_push_and_what_failed(project: Project, history: Path) -> None:
    done = project.push("report", "production")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote push-report-production.html\n")
    page = (project.root / "push-report-production.html").read_text()
    assert page.startswith("<!doctype html>\n")
    assert re.findall(r'id="push-(\d+)"', page) == ["4", "3", "2", "1"]
    assert re.findall(r'id="time-(\d+)"', page) == ["4", "3", "2", "1"]
    assert re.findall(r'id="failed-(\d+)"', page) == ["3"]
    assert 'after_switch: no such unit, says "&lt;b&gt;systemd&lt;/b&gt;"' in page
    live = json.loads(project.push("status", "production", "--json").stdout)["live"]
    assert f"<strong>{live}</strong> is live" in page
    # Where it lies in the project, it never travels.
    assert "push-report" not in project.push("files").stdout


def test_it_goes_to_standard_output_and_its_data_are_json(project: Project, history: Path) -> None:
    page = project.push("report", "production", "--output", "-").stdout
    assert page.startswith("<!doctype html>\n")
    assert page.endswith("</html>\n")
    (line,) = project.push("report", "production", "--json").stdout.splitlines()
    record = json.loads(line)
    assert (record["event"], record["version"], record["target"]) == ("report", 1, "production")
    assert record["status"]["live"] == record["log"][0]["release"]
    pushed, _, failed, back = record["log"]
    assert [each["name"] for each in pushed["phases"]] == [
        "connect", "snapshot", "plan", "send", "verify", "switch", "after switch"
    ]  # fmt: skip
    assert not pushed["output"]
    assert 'after_switch: no such unit, says "<b>systemd</b>"' in failed["output"]
    assert [each["name"] for each in back["phases"]] == ["connect", "switch", "after switch"]
    assert not list(project.root.glob("push-report*"))
    refused = project.push("report", "production", "--json", "-o", "page.html")
    assert (refused.returncode, "--json writes no page" in refused.stderr) == (2, True)


def test_what_keeps_no_log_is_told_and_so_is_what_cannot_be_written(project: Project, history: Path) -> None:
    done = project.push("report", "other")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the script strategy does not know what is live on its target" in done.stderr
    done = project.push("report", "production", "-o", "no/such/page.html")
    assert done.returncode == 2
    assert "no/such/page.html cannot be written: No such file or directory" in done.stderr


def test_a_log_of_before_is_read_and_one_that_lies_costs_no_push_its_place(project: Project, history: Path) -> None:
    first = json.loads(history.read_text().splitlines()[0])
    old = {key: first[key] for key in first if key not in {"size", "phases", "at", "laps", "output"}}
    lies = {
        "phases": [
            ["send", -1, 2],
            ["send", 1, float("inf")],
            "send",
            [["send"], 1, 2],
            ["x" * 300, 1, 2],
            ["ok", 1, 2],
        ],
        "laps": "start one send 2 verify",
        "at": [],
        "output": ["seen", 3, "x" * 10_000],
        "size": True,
    }
    ends = {"ended": "0001-01-01T00:00:00+14:00"}, {"ended": "9999-12-31T23:59:59-12:00"}
    more = {"number": 3, "size": 10**400, "output": [""] * 100_000, "outcome": "failed"}
    lines = [old, {**old, "number": 2, **lies}, {**old, **more}, *({**old, "number": 4, **each} for each in ends)]
    history.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    told, line = project.push("report", "production", "--json").stdout.splitlines()
    assert "damaged lines of the log are left out: 2" in told
    before, lying, large = json.loads(line)["log"]
    assert (before["phases"], before["size"], before["output"]) == ([], 0, [])
    assert [(each["name"], each["began"], each["seconds"]) for each in lying["phases"]] == [("ok", 1.0, 2.0)]
    assert (lying["size"], lying["output"]) == (0, [])
    assert (large["size"], len(large["output"])) == (0, 4096)
    assert project.push("report", "production").returncode == 0


def test_a_target_without_pushes_has_a_page(project: Project) -> None:
    assert project.push("report").returncode == 0
    assert "There was no push yet." in (project.root / "push-report-production.html").read_text()
