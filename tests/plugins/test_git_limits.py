"""What the strategy ``git`` cannot put into a commit, and what it cannot take back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushkit import PushRefused, UsageError
from pushkit.testing import Pusher
from pushkit_git.content import content
from pushkit_git.strategy import GitStrategy


def pusher(tmp_path: Path, **table: str) -> Pusher:
    return Pusher(tmp_path, GitStrategy, {"remote": str(tmp_path / "there.git"), **table})


@pytest.mark.parametrize("path", [".GIT/config", "lib/.Git"])
def test_a_name_that_git_keeps_to_itself_is_refused(tmp_path: Path, path: str) -> None:
    """On a file system that does not tell letters' case it would be the repository of whoever checks it out."""
    made = pusher(tmp_path)
    made.write("index.html")
    assert [entry.path for entry in content(made.snapshot())] == ["index.html"]
    made.write(path)
    with pytest.raises(PushRefused, match=f"{path} cannot be in a commit: git keeps that name") as caught:
        content(made.snapshot())
    assert ".pushignore" in caught.value.hint


def test_commits_of_ones_own_are_reverted_by_ones_own(tmp_path: Path) -> None:
    strategy = pusher(tmp_path, what="commit").strategy()
    with pytest.raises(UsageError, match='with what = "commit" only commits of yours travel') as caught:
        strategy.rollback()  # type: ignore[attr-defined]
    assert "revert in your repository" in caught.value.hint
