"""A terminal on which a person has started a program."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from cli.project import hear_ctrl_c


class Terminal:
    """``command`` runs with stdin and stderr on a terminal, which it hears Ctrl-C of, and stdout in a pipe.

    ``seen`` is what the terminal showed up to now. With ``deaf`` standard input is the terminal no more; with ``whole``
    stdout is the terminal too.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        *,
        deaf: bool = False,
        whole: bool = False,
    ) -> None:
        self._ours, theirs = pty.openpty()

        def own() -> None:
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
            hear_ctrl_c()

        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={**environment, "TERM": "xterm", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL if deaf else theirs,
            stdout=theirs if whole else subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=own,  # noqa: PLW1509  (no threads here)
        )
        # Kept open, so that its modes can be looked at when the program has ended.
        self._theirs = theirs
        self.seen = ""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self._ours)
        os.close(self._theirs)

    def wait_for(self, text: str) -> str:
        """Wait until ``text`` is shown after what was waited for before; return what came up to its end."""
        end = time.monotonic() + 60
        start = self._read
        while (at := self.seen.find(text, start)) < 0:
            assert time.monotonic() < end, self.seen
            assert self.look(0.1) or self.process.poll() is None, self.seen
        self._read = at + len(text)
        return self.seen[start : self._read]

    def type(self, text: str) -> None:
        """Type ``text``."""
        os.write(self._ours, text.encode())

    @property
    def echoes(self) -> bool:
        """Whether it shows what is typed."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def echo(self) -> None:
        """Show from now on what is typed, as a shell does that stopped the program."""
        modes = termios.tcgetattr(self._theirs)
        modes[3] |= termios.ECHO
        termios.tcsetattr(self._theirs, termios.TCSANOW, modes)

    def end(self) -> tuple[int, str]:
        """Wait until the program has ended; its exit code and its stdout."""
        end = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < end, self.seen
            self.look(0.1)
        while self.look(0):
            pass
        return self.process.returncode, self.process.stdout.read().decode() if self.process.stdout else ""

    def look(self, within: float) -> bool:
        """Whether it shows more ``within`` so many seconds."""
        if not select.select([self._ours], [], [], within)[0]:
            return False
        self.seen += os.read(self._ours, 65536).decode("utf-8", "replace")
        return True
