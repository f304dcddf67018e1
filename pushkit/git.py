"""Run git: in a clean environment, without prompt, pager or lock, within its time, its output as bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from pushkit.capture import NEVER, capture
from pushkit.errors import SnapshotError, TimedOut
from pushkit.process import Command

#: Seconds that a git may take, of the largest repository on the slowest disk; one that hangs takes for ever.
LIMIT = 300.0


class GitFailed(SnapshotError):
    """git ended with an error; ``said`` is what it said of it."""

    def __init__(self, directory: str, task: str, said: str) -> None:
        super().__init__(
            f"git {task} failed in {directory}: {said}",
            hint="push again; if it stays so, look at the repository with `git fsck`",
        )
        self.said = said


class GitHangs(SnapshotError):
    """git gave no answer in its time, and was ended."""

    def __init__(self, directory: str, task: str, seconds: float) -> None:
        super().__init__(
            f"git {task} gave no answer in {directory} for {seconds:g} seconds, and was ended",
            hint="try it by hand: does the disk answer, and does git ask for something?",
        )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for git.

    Without the variables that a hook of git's is started with: they would point it at another repository.
    Without one person's attributes: a snapshot is the same for everybody.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ATTR_NOSYSTEM": "1",
        **(extra or {}),
    }


def command(directory: str, *arguments: str) -> tuple[str, ...]:
    """The command line of git in ``directory``.

    The file system monitor is a program that the configuration of a repository may name: who looks starts none.
    """
    settings = (f"core.attributesFile={os.devnull}", "core.fsmonitor=false", "log.showSignature=false")
    return ("git", "--no-pager", "-C", directory, *(word for each in settings for word in ("-c", each)), *arguments)


def git(
    directory: str,
    *arguments: str,
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
    cancelled: threading.Event = NEVER,
) -> bytes:
    """What git prints.

    Raises `GitFailed`, `GitHangs` after `LIMIT` seconds, `SnapshotError` when there is no git, and `Interrupted` once
    ``cancelled`` is set.
    """
    task = arguments[0]
    asked = Command(command(directory, *arguments), Path(), environment(extra), f"git {task}", stdin, LIMIT)
    try:
        done = capture(asked, cancelled)
    except FileNotFoundError as error:
        raise no_git() from error
    except TimedOut as error:
        raise GitHangs(directory, task, LIMIT) from error
    if done.code:
        raise GitFailed(directory, task, said(done.stderr, done.code))
    return done.stdout


def no_git() -> SnapshotError:
    """The error of a machine without git."""
    return SnapshotError("git is not installed", hint="install git, or push from a directory")


def said(stderr: bytes, code: int) -> str:
    """Why a git failed: in its own words, or by how it ended."""
    ended = f"exit code {code}" if code >= 0 else f"signal {-code} ended it"
    return stderr.decode("utf-8", "replace").strip() or ended
