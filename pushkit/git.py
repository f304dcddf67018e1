"""Run git: in a clean environment, without prompt, pager or lock, its output as bytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from pushkit.errors import SnapshotError


class GitFailed(SnapshotError):
    """git ended with an error; ``said`` is what it said of it."""

    def __init__(self, directory: str, task: str, said: str) -> None:
        super().__init__(
            f"git {task} failed in {directory}: {said}",
            hint="push again; if it stays so, look at the repository with `git fsck`",
        )
        self.said = said


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


def command(directory: str, *arguments: str) -> list[str]:
    """The command line of git in ``directory``."""
    return ["git", "--no-pager", "-C", directory, "-c", f"core.attributesFile={os.devnull}", *arguments]


def git(directory: str, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> bytes:
    """What git prints. Raises `GitFailed`, and `SnapshotError` when there is no git."""
    try:
        done = subprocess.run(
            command(directory, *arguments),
            input=stdin,
            capture_output=True,
            check=False,
            env=environment(extra),
            # Ctrl-C is for push, which stops in its own time.
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise SnapshotError("git is not installed", hint="install git, or push from a directory") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise GitFailed(directory, arguments[0], said or f"exit code {done.returncode}")
    return done.stdout
