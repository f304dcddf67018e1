"""``push diff``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli.project import Project


@pytest.fixture
def live(project: Project) -> Path:
    """The live release, of which the project has changed."""
    (project.root / "gone.txt").write_text("a\nb\n")
    (project.root / "run").write_text("#!/bin/sh\n")
    (project.root / "run").chmod(0o644)
    assert project.push().returncode == 0
    (project.root / "gone.txt").unlink()
    (project.root / "run").chmod(0o755)
    (project.root / "new.txt").write_text("new\n")
    (project.root / "index.html").write_text("<h1>two</h1>\n")
    return project.root.parent / "live/current"


def test_each_path_that_differs_is_a_line(project: Project, live: Path) -> None:
    done = project.push("diff")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == [
        "add      new.txt  (new)",
        "mode     run  (mode 644 becomes 755)",
        "remove   gone.txt  (no longer in the project)",
        "replace  index.html  (content differs)",
    ]
    assert "production: 4 paths differ\n" in done.stderr
    assert (live / "index.html").read_text() == "<h1>one</h1>\n"


def test_the_exit_code_tells_of_a_difference_when_it_is_asked_to(project: Project, live: Path) -> None:
    assert project.push("diff", "--exit-code").returncode == 1
    project.push()
    done = project.push("diff", "--exit-code", "production")
    assert (done.returncode, done.stdout) == (0, "")
    assert "production: nothing differs\n" in done.stderr


def test_the_text_of_what_differs_is_a_unified_diff(project: Project, live: Path) -> None:
    (project.root / "new.txt").write_text("new\tline\nno end")
    text = project.push("diff", "--text").stdout
    for part in (
        "--- live/index.html\n+++ new/index.html\n@@ -1 +1 @@\n-<h1>one</h1>\n+<h1>two</h1>\n",
        "--- live/new.txt\n+++ new/new.txt\n@@ -0,0 +1,2 @@\n+new\tline\n+no end\n\\ No newline at end of file\n",
        "--- live/gone.txt\n+++ new/gone.txt\n@@ -1,2 +0,0 @@\n-a\n-b\n",
    ):
        assert part in text
    assert "live/run" not in text


def test_binary_large_and_secret_files_are_only_named(project: Project, live: Path) -> None:
    hidden = {
        "image.bin": b"\0\1\2",
        "latin.txt": b"caf\xe9",
        "large.txt": b"line\n" * 100_000,
        ".env": b"hidden-a",
        "deploy.pem": b"hidden-b",
        "config/master.key": b"hidden-c",
        "keys/deploy": b"-----BEGIN OPENSSH PRIVATE KEY-----\nhidden-d",
        "db-password.txt": b"hidden-e",
    }
    for name, content in hidden.items():
        path = project.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    out = project.push("diff", "--text").stdout
    assert "hidden-" not in out
    for name in hidden:
        assert f"add      {name}  (new)\n         not shown: " in out


def test_what_is_live_cannot_take_the_terminal_over(project: Project, live: Path) -> None:
    (live / "index.html").write_text("\x1b]0;evil\x07\r\u202eone\n")
    out = project.push("diff", "--text").stdout
    assert "-\\x1b]0;evil\\x07\\r\\u202eone\n" in out
    assert "\x1b" not in out


def test_what_was_replaced_on_the_target_by_a_link_is_not_read(project: Project, live: Path) -> None:
    secret = project.root.parent / "outside"
    secret.write_text("not to be read\n")
    (live / "index.html").unlink()
    os.symlink(secret, live / "index.html")
    done = project.push("diff", "--text")
    assert done.returncode == 0
    assert "not to be read" not in done.stdout
    assert "not shown: index.html is no file of what is live" in done.stdout


def test_the_diff_as_json(project: Project, live: Path) -> None:
    changes = [json.loads(line) for line in project.push("diff", "--text", "--json").stdout.splitlines()]
    changes = [each for each in changes if each["event"] == "change"]
    (index,) = [each for each in changes if each["step"]["subject"] == "index.html"]
    assert index["step"]["action"] == "replace"
    assert index["text"][-2:] == ["-<h1>one</h1>", "+<h1>two</h1>"]


def test_before_the_first_push_everything_is_new(project: Project) -> None:
    done = project.push("diff")
    assert done.stdout.splitlines() == [
        "add      about.txt  (new)",
        "add      css/  (new)",
        "add      css/site.css  (new)",
        "add      index.html  (new)",
    ]
