"""Running one script of a lifecycle event, as codedeploy-agent does it."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

from msgspec import Struct

from pushkit_aws.local.streams import TICK, Reader

GRACE = 5.0  # seconds between TERM and KILL, and those that a child may hold the output after its script ended


class Code(IntEnum):
    """How a script failed, by the numbers of the agent's diagnostics."""

    MISSING = 1
    NOT_EXECUTABLE = 2
    TIMED_OUT = 3
    FAILED = 4
    UNKNOWN = 5
    OUTPUT_OPEN = 6


class ScriptError(Exception):
    """A script failed: how, and what helps."""

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Script(Struct, frozen=True):
    """A script as a value. ``runas`` is a user, empty for who runs this. ``timeout`` is in seconds."""

    path: Path
    location: str
    timeout: float
    runas: str
    environment: Mapping[str, str]
    directory: Path
    grace: float = GRACE

    @property
    def argv(self) -> tuple[str, ...]:
        """What is run: the script, or su(1) that runs it with a shell of the user's."""
        return ("su", self.runas, "-c", shlex.quote(str(self.path))) if self.runas else (str(self.path),)


def run_script(script: Script, output: Callable[[str, str], None], check: Callable[[], None]) -> None:
    """Run ``script``. ``output`` takes ``stdout`` or ``stderr`` and a line of it; ``check`` raises to stop it.

    It gets no input and a process group of its own. At its time-out the group is asked to end (TERM) and forced to
    (KILL) after the grace; so it is when ``check`` raises. A child that it leaves in the background is left alone, but
    not with its output: who waits for that would wait for ever. Raises `ScriptError`.
    """
    make_executable(script)
    with Reader(output) as reader:
        process = start(script)
        assert process.stdout is not None
        assert process.stderr is not None
        reader.add(process.stdout, "stdout")
        reader.add(process.stderr, "stderr")
        deadline = time.monotonic() + script.timeout
        try:
            while process.poll() is None:
                check()
                if time.monotonic() >= deadline:
                    where = f"script at specified location: {script.location}"
                    hint = "raise its timeout in the AppSpec, or find out what it waits for"
                    raise ScriptError(Code.TIMED_OUT, f"{where} failed to complete in {script.timeout:g} seconds", hint)
                reader.pump(TICK)
        except BaseException:
            end(process, reader, script.grace)
            raise
        late = time.monotonic() + script.grace
        while reader.open and time.monotonic() < late:
            check()
            reader.pump(TICK)
        left = reader.open
    judge(script, process.returncode, left)


def judge(script: Script, code: int, left: tuple[str, ...]) -> None:
    """Raise `ScriptError` where a script that ended did not end well. ``left`` are the streams still open."""
    where = f"script at specified location: {script.location}" + (
        f" run as user {script.runas}" if script.runas else ""
    )
    if code < 0:
        raise ScriptError(Code.FAILED, f"{where} was ended by {signal_name(-code)}")
    if code:
        raise ScriptError(Code.FAILED, f"{where} failed with exit code {code}")
    if left:
        hint = "a child in the background holds it: start it with >/dev/null 2>&1 </dev/null &"
        raise ScriptError(Code.OUTPUT_OPEN, f"{where} failed to close {' and '.join(map(str.upper, left))}", hint)


def signal_name(number: int) -> str:
    """The name of a signal, or what is known of it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def make_executable(script: Script) -> None:
    """Raise `ScriptError` unless the script is there and, by now, executable."""
    if not script.path.is_file():
        message = f"script does not exist at specified location: {script.location}"
        raise ScriptError(Code.MISSING, message, "its path begins at the top of the bundle")
    mode = script.path.stat().st_mode
    if mode & 0o111 != 0o111:
        try:
            script.path.chmod(mode | 0o111)
        except OSError as error:
            message = f"unable to set script at specified location: {script.location} as executable: {error.strerror}"
            raise ScriptError(Code.NOT_EXECUTABLE, message) from error


def start(script: Script) -> subprocess.Popen[bytes]:
    """Start it. Raises `ScriptError`."""
    argv = script.argv
    try:
        try:
            return popen(script, argv)
        except OSError as error:
            # A script without a first line of #! is the shell's, as execvp(3) has it.
            if error.errno != errno.ENOEXEC:
                raise
            return popen(script, ("/bin/sh", *argv))
    except OSError as error:
        hint = "its first line names an interpreter that is not there; mind line ends of Windows"
        where = f"script at specified location: {script.location} cannot be started: {error.strerror}"
        raise ScriptError(Code.UNKNOWN, where, hint if error.errno == errno.ENOENT else "") from error


def popen(script: Script, argv: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Start ``argv`` in a process group of its own, its input closed."""
    return subprocess.Popen(
        argv,
        cwd=script.directory,
        env=dict(script.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        process_group=0,
    )


def end(process: subprocess.Popen[bytes], reader: Reader, grace: float) -> None:
    """End a script and all of its group: TERM, and KILL after ``grace`` seconds."""
    groups = {process.pid, *descending(process.pid)}
    signal_all(groups, signal.SIGTERM)
    late = time.monotonic() + grace
    while alive(process, groups) and time.monotonic() < late:
        reader.pump(TICK)
    signal_all(groups, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    reader.pump(0)


def descending(pid: int) -> set[int]:
    """The process groups of the descendants of ``pid``: su(1) gives what it runs a session of its own. Of /proc."""
    parents: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The name of the program, in parentheses, may hold anything (proc(5)).
                    values = file.read().rpartition(b")")[2].split()
                parents[int(name)] = (int(values[1]), int(values[2]))
    found, added = {pid}, True
    while added:
        children = {child for child, (parent, _) in parents.items() if parent in found} - found
        found |= children
        added = bool(children)
    # Never our own group, whatever a process that has just changed its group looks like.
    return {parents[each][1] for each in found if each in parents} - {os.getpgrp(), 0, 1}


def signal_all(groups: set[int], number: int) -> bool:
    """Send a signal to each group; whether any was there."""
    found = False
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            found = True
    return found


def alive(process: subprocess.Popen[bytes], groups: set[int]) -> bool:
    """Whether anything is left of the groups."""
    process.poll()  # a process that ended and was not waited for would count
    return signal_all(groups, 0)
