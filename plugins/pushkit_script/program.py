"""The program that a command line begins with: where it is, and how it is started."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from pushkit import TargetError

FIRST_LINE = 256  # bytes of it that Linux looks at (execve(2), "Interpreter scripts")


def is_path(word: str) -> bool:
    """Whether a command's first word is a path, not a name to look for on the PATH."""
    return "/" in word


def startable(argv: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """``argv`` as it can be started in ``directory``.

    A script without the executable bit is started by the interpreter that its first line names, as the system
    would; the file is not touched. Raises `TargetError` when there is no way to start it.
    """
    word = argv[0]
    if not is_path(word):
        # What is relative on the PATH, such as node_modules/.bin, is relative to where the command runs.
        places = (str(directory / place) for place in environment.get("PATH", os.defpath).split(os.pathsep))
        if shutil.which(word, path=os.pathsep.join(places)) is None:
            raise TargetError(
                f"{word} was not found on the PATH", hint=f"install it, or write its path, such as ./{word}"
            )
        return argv
    path = os.path.join(directory, word)
    if not os.path.isfile(path):
        what = "is a directory" if os.path.isdir(path) else "was not found"
        raise TargetError(f"{word} {what} in {directory}", hint="correct its path")
    if os.access(path, os.X_OK):
        return argv
    interpreter = shebang(path)
    if not interpreter:
        quoted = shlex.quote(word)
        raise TargetError(
            f"{word} is not executable, and its first line names no interpreter",
            hint=f'make it executable: chmod +x {quoted}, or name one: run = "sh {quoted}"',
        )
    return (*interpreter, *argv)


def shebang(path: str) -> tuple[str, ...]:
    """The interpreter that a script's first line names, and its one argument if it has any; empty without one."""
    try:
        with open(path, "rb") as file:
            line = file.read(FIRST_LINE).partition(b"\n")[0]
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}") from error
    if not line.startswith(b"#!"):
        return ()
    return tuple(os.fsdecode(line[2:]).strip().split(maxsplit=1))
