"""A push that holds its target until it is let go."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.project import PUSH, Project, hear_ctrl_c

# Runs in a release, three directories below the one that project and target share.
WAIT = "touch ../../../here; while [ -e ../../../stay ]; do sleep 0.02; done"
BEFORE = f'strategy = "dir"\npath = "../live"\nbefore_switch = "{WAIT}"'
AFTER = f'strategy = "dir"\npath = "../live"\nafter_switch = "{WAIT}"'


def start(project: Project, *arguments: str) -> subprocess.Popen[str]:
    """Start ``push``, in the background."""
    return subprocess.Popen(
        [PUSH, *arguments],
        cwd=project.root,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no threads here)
    )


@contextmanager
def holding(project: Project, target: str = BEFORE) -> Iterator[subprocess.Popen[str]]:
    """A push that has sent everything, or gone live, and holds the target until `let_go`."""
    project.write(production=target)
    (project.root.parent / "here").unlink(missing_ok=True)
    (project.root.parent / "stay").touch()
    with start(project) as process:
        try:
            end = time.monotonic() + 30
            while not (project.root.parent / "here").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end
                time.sleep(0.01)
            yield process
        finally:
            let_go(project)
            if process.poll() is None:
                process.kill()


def let_go(project: Project) -> None:
    """Let the push of `holding` end."""
    (project.root.parent / "stay").unlink(missing_ok=True)


def said(process: subprocess.Popen[str], words: str) -> str:
    """Read the standard error of ``process`` up to a line that holds ``words``, and return that."""
    assert process.stderr
    read = []
    for line in process.stderr:
        read.append(line)
        if words in line:
            return line
    raise AssertionError(f"{words!r} was not said: {read}")
