"""`measure`: run a command as a user does, in a process tree of its own; how long it took and what memory it needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which a command is given up.
LIMIT = 900.0
# Memory is that of the largest process. A process begins with the peak of the one that started it: that one is small.
METER = """
import os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
seconds = time.perf_counter() - start
os.write(report, b"%r %r %d" % (seconds, used.ru_utime + used.ru_stime, used.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


class Failed(Exception):
    """A command that did not do its work."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds by the clock, seconds of the processor, and megabytes at its peak."""

    seconds: float
    processor: float
    megabytes: float


def measure(
    command: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    limit: float = LIMIT,
) -> Cost:
    """Run it. Raises `Failed` with what it said, also when it is not over in its time."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", METER, str(writing), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            pass_fds=(writing,),
            start_new_session=True,
        )
    finally:
        os.close(writing)
    with open(reading) as report:
        try:
            _, said = process.communicate(stdin, limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"not over after {limit:g} seconds") from None
            raise
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            raise Failed(f"exit code {process.returncode}: {' '.join(lines[-3:])}")
        seconds, processor, kilobytes = map(float, report.read().split())
    return Cost(seconds, processor, kilobytes / 1024)
