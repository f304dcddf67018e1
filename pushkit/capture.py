"""Run a command on this machine for what it prints: all of it, as bytes, or not at all."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple

from pushkit.amount import seconds
from pushkit.errors import Interrupted, TimedOut
from pushkit.process import LINGER, TICK, Command, pieces

#: Stands for a wish to stop that nobody can have.
NEVER = threading.Event()


class Captured(NamedTuple):
    """What a command left: its exit code, negative where a signal ended it, and all that it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


def capture(command: Command, cancelled: threading.Event = NEVER) -> Captured:
    """Run ``command`` to its end.

    It gets a session of its own, without a terminal to ask at: Ctrl-C is for push, which stops in its own time.
    Once it runs over its time or somebody asks to stop, its process group is killed, without grace: who only asks it
    for something loses nothing.

    Raises `OSError` when it cannot be started, `TimedOut` after its ``timeout``, `Interrupted` when ``cancelled``
    was set.
    """
    deadline = time.monotonic() + command.timeout if command.timeout else math.inf
    with given(command.stdin) as stdin:
        process = subprocess.Popen(
            command.argv,
            cwd=command.directory,
            env=dict(command.environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        while True:
            if cancelled.is_set():
                raise Interrupted(f"{command.name} was stopped")
            if time.monotonic() >= deadline:
                raise TimedOut(
                    f"{command.name} did not end within {seconds(command.timeout)}",
                    hint="run it by hand to see what it waits for: it can ask nothing here",
                )
            with suppress(subprocess.TimeoutExpired):
                # Called again it goes on where it was, and loses nothing.
                stdout, stderr = process.communicate(timeout=TICK)
                return Captured(process.returncode, stdout, stderr)
    except BaseException:
        end(process)
        raise


@contextmanager
def given(data: bytes | Iterable[bytes]) -> Iterator[IO[bytes] | int]:
    """Standard input with ``data``: a file, for a pipe would have to be fed while the outputs are read.

    What is whole is small and may be secret: it stays in memory where the system can do that.
    """
    if not data:
        yield subprocess.DEVNULL
        return
    with open_file(in_memory=isinstance(data, bytes)) as file:
        file.writelines(pieces(data))
        file.seek(0)
        yield file


def open_file(*, in_memory: bool) -> IO[bytes]:
    """A file without a name, for reading and writing."""
    if in_memory and hasattr(os, "memfd_create"):
        return open(os.memfd_create("push"), "w+b")
    return tempfile.TemporaryFile()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, which has a group of its own, and all that it started; close its pipes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # One that hangs in the kernel, on the disk of a server that is gone, ends when the kernel lets it.
    with suppress(subprocess.TimeoutExpired):
        process.wait(LINGER)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with suppress(OSError):  # it ended before it read all that it was given
                stream.close()
