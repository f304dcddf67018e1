"""The commit a directory is at, and whether it is dirty."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pushkit.errors import Interrupted
from pushkit.model import Project
from pushkit.revision import origin
from pushkit.snapshot import Snapshot, take
from repository import before_git, commit, git


def freeze(top: Path) -> Snapshot:
    return take(Project("p", top / "Pushfile", top, ".", (), "", {}))


def test_a_clean_work_tree_is_at_its_commit(top: Path) -> None:
    (top / "a").write_text("1")
    assert origin(str(top)) == ("", False)
    assert origin(str(top)) == ("", False)
    name = commit(top)
    assert origin(str(top)) == (name, False)


def test_a_changed_and_an_untracked_file_make_it_dirty_below_the_source_only(top: Path) -> None:
    name = commit(top, {"a": b"1", "sub/b": b"1"})
    git(top, "config", "status.showUntrackedFiles", "no")
    (top / "new\nname").write_text("1")
    assert origin(str(top)) == (name, True)
    assert origin(str(top / "sub")) == (name, False)
    (top / "sub" / "b").write_text("2")
    assert origin(str(top / "sub")) == (name, True)


def test_a_program_that_the_configuration_of_a_repository_names_to_watch_it_is_not_run(top: Path) -> None:
    name = commit(top, {"a": b"1"})
    watch = top.parent / "watch"
    watch.write_text(f"#!/bin/sh\ntouch {top.parent}/ran\n")
    watch.chmod(0o755)
    git(top, "config", "core.fsmonitor", str(watch))
    (top / "a").write_text("2")
    assert origin(str(top)) == (name, True)
    assert freeze(top).revision.commit == name
    assert not (top.parent / "ran").exists()


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
    name = commit(top, {"a": b"1"})
    snapshot = freeze(top)
    assert snapshot.revision.short == name[:7]
    assert snapshot.revision.digest == snapshot.digest
    (top / "a").write_text("2")
    assert freeze(top).revision.short == name[:7] + "-dirty"


def test_what_changes_after_the_project_was_read_makes_its_revision_dirty(top: Path) -> None:
    name = commit(top, {"a": b"1"})
    snapshot = freeze(top)
    (top / "new").write_text("2")
    assert snapshot.revision.short == name[:7] + "-dirty"


def test_git_is_not_asked_outside_git_nor_before_somebody_wants_to_know(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_git(monkeypatch, tmp_path / "bin", f"touch {tmp_path}/asked")
    outside = tmp_path / "outside"
    outside.mkdir()
    assert freeze(outside).revision.commit == ""
    snapshot = freeze(top)
    assert not (tmp_path / "asked").exists()
    assert snapshot.revision.commit == ""
    assert (tmp_path / "asked").exists()


def test_a_wish_to_stop_ends_a_git_that_is_waited_for(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(top, {"a": b"1"})
    before_git(monkeypatch, tmp_path / "bin", "sleep 600")
    cancelled = threading.Event()
    snapshot = take(Project("p", top / "Pushfile", top, ".", (), "", {}), None, cancelled)
    cancelled.set()
    with pytest.raises(Interrupted):
        snapshot.revision  # noqa: B018  (it is computed)
