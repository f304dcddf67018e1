"""The secret source ``command``: ``${command:op read op://vault/item}`` is what a command prints."""

from __future__ import annotations

import shlex
import subprocess
from functools import cache
from pathlib import Path

from pushkit.errors import PushkitError
from pushkit.hookspecs import hookimpl
from pushkit.secrets.source import SecretSource


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that runs a command."""
    return output


# A process is one run of `push`: however many targets refer to a command, it asks its vault once.
@cache
def output(argument: str, root: Path) -> str:
    """What the command ``argument`` prints, without the line end it closes with.

    It runs once a run, in the Pushfile's directory and without a shell: ``argument`` is split as a shell splits
    words, nothing is expanded. Raises `PushkitError` when it cannot be started, fails, or prints what is not
    UTF-8. What it printed is never part of the message, on either stream: it may be the secret.
    """
    try:
        argv = shlex.split(argument)
    except ValueError as error:
        raise PushkitError(f"the command `{argument}` cannot be split into words: {error}") from None
    try:
        done = subprocess.run(argv, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PushkitError(
            f"the command `{argument}` cannot be started: {reason}",
            hint="it runs without a shell, in the Pushfile's directory",
        ) from error
    if done.returncode:
        ended = f"exit code {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
        raise PushkitError(
            f"the command `{argument}` failed with {ended}",
            hint="run it by hand to see why; what it prints is not shown here",
        )
    try:
        text = done.stdout.decode()
    except UnicodeDecodeError:
        raise PushkitError(f"the command `{argument}` printed what is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
