"""A command on this machine is run for all that it prints, however slowly it reads and writes."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from pushkit.capture import capture
from pushkit.errors import TimedOut
from pushkit.process import TICK, Command

SLOW = f"import sys, time; time.sleep({3 * TICK}); sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
FAST = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"


def command(program: str, stdin: bytes = b"", timeout: float = 30) -> Command:
    return Command((sys.executable, "-c", program), Path("/"), {}, "the program", timeout=timeout, stdin=stdin)


def test_a_command_that_is_slow_to_read_gets_all_of_its_input() -> None:
    data = bytes(range(256)) * 4000
    assert capture(command(SLOW, data)).stdout == data[::-1]


def test_a_command_leaves_its_code_and_both_outputs() -> None:
    assert capture(command(FAST)) == (3, b"out\n", b"err\n")


def test_a_command_that_runs_over_its_time_is_ended() -> None:
    start = time.monotonic()
    with pytest.raises(TimedOut, match="the program did not end within"):
        capture(command("import time; time.sleep(60)", timeout=0.3))
    assert time.monotonic() - start < 30
