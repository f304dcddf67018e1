"""Starts ``push`` faster than the shell does: a process that has imported everything forks for each.

Half of what a push to a few hosts on this machine takes is Python's start and paramiko's import, and the tests of a
fleet start it a hundred times. What is started is a process like any other: it can be killed, and hears Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

#: What a push to hosts imports.
MODULES = (
    "paramiko", "pushkit.cli.group", "pushkit.cli.push", "pushkit.cli.join", "pushkit.cli.status", "pushkit.engine",
    "pushkit.fleet.strategy", "pushkit_sftp", "pushkit_sftp.session", "pushkit_sftp.paramiko_transport", "json",
    "pushkit.ui.jsonl", "pushkit.cli.rollback", "pushkit.worktree", "pushkit.index", "rich.console", "urllib.request",
)  # fmt: skip


class Started:
    """A ``push`` under way. ``returncode`` is there once `communicate` has returned, negative for a signal."""

    def __init__(self, pid: int, status: socket.socket, out: Path, err: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        self._out, self._err = out, err

    @property
    def said(self) -> str:
        """Both streams up to now."""
        return self._out.read_text() + self._err.read_text()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """Wait for the end: standard output and standard error. What does not end is killed."""
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                self.returncode = int(self._status.recv(16))
            except TimeoutError:
                os.killpg(self.pid, signal.SIGKILL)
                raise AssertionError(f"still running after {timeout} s: {self.said}") from None
            finally:
                self._status.close()
        return self._out.read_text(), self._err.read_text()


class Starter:
    """The process that forks. ``directory`` takes what is printed."""

    def __init__(self, directory: Path) -> None:
        from recorder.sitecustomize import recorded  # not where this file is the program

        self._directory = directory
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**recorded(), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
            )

    def start(self, arguments: tuple[str, ...], root: Path, environment: Mapping[str, str]) -> Started:
        """Start ``push`` in ``root`` with that environment."""
        streams = [Path(tempfile.mkstemp(dir=self._directory)[1]) for _ in range(2)]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        message = json.dumps([list(arguments), str(root), dict(environment), *map(str, streams)])
        with theirs:
            socket.send_fds(self._socket, [message.encode()], [theirs.fileno()])
        return Started(int(ours.recv(16)), ours, *streams)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(10)


def serve(requests: socket.socket) -> None:
    """Fork for each request: a process that waits, and tells of the end, and below it the push."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, passed, _flags, _address = socket.recv_fds(requests, 1 << 18, 1)
        if not message:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            with socket.socket(fileno=passed[0]) as status:
                pid = os.fork()
                if pid == 0:
                    status.close()
                    run(*json.loads(message))
                status.send(str(pid).encode())
                _pid, ended = os.waitpid(pid, 0)
                status.send(str(os.waitstatus_to_exitcode(ended)).encode())
            os._exit(0)
        os.close(passed[0])


def run(arguments: list[str], root: str, environment: dict[str, str], out: str, err: str) -> None:
    """Be ``push``, to the end of this process."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        random.seed()
        os.chdir(root)
        os.environ.clear()
        os.environ.update(environment)
        for number, path in ((1, out), (2, err)):
            stream = os.open(path, os.O_WRONLY | os.O_APPEND)
            os.dup2(stream, number)
            os.close(stream)
        sys.argv = ["push", *arguments]
        from pushkit.cli import main

        code = main()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    for module in MODULES:
        __import__(module)
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
