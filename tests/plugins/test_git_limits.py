"""What the strategy ``git`` cannot put into a commit, and what it cannot take back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushkit import PushRefused, TargetError, UsageError
from pushkit.testing import Pusher
from pushkit_git import branch
from pushkit_git.commit import Commit, chosen, parse
from pushkit_git.content import content
from pushkit_git.strategy import GitStrategy
from repository import before_git


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


def commit(name: str, tree: str) -> Commit:
    """A commit of a push, with an id of this letter alone."""
    text = f"tree {tree * 40}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\na push\n"
    return parse(name * 40, text)


@pytest.mark.parametrize(
    ("history", "wanted", "message", "hint"),
    [
        ("", "", "nothing was pushed there yet", "push first: there is nothing to go back to"),
        ("cba", "ddddddd", "ddddddd is none of the last 3 commits", "see them: push log"),
        ("cba", "ccccccc", "ccccccc is what is live", "see what there is: push log"),
        ("c", "", "there is no push before the live one to go back to", "see what there is: push log"),
    ],
)
def test_what_cannot_be_gone_back_to_is_refused(history: str, wanted: str, message: str, hint: str) -> None:
    with pytest.raises(PushRefused) as caught:
        chosen([commit(each, each) for each in history], wanted)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before_git(monkeypatch, tmp_path / "bin", 'case " $* " in *" ls-remote "*) exec sleep 60;; esac')
    monkeypatch.setattr(branch, "LOOK", 0.5)
    with pytest.raises(TargetError, match=r"did not answer for 0\.5 seconds$") as caught:
        pusher(tmp_path).strategy().connect()
    assert caught.value.hint == "push again later"
