"""What people see on stderr: in a log, on a terminal, quiet, without colours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
import time
from contextlib import suppress
from functools import partial

import pytest

from cli.project import PUSH, Project


def on_a_terminal(
    project: Project, *arguments: str, typed: bytes = b"", code: int = 0, term: str = "xterm-256color"
) -> tuple[str, str]:
    """Run ``push`` with stdin and stderr on a terminal; return stdout and what the terminal got.

    ``typed`` is typed when a question is there. ``code`` is the exit code that is expected.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PUSH, *arguments],
        cwd=project.root,
        env=project.environment | {"TERM": term, "COLUMNS": "120"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        # A terminal of its own, whose Ctrl-C it hears.
        start_new_session=True,
        preexec_fn=partial(own_terminal, theirs),  # noqa: PLW1509  (no threads here)
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # how Linux reports the end of a terminal
        while data := os.read(ours, 65536):
            seen += data
            if typed and b"[y/N]" in seen:
                os.write(ours, typed)
                typed = b""
    os.close(ours)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == code, seen
    return stdout.decode(), seen.decode()


def own_terminal(terminal: int) -> None:
    """Make ``terminal`` the one that controls this process, with a Ctrl-C that is heard."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_log_has_few_lines_and_no_escapes(project: Project) -> None:
    for number in range(300):
        (project.root / f"page-{number}.html").write_text("page\n")
    done = project.push()
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) < 12
    assert "\x1b" not in done.stderr
    assert "production: snapshot: 303 files" in done.stderr
    assert "page-7.html" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("pushed ")


def test_verbose_names_every_file(project: Project) -> None:
    assert "css/site.css" in project.push("-v").stderr


def test_quiet_says_nothing_when_all_is_well(project: Project) -> None:
    done = project.push("-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_quiet_still_tells_what_is_wrong(project: Project) -> None:
    project.acme(production="unreachable")
    assert "cannot be reached" in project.push("-q").stderr


def test_what_failed_alone_among_many_is_told_with_its_hint(project: Project) -> None:
    project.acme(production="alone")
    done = project.push("-q")
    assert done.returncode == 7
    assert done.stderr.splitlines()[-2:] == ["push: part-0 was not taken", "  hint: is there room?"]


def test_json_for_programs_leaves_stderr_to_warnings(project: Project) -> None:
    assert project.push("--json").stderr == ""


def test_a_terminal_has_colours_and_a_bar_and_stdout_has_neither(project: Project) -> None:
    stdout, seen = on_a_terminal(project)
    assert "\x1b[" in seen
    assert "3/3 files" in seen
    # The bar was taken away, and the cursor is back.
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") > 0
    assert stdout.count("\n") == 1
    assert "\x1b" not in stdout


def test_a_terminal_shows_the_rate_and_the_time_left(project: Project) -> None:
    project.acme(production="throttled")  # 3,000 bytes, 100 of them each twentieth of a second or later
    start = time.monotonic()
    _, seen = on_a_terminal(project)
    elapsed = time.monotonic() - start
    states = re.findall(r"files  ([\d.]+ k?B)/3\.0 kB  ([\d.]+ k?B)/s  ([\d.]+) s left", seen)
    assert len({size for size, _, _ in states}) > 3
    agreeing = 0
    for size_text, rate_text, left_text in states:
        size, rate, left = in_bytes(size_text), in_bytes(rate_text), float(left_text)
        # What is shown is rounded: up to 50 bytes, up to 0.05 seconds.
        assert (size - 151) / elapsed <= rate <= 2050
        agreeing += (2949 - size) / (rate + 51) - 0.06 <= left <= (3051 - size) / max(rate - 51, 1) + 0.06
    # The rate and the time left are asked for one after the other: on a busy machine they need not always agree.
    assert agreeing > len(states) / 2


def in_bytes(amount: str) -> float:
    """The bytes of ``12 B`` or ``1.2 kB``."""
    number, unit = amount.split()
    return float(number) * {"B": 1, "kB": 1000}[unit]


@pytest.mark.parametrize(
    ("typed", "code"), [(b"y\n", 0), (b"what?\nYES\n", 0), (b"n\n", 6), (b"\n", 6), (b"\x04", 130), (b"\x03", 130)]
)
def test_a_terminal_is_asked_before_an_unusual_push(project: Project, typed: bytes, code: int) -> None:
    project.acme(production="remove")
    stdout, seen = on_a_terminal(project, typed=typed, code=code)
    assert "3 of the 4 paths" in seen
    assert "Traceback" not in seen
    assert bool(stdout) == (code == 0)


@pytest.mark.parametrize("how", ["option", "environment", "quiet"])
def test_a_terminal_that_wants_no_colours_gets_none_and_no_bar(project: Project, how: str) -> None:
    arguments = {"option": ["--no-color"], "quiet": ["-q"]}.get(how, [])
    if how == "environment":
        project.environment["NO_COLOR"] = "1"
    _, seen = on_a_terminal(project, *arguments)
    assert "\x1b" not in seen


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_dumb_terminal_gets_lines_and_none_is_empty(project: Project, term: str) -> None:
    _, seen = on_a_terminal(project, term=term)
    assert "\x1b" not in seen
    assert all(seen.splitlines())
    assert seen.splitlines()[-1].startswith("pushed ")


@pytest.mark.parametrize("terminal", [False, True], ids=["log", "terminal"])
def test_no_escape_of_a_file_name_or_a_command_reaches_people(project: Project, terminal: bool) -> None:
    project.acme(production="evil")
    seen = on_a_terminal(project, "-v")[1] if terminal else project.push("-v").stderr
    for raw in ("\x1b[2J", "\x07", "\x1b]0;", "\x1b[31mred"):
        assert raw not in seen
    for shown in ("a\\x1b[2J\\nb", "new\\x07", "w\\x1b]0;t\\x07", "host | out\\x1b[2Jred", "note\\x1b[2J"):
        assert shown in seen
    assert project.push("plan").stdout.splitlines()[0] == "add      a\\x1b[2J\\nb  (new\\x07)"


def test_a_reader_of_events_that_goes_away_does_not_end_the_push(project: Project) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = project.push("--json", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
    assert (project.root.parent / "live" / "current" / "index.html").exists()
