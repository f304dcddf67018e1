"""The secret source ``command``: ``${command:op read op://vault/item}`` is what a command prints."""

from __future__ import annotations

import os
import shlex

from pushkit.capture import capture
from pushkit.errors import SecretError, TimedOut
from pushkit.hookspecs import hookimpl
from pushkit.process import Command
from pushkit.secrets.source import Lookup, SecretSource

#: Seconds that a command may take: time enough to touch a key or to answer a vault's own window.
LIMIT = 120.0


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that runs a command."""
    return output


def output(argument: str, lookup: Lookup) -> str:
    """What the command ``argument`` prints, without the line end it closes with.

    It runs once in a run of push, however many targets refer to it, in the Pushfile's directory and without a shell:
    ``argument`` is split as a shell splits words, nothing is expanded. It has no terminal and no input to ask at.
    Raises `SecretError` when it cannot be started, fails, runs over `LIMIT` seconds, or prints what is not UTF-8,
    `Interrupted` when somebody asks to stop. What it printed is never part of the message, on either stream: it may be
    the secret.
    """
    return lookup.once(("command", argument), lambda: run(argument, lookup))


def run(argument: str, lookup: Lookup) -> str:
    """Run the command ``argument``; as `output`, each time."""
    try:
        argv = shlex.split(argument)
    except ValueError as error:
        raise SecretError(f"the command `{argument}` cannot be split into words: {error}") from None
    try:
        done = capture(Command(tuple(argv), lookup.root, os.environ, f"`{argument}`", timeout=LIMIT), lookup.cancelled)
    except TimedOut as error:
        raise SecretError(f"the command `{argument}` did not end within {LIMIT:g} seconds", hint=error.hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SecretError(
            f"the command `{argument}` cannot be started: {reason}",
            hint="it runs without a shell, in the Pushfile's directory",
        ) from error
    if done.code:
        ended = f"exit code {done.code}" if done.code > 0 else f"signal {-done.code}"
        raise SecretError(
            f"the command `{argument}` failed with {ended}",
            hint="run it by hand to see why; what it prints is not shown here",
        )
    try:
        text = done.stdout.decode()
    except UnicodeDecodeError:
        raise SecretError(f"the command `{argument}` printed what is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
