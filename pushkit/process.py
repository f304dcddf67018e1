"""Run a command on this machine: its output line by line, its whole process group ended with it."""

from __future__ import annotations

import codecs
import errno
import math
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from msgspec import Struct

from pushkit.amount import seconds
from pushkit.errors import Interrupted, TargetError, TimedOut

LINE_LIMIT = 16_384  # characters; a longer line is passed on in pieces
CHUNK = 65_536  # bytes; what a pipe of Linux holds (pipe(7))
TICK = 0.1  # seconds between two looks at what no file descriptor tells: a cancel, a process that ended
LINGER = 1.0  # seconds that a background child may go on writing after its command ended

Cut = Callable[[str, int, bool], int]
"""Where a line that is longer than its limit is cut: called with its text, the limit, and whether that is all of it.

0 asks for more of the text first.
"""


def anywhere(text: str, limit: int, ended: bool) -> int:
    """Cut at the limit: there is nothing in ``text`` that must stay in one piece."""
    return limit


class Command(Struct, frozen=True):
    """A command as a value.

    ``argv`` is run without a shell, in ``directory``, with exactly the environment ``environment``, whose ``PATH``
    is where a program without a slash is looked for, and with ``stdin`` on its standard input, then the end of the
    file; pieces are asked for when the command takes them, so that they need not fit into memory. ``name`` is how its
    output is labelled. After ``timeout`` seconds (0: never) it is ended: asked to, and
    after ``grace`` more seconds forced to.
    """

    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    name: str
    stdin: bytes | Iterable[bytes] = b""
    timeout: float = 0
    grace: float = 5


def execute(
    command: Command, output: Callable[[str, str], None], cancelled: threading.Event, cut: Cut = anywhere
) -> int:
    """Run ``command``; return its exit code, 128 and the signal's number where a signal ended it, as a shell has it.

    ``output`` is called with the command's name and each line of its standard output and error, in the order in
    which they were written, without the line's end. What is not UTF-8 is replaced. A line over `LINE_LIMIT`
    characters comes in pieces, and ``cut`` says where it is cut.

    The command gets a session, and so a process group, of its own: it has no terminal to ask at. Nothing of the
    group outlives this function. A child in the background that still holds the output is given one second.

    Raises `TargetError` when the command cannot be started, `TimedOut` when it ran over its time, `Interrupted`
    when ``cancelled`` was set.
    """
    if cancelled.is_set():
        raise Interrupted(f"{command.name} was not started")
    deadline = time.monotonic() + command.timeout if command.timeout else math.inf
    with Running(command, output, cut) as running:
        while running.code is None:
            if cancelled.is_set():
                running.stop()
                raise Interrupted(f"{command.name} was stopped")
            if time.monotonic() >= deadline:
                running.stop()
                raise TimedOut(
                    f"{command.name} was ended after {seconds(command.timeout)}",
                    hint="raise its timeout, or find out what it waits for",
                )
            running.pump()
        running.drain()
        return running.code


