"""The processes of a server: find its program, and end it with everything that it started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/sbin"


def find_program(name: str) -> str | None:
    """The absolute path of a program, looked for where system administration has its own too; None without it."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all its descendants, those in sessions of their own included, and wait for it."""
    # The tree is read before its root goes: orphans are handed to another parent and cannot be found any more.
    tree = descendants(process.pid)
    with suppress(ProcessLookupError):
        process.terminate()
    for pid in tree:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def descendants(root: int) -> list[int]:
    """The processes that ``root`` started, and those that they started. Empty on a system without /proc."""
    children: dict[int, list[int]] = {}
    for pid, status in statuses():
        children.setdefault(status["PPid"], []).append(pid)
    found: list[int] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def processes_of_user(uid: int) -> list[int]:
    """The processes whose real user is ``uid``."""
    return [pid for pid, status in statuses() if status["Uid"] == uid]


def statuses() -> Iterator[tuple[int, dict[str, int]]]:
    """Every process with the numbers of its /proc/PID/status that one line begins with (proc(5))."""
    for file in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # It ended meanwhile.
            lines = (line.partition(":") for line in file.read_text(errors="replace").splitlines())
            yield (
                int(file.parent.name),
                {key: int(value.split()[0]) for key, _, value in lines if key in {"PPid", "Uid"}},
            )
