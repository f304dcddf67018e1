"""docs/json.md: every line that ``--json`` writes has its fields there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from cli.project import Project
from pushkit import events
from pushkit.ui.jsonl import event_name

PAGE = Path(__file__).parents[2] / "docs/json.md"


def documented() -> dict[str, set[str]]:
    """The fields of each event of the page."""
    table = {}
    for names, described in re.findall(r"^\|[^|]*\|([^|]*)\|([^|]*)\|$", PAGE.read_text(), re.MULTILINE):
        for name in re.findall(r"`([a-z-]+)`", names):
            table[name] = set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", described)))
    return table


def test_every_event_of_a_push_is_documented_with_its_fields() -> None:
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    page = documented()
    for kind in kinds:
        # Steps that come together are told one by one to who did not ask for that.
        if kind not in {events.Event, events.StepsPassed}:
            assert page[event_name(kind)] == set(kind.__struct_fields__)


def test_the_lines_of_every_command_have_the_fields_of_the_page(project: Project) -> None:
    page = documented()
    seen = set()
    project.acme(production="unfit")
    for line in (
        "check",
        "check --bogus",
        "files",
        "files --du",
        "files --why index.html",
        "targets",
        "plugins",
        "plugins new chat",
        "explain acme",
        "explain --observer slack",
        "schema --write",
        "init -f other --strategy dir --set path=x",
    ):
        lines: list[dict[str, Any]] = list(map(json.loads, project.push(*line.split(), "--json").stdout.splitlines()))
        assert lines, line
        for each in lines:
            assert each.pop("version") == 1
            event = each.pop("event")
            assert set(each) == page[event], event
            seen.add(event)
    project.write(production='strategy = "dir"\npath = "../live"')
    for line in ("push", "status", "log", "report", "hold -m no", "release", "diff"):
        for text in project.push(*line.split(), "--json").stdout.splitlines():
            each = json.loads(text)
            assert set(each) - {"version", "event"} == page[each["event"]]
            seen.add(each["event"])
        (project.root / "about.txt").write_text("it differs\n")
    project.write(
        production='strategy = "dir"\npath = "../live"', fleet='strategy = "sftp"\nhosts = ["web1"]\npath = "x"'
    )
    (host,) = map(json.loads, project.push("hosts", "fleet", "--json").stdout.splitlines())
    assert set(host) - {"version", "event"} == page["host"]
    seen.add("host")
    project.write(production='strategy = "dir"\npath = "../live"')
    prepared = project.push("--prepare-only").stdout.strip()
    *_, switched = map(json.loads, project.push("switch", prepared, "--json").stdout.splitlines())
    assert set(switched) - {"version", "event"} == page["switched"]
    (project.root / "index.html").write_text("two\n")
    assert project.push().returncode == 0
    *_, back = map(json.loads, project.push("rollback", "--json").stdout.splitlines())
    assert set(back) - {"version", "event"} == page["rolled-back"]
    (project.root / "old.env").write_text("NAME=some value\n")
    for line, given in (
        ("init --name me", ""),
        ("set token", "hunter2"),
        ("get token --yes", ""),
        ("key", ""),
        ("list", ""),
        ("import old.env", ""),
        ("edit", ""),
        ("rekey", ""),
        ("recipients add ci age1dxpxmkly6zts5x74fql5kj0w92knvx84qjknp7n5v8te8pgmns9sv0cu2z", ""),
        ("recipients list", ""),
        ("recipients rm ci --yes", ""),
        ("doctor", ""),
        ("rm token", ""),
    ):
        done = project.push("secrets", *line.split(), "--json", given=given, EDITOR="true", VISUAL="")
        assert done.returncode == 0, done.stderr
        for text in done.stdout.splitlines():
            each = json.loads(text)
            assert set(each) - {"version", "event"} == page[each["event"]], line
            seen.add(each["event"])
    kinds = {event_name(kind) for kind in vars(events).values() if isinstance(kind, type)}
    # What ends a push of somebody else is tried in test_queue.py and test_resume.py.
    assert {*seen, "rolled-back", "switched", "unlocked", "resumed"} | kinds >= set(page)
