"""Observers hear of pushes, and can neither stop nor delay them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cli.project import Project
from distributions import install

LISTENER = """
import json, time
from pathlib import Path
from typing import Annotated
from msgspec import Meta
from pushkit import Observer, Options, Secret, hookimpl

class ChatOptions(Options):
    file: Annotated[str, Meta(description="Where to write.")]
    do: Annotated[str, Meta(description="What to do.")] = "well"
    token: Annotated[Secret, Meta(description="Not to be seen.")] = Secret("none")

class Chat(Observer[ChatOptions]):
    name = "chat"
    Options = ChatOptions

    def __init__(self, options, project):
        super().__init__(options, project)
        if options.do == "born wrong":
            raise ValueError("no connection with " + options.token.reveal())

    def hear(self, event):
        if self.options.do == "raise":
            raise ValueError("no connection with " + self.options.token.reveal())
        if self.options.do == "hang":
            time.sleep(600)
        if self.options.do == "exit":
            raise SystemExit(5)
        with open(self.options.file, "a") as file:
            receipt = getattr(event, "receipt", None)
            outcome = receipt.outcome if receipt else ""
            print(json.dumps([type(event).__name__, outcome, receipt.error if receipt else ""]), file=file)

@hookimpl
def pushkit_observer():
    return Chat
"""


@pytest.fixture
def heard(project: Project, tmp_path: Path) -> Path:
    install(tmp_path / "site", "acme-chat", {"acme_chat": LISTENER}, {"observers:chat": "acme_chat"})
    project.environment["CHAT_TOKEN"] = "s3cr3t-t0ken"
    return tmp_path / "heard"


def notify(project: Project, heard: Path, strategy: str, do: str) -> None:
    (project.root / "Pushfile").write_text(
        f"[target.here]\n{strategy}\n[notify.team]\nobserver = 'chat'\nfile = '{heard}'\ndo = '{do}'\n"
        "token = '${env:CHAT_TOKEN}'\n"
    )


def events(heard: Path) -> list[list[str]]:
    return [json.loads(line) for line in heard.read_text().splitlines()]


def test_a_push_is_told_from_snapshot_to_receipt(project: Project, heard: Path) -> None:
    notify(project, heard, "strategy = 'dir'\npath = '../live'", "well")
    assert project.push().returncode == 0
    assert [name for name, _, _ in events(heard)] == ["SnapshotTaken", "PlanReady", "PushStarted", "PushFinished"]
    assert events(heard)[-1][1] == "done"


def test_a_failure_is_told_too(project: Project, heard: Path) -> None:
    notify(project, heard, "strategy = 'acme'\ndo = 'unreachable'", "well")
    assert project.push().returncode == 7
    assert events(heard)[-1] == ["PushFinished", "failed", "acme.example.com cannot be reached"]


@pytest.mark.parametrize(
    ("do", "says"),
    [
        ("raise", "team failed: ValueError: no connection"),
        ("hang", "left behind"),
        ("exit", "team failed: SystemExit: 5"),
        ("born wrong", "team failed: ValueError: no connection with [secret:env:CHAT_TOKEN]"),
    ],
)
def test_an_observer_that_fails_or_hangs_changes_nothing(project: Project, heard: Path, do: str, says: str) -> None:
    notify(project, heard, "strategy = 'dir'\npath = '../live'", do)
    start = time.monotonic()
    done = project.push()
    assert done.returncode == 0
    assert (project.root.parent / "live/current/index.html").exists()
    assert says in done.stderr
    assert "s3cr3t-t0ken" not in done.stderr + done.stdout
    assert time.monotonic() - start < 60


def test_a_secret_of_an_observer_whose_source_hangs_delays_no_push(project: Project, heard: Path) -> None:
    notify(project, heard, "strategy = 'dir'\npath = '../live'", "raise")
    file = project.root / "Pushfile"
    there = project.root.parent / "live/current"
    # It ends once the push is live: were it waited for, it never would.
    vault = project.root.parent / "vault"
    vault.write_text(f"#!/bin/sh\nuntil [ -e {there} ]; do sleep 0.05; done\necho s3cr3t-t0ken\n")
    vault.chmod(0o755)
    file.write_text(file.read_text().replace("${env:CHAT_TOKEN}", f"${{command:{vault}}}"))
    done = project.push()
    assert done.returncode == 0, done.stderr
    assert f"team failed: ValueError: no connection with [secret:command:{vault}]" in done.stderr


def test_wrong_options_of_an_observer_are_a_problem_of_the_pushfile(project: Project, heard: Path) -> None:
    notify(project, heard, "strategy = 'dir'\npath = '../live'", "well")
    with (project.root / "Pushfile").open("a") as file:
        file.write("fiel = 'x'\n")
    done = project.push()
    assert done.returncode == 3
    assert "notify.team.fiel" in done.stderr


def test_a_plan_tells_nobody(project: Project, heard: Path) -> None:
    notify(project, heard, "strategy = 'dir'\npath = '../live'", "well")
    assert project.push("plan").returncode == 0
    assert not heard.exists()
