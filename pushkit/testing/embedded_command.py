"""A command on a channel of `EmbeddedSsh`: its three streams, its exit status, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from paramiko import Channel

PIECE = 64 * 1024


class RunningCommand(threading.Thread):
    """A shell command between a channel and a process group of its own, from the start of the process on.

    ``answered`` returns when the client knows that its request was granted. A command that a signal ended has
    128 and the signal's number as exit status, as in a shell. Raises `OSError` when it cannot be started.
    """

    def __init__(
        self,
        channel: Channel,
        command: bytes,
        directory: Path,
        environment: Mapping[str, str],
        answered: Callable[[], None],
    ) -> None:
        super().__init__(name="embedded-ssh-command", daemon=True)
        self._channel = channel
        self._answered = answered
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )

    def run(self) -> None:
        """Carry the streams, each in its own thread so that none waits for another, then the exit status."""
        self._answered()
        process, channel = self._process, self._channel
        stdin = threading.Thread(target=self._feed, daemon=True)
        outputs = [
            threading.Thread(target=forward, args=(process.stdout, channel.sendall), daemon=True),
            threading.Thread(target=forward, args=(process.stderr, channel.sendall_stderr), daemon=True),
        ]
        for thread in (stdin, *outputs):
            thread.start()
        for thread in outputs:
            thread.join()
        code = process.wait()
        with suppress(OSError, EOFError):  # The client is gone, and nobody is left to be told.
            channel.send_exit_status(code if code >= 0 else 128 - code)
            channel.close()
        stdin.join()

    def kill(self) -> None:
        """End the process and its group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _feed(self) -> None:
        """Write what the client sends to the command, until the client or the channel ends it."""
        stdin = self._process.stdin
        assert stdin is not None
        while data := self._channel.recv(PIECE):
            # A command need not read its input; the client may still be sending it and must not get stuck.
            with suppress(BrokenPipeError):
                stdin.write(data)
                stdin.flush()
        with suppress(BrokenPipeError):
            stdin.close()


def forward(stream: BufferedReader, send: Callable[[bytes], object]) -> None:
    """Send what a command prints as it comes, until its end or that of the channel."""
    with stream, suppress(OSError, EOFError):
        while data := stream.read1(PIECE):
            send(data)
