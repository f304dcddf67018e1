"""The observer ``command``: a program of yours gets each message as JSON on its standard input."""

from __future__ import annotations

import atexit
import json
import os
import shlex
import signal
import subprocess
from contextlib import suppress
from functools import partial
from typing import Annotated, ClassVar

from msgspec import Meta

from pushkit import Observer, TargetError, checks, hookimpl, public
from pushkit_notify.message import Message
from pushkit_notify.notifier import LIMIT, Notifier, NotifierOptions


class CommandOptions(NotifierOptions):
    """The table of a ``command``."""

    run: Annotated[
        str,
        public("the message comes on standard input; a secret can be read from a file there"),
        Meta(description="The program with its arguments. It runs without a shell, in the Pushfile's directory."),
    ]

    @checks("run")
    @classmethod
    def _run(cls, value: str) -> str:
        if not shlex.split(value):
            raise ValueError("there is no program in it")
        return value


class Command(Notifier[CommandOptions]):
    """Runs a program for each message."""

    name: ClassVar[str] = "command"
    Options = CommandOptions

    def send(self, message: Message) -> None:
        """Run it, for at most `LIMIT` seconds; it and all that it started is ended then."""
        document = message.document() | {"text": self.text(message)}
        told = {f"PUSH_{name.upper()}": str(document[name]) for name in ("what", "project", "target", "who")}
        argv = shlex.split(self.options.run)
        try:
            process = subprocess.Popen(
                argv,
                cwd=self.project.root,
                env={**os.environ, **told},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise TargetError(f"{argv[0]} cannot be started: {error.strerror}") from None
        end = partial(kill, process)
        # A push that ends waits for no observer longer than it said.
        atexit.register(end)
        try:
            process.communicate(json.dumps(document).encode(), LIMIT)
        except subprocess.TimeoutExpired:
            end()
            process.wait()
            raise TargetError(f"{argv[0]} took over {LIMIT:g} seconds and was ended") from None
        finally:
            atexit.unregister(end)
        if process.returncode:
            raise TargetError(f"{argv[0]} ended with exit code {process.returncode}")


def kill(process: subprocess.Popen[bytes]) -> None:
    """End ``process``, which has a group of its own, and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@hookimpl
def pushkit_observer() -> type[Observer[CommandOptions]]:
    """The observer."""
    return Command