class Running:
    """A command under way: its pipes and its process group. Leaving the context ends the whole group."""

    def __init__(self, command: Command, output: Callable[[str, str], None], cut: Cut) -> None:
        self._command = command
        self._lines = Lines(lambda line: output(command.name, line), cut)
        self._pieces = pieces(command.stdin)
        self._piece = memoryview(b"")
        self._stopped = False
        self._process = start(command)
        self._selector = selectors.DefaultSelector()
        self._read_end, self._write_end = self._process.stdout, self._process.stdin
        if self._read_end:
            self._selector.register(self._read_end, selectors.EVENT_READ)
        if self._write_end:
            os.set_blocking(self._write_end.fileno(), False)
            self._selector.register(self._write_end, selectors.EVENT_WRITE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # Ctrl-C as an exception, or whoever takes the output failed. A second one allows no more grace.
            if self.code is None and not self._stopped:
                self.stop()
        finally:
            self._signal(signal.SIGKILL)
            # A process of another user (sudo) or one that hangs in the kernel may outlive even that.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LINGER)
            self._close()

    @property
    def code(self) -> int | None:
        """The exit code of the command, None while it runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def pump(self) -> bool:
        """Move what can be moved through the pipes, waiting up to a tick for it; whether there was output."""
        if not self._selector.get_map():
            if self.code is None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(TICK)
            else:
                time.sleep(TICK / 10)
            return False
        found = False
        for key, _ in self._selector.select(TICK):
            if key.fileobj is self._read_end:
                found = self._read(key.fd) or found
            else:
                self._write(key.fd)
        return found

    def drain(self) -> None:
        """Read what is left after the command ended; a child that holds the output has `LINGER` for the rest."""
        end = time.monotonic() + LINGER
        # What holds the output without being in the group is a daemon, which is none of ours to wait for.
        while self._read_end and (self.pump() or self._alive()) and time.monotonic() < end:
            pass
        self._lines.end()

    def stop(self) -> None:
        """Ask the group to end, and let it say goodbye for as long as the command's grace lasts."""
        self._stopped = True
        end = time.monotonic() + self._command.grace
        self._signal(signal.SIGTERM)
        while self._alive() and time.monotonic() < end:
            self.pump()
        self._signal(signal.SIGKILL)
        self.drain()

    def _alive(self) -> bool:
        """Whether anything of the group is left."""
        self._process.poll()  # a process that ended and was not waited for would count
        return self._signal(0)

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; False when there is none.

        The number of a group is given to no other process while a member lives, and then not for a long time.
        """
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # only members of another user are left, such as sudo's (kill(2))
            return True
        return True

    def _read(self, fd: int) -> bool:
        data = os.read(fd, CHUNK)
        if data:
            self._lines.feed(data)
        elif self._read_end:
            self._selector.unregister(self._read_end)
            self._read_end.close()
            self._read_end = None
        return bool(data)

    def _write(self, fd: int) -> None:
        # What does not want to know the rest hangs up.
        with suppress(BrokenPipeError):
            self._piece = self._piece or memoryview(next(self._pieces, b""))
            if self._piece:
                self._piece = self._piece[os.write(fd, self._piece[:CHUNK]) :]
                return
        if self._write_end:
            self._selector.unregister(self._write_end)
            self._write_end.close()
            self._write_end = None

    def _close(self) -> None:
        self._selector.close()
        for pipe in (self._read_end, self._write_end):
            if pipe:
                pipe.close()


class Lines:
    """Cuts a stream of bytes into lines of text, holding little more than one line of `LINE_LIMIT` characters."""

    def __init__(self, take: Callable[[str], None], cut: Cut = anywhere) -> None:
        self._take = take
        self._cut = cut
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def feed(self, data: bytes, final: bool = False) -> None:
        """Take more of the stream; pass on each line that is complete, and what is too long to wait for."""
        *lines, rest = (self._rest + self._decode(data, final)).split("\n")
        for line in lines:
            self._take(self._shorten(line, ended=True).removesuffix("\r"))
        self._rest = self._shorten(rest, ended=final)

    def end(self) -> None:
        """Pass on a last line that has no end."""
        self.feed(b"", final=True)
        if self._rest:
            self._take(self._rest)
        self._rest = ""

    def _shorten(self, line: str, *, ended: bool) -> str:
        """Pass on what is over the limit; return the rest."""
        while len(line) > LINE_LIMIT and (at := self._cut(line, LINE_LIMIT, ended)):
            self._take(line[:at])
            line = line[at:]
        return line


def pieces(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """What is to be written, none of it empty."""
    return filter(None, (data,) if isinstance(data, bytes) else data)


def start(command: Command) -> subprocess.Popen[bytes]:
    """Start ``command`` with pipes. Raises `TargetError` that says why it cannot be."""
    try:
        return subprocess.Popen(
            command.argv,
            cwd=command.directory,
            env=dict(command.environment),
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise refusal(command, error) from error


def refusal(command: Command, error: OSError) -> TargetError:
    """Why a command could not be started, and what helps."""
    program = command.argv[0]
    path = os.path.join(command.directory, program)
    message, hint = f"{program} cannot be started: {error.strerror}", ""
    # Of os.path, since pathlib raises where a directory above may not be searched.
    if not os.path.isdir(command.directory):
        message = f"{command.name} cannot run in {command.directory}: there is no such directory"
    elif error.errno in {errno.ENOENT, errno.EACCES} and "/" not in program:
        message = f"{program} was not found on the PATH"
        hint = "install it, correct its name, or write its path"
    elif error.errno == errno.ENOENT and os.path.exists(path):
        message = f"{program} cannot be started: the interpreter that its first line names is not there"
        hint = "correct its first line, such as #!/bin/sh (and no line ends of Windows), or install the interpreter"
    elif error.errno == errno.ENOENT:
        message = f"{program} was not found in {command.directory}"
        hint = "correct its path"
    elif error.errno == errno.ENOEXEC:
        message = f"{program} is neither a program for this machine nor a script that begins with #!"
        hint = "begin it with a line such as #!/bin/sh"
    elif error.errno == errno.EACCES and os.path.isfile(path):
        message = f"{program} is not executable"
        hint = f"make it executable: chmod +x {shlex.quote(program)}"
    return TargetError(message, hint=hint)
