"""A process that reads for this one."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from contextlib import suppress

from msgspec import Struct

from pushkit import reader
from pushkit.reader import LENGTH, READY


class Job(Struct, eq=False):
    """A request for a `reader`: its kind and content, whether a helper has it, and the answer once there is one."""

    kind: bytes
    content: bytes
    given: bool = False
    answer: bytes | None = None


class Helper:
    """A process that does jobs in the order in which it is given them. Never blocks but to start and to end.

    Raises OSError when it cannot start.
    """

    def __init__(self, root: str) -> None:
        # The standard library's subprocess takes longer to import than a helper to start.
        theirs_in, self._stdin = os.pipe()
        self._stdout, theirs_out = os.pipe()
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                (sys.executable, "-I", "-S", reader.__file__, root),
                os.environ,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, theirs_in, 0),
                    (os.POSIX_SPAWN_DUP2, theirs_out, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ),
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        for descriptor in (self._stdin, self._stdout):
            os.set_blocking(descriptor, False)
        self._unsent = bytearray()
        self._answers = bytearray()
        self._ready = False
        self.alive = True
        self.jobs: deque[Job] = deque()

    def fileno(self) -> int:
        """The descriptor that has something to read when there is an answer."""
        return self._stdout

    def give(self, job: Job) -> None:
        """One more job to do."""
        self._unsent += job.kind + len(job.content).to_bytes(LENGTH, "little") + job.content
        job.given = True
        self.jobs.append(job)
        self._send()

    def take(self) -> None:
        """Give each job that is done its answer. Afterwards ``alive`` says whether there may be more."""
        self._send()
        self._receive()
        while self._ready and self.jobs and len(self._answers) >= LENGTH:
            end = LENGTH + int.from_bytes(self._answers[:LENGTH], "little")
            if len(self._answers) < end:
                return
            self.jobs.popleft().answer = bytes(self._answers[LENGTH:end])
            del self._answers[:end]

    def end(self) -> None:
        """End the process, whatever it is doing."""
        # Where the user's shell has set that nobody waits for children, there is none to wait for.
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        self._close()

    def _close(self) -> None:
        os.close(self._stdin)
        os.close(self._stdout)

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._stdin, self._unsent)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # Its answers end as well, which says the same.
            self._unsent.clear()

    def _receive(self) -> None:
        try:
            while data := os.read(self._stdout, 1 << 16):
                self._answers += data
            self.alive = False
        except BlockingIOError:
            pass
        if not self._ready and len(self._answers) >= len(READY):
            self._ready = self._answers.startswith(READY)
            self.alive = self.alive and self._ready
            del self._answers[: len(READY)]
