"""``push check --deep`` and ``push --repair``."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.project import Project


@pytest.fixture
def live(project: Project) -> Path:
    """A live release that somebody has altered, without another size or date."""
    assert project.push().returncode == 0
    live = project.root.parent / "live/current"
    (live / "index.html").write_text("<h1>0ne</h1>\n")
    (live / "about.txt").unlink()
    (live / "css/foreign.css").write_text("")
    return live.resolve()


def test_a_release_as_it_was_pushed_is_ok(project: Project) -> None:
    assert project.push("check", "--deep").returncode == 0
    project.push()
    done = project.push("check", "--deep")
    assert done.returncode == 0, done.stdout
    assert "4 paths are as they were pushed (by sha256)\n" in done.stdout


def test_what_is_altered_missing_or_foreign_is_found(project: Project, live: Path) -> None:
    assert project.push("check").returncode == 0
    done = project.push("check", "--deep")
    assert done.returncode == 7
    assert f"error    production: releases/{live.name}/index.html: altered: content differs\n" in done.stdout
    assert f"error    production: releases/{live.name}/about.txt: missing\n" in done.stdout
    assert f"warning  production: releases/{live.name}/css/foreign.css: foreign" in done.stdout
    assert "hint: send them again: push --repair" in done.stdout
    assert "2 errors on production" in done.stderr


def test_another_mode_and_another_kind_are_found(project: Project) -> None:
    project.push()
    live = project.root.parent / "live/current"
    (live / "index.html").chmod(0o600)
    (live / "about.txt").unlink()
    (live / "about.txt").symlink_to("index.html")
    out = project.push("check", "--deep").stdout
    assert "index.html: altered: mode 644 becomes 600\n" in out
    assert "about.txt: altered: was a file, is a symlink\n" in out


def test_repair_sends_what_is_not_as_it_was_pushed_and_only_that(project: Project, live: Path) -> None:
    assert "nothing to do" in project.push().stderr
    plan = project.push("plan", "--repair").stdout
    assert "replace  index.html" in plan
    assert "add      about.txt" in plan
    assert "remove   css/foreign.css" in plan
    assert "site.css  (" not in plan
    done = project.push("--repair", "--yes")
    assert done.returncode == 0, done.stderr
    assert "2 files," in done.stderr.splitlines()[-1]
    current = project.root.parent / "live/current"
    assert (current / "index.html").read_text() == "<h1>one</h1>\n"
    assert (current / "about.txt").exists()
    assert not (current / "css/foreign.css").exists()
    assert project.push("check", "--deep").returncode == 0
    assert "nothing to do" in project.push("--repair").stderr


def test_a_strategy_that_cannot_look_into_what_is_live_warns(project: Project) -> None:
    project.acme(production="well")
    done = project.push("check", "--deep")
    assert done.returncode == 0
    assert "warning  production: target: the acme strategy cannot compare" in done.stdout
