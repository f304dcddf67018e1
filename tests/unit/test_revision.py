"""The commit a directory is at, and whether it is dirty."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pushkit.model import Project
from pushkit.revision import origin
from pushkit.snapshot import take


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    (directory / "sub").mkdir(parents=True)
    git(directory, "init", "-q")
    return directory


def git(top: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    command = ["git", "-C", str(top), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(top: Path) -> str:
    git(top, "add", "-A")
    git(top, "commit", "-q", "--allow-empty", "-m", "m")
    return git(top, "rev-parse", "HEAD")


def test_a_clean_work_tree_is_at_its_commit(top: Path) -> None:
    (top / "a").write_text("1")
    assert origin(str(top)) == ("", False)
    assert origin(str(top)) == ("", False)
    name = commit(top)
    assert origin(str(top)) == (name, False)


def test_a_changed_and_an_untracked_file_make_it_dirty_below_the_source_only(top: Path) -> None:
    (top / "a").write_text("1")
    (top / "sub" / "b").write_text("1")
    name = commit(top)
    git(top, "config", "status.showUntrackedFiles", "no")
    (top / "new\nname").write_text("1")
    assert origin(str(top)) == (name, True)
    assert origin(str(top / "sub")) == (name, False)
    (top / "sub" / "b").write_text("2")
    assert origin(str(top / "sub")) == (name, True)


def test_ignored_files_do_not_make_it_dirty(top: Path) -> None:
    (top / ".gitignore").write_text("*.log\n")
    name = commit(top)
    (top / "a.log").write_text("1")
    assert origin(str(top)) == (name, False)


def test_without_a_repository_or_without_git_there_is_no_commit(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    assert origin(str(outside)) == ("", False)
    commit(top)
    monkeypatch.setenv("PATH", str(outside))
    assert origin(str(top)) == ("", False)


def test_a_snapshot_names_its_revision(top: Path) -> None:
    (top / "a").write_text("1")
    name = commit(top)
    snapshot = take(Project("p", top / "Pushfile", top, ".", (), "", {}))
    assert snapshot.revision.short == name[:7]
    assert snapshot.revision.digest == snapshot.digest
    (top / "a").write_text("2")
    assert take(Project("p", top / "Pushfile", top, ".", (), "", {})).revision.short == name[:7] + "-dirty"
