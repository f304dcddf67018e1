"""What people see on stderr: in a log, on a terminal, quiet, without colours."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
from contextlib import suppress
from functools import partial

import pytest

from cli.project import PUSH, Project


def on_a_terminal(project: Project, *arguments: str, typed: bytes = b"", code: int = 0) -> tuple[str, str]:
    """Run ``push`` with stdin and stderr on a terminal; return stdout and what the terminal got.

    ``typed`` is typed when a question is there. ``code`` is the exit code that is expected.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PUSH, *arguments],
        cwd=project.root,
        env=project.environment | {"TERM": "xterm-256color", "COLUMNS": "120"},
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
        while True:
            # Typed once more when nothing comes of it: a Ctrl-C in the instant before the read is not seen by it.
            if select.select([ours], [], [], 0.5)[0]:
                if not (data := os.read(ours, 65536)):
                    break
                seen += data
            elif typed and b"[y/N]" in seen:
                os.write(ours, typed)
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


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 6), (b"\n", 6), (b"\x03", 130)])
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
    done = subprocess.run(
        [PUSH, "--json"],
        cwd=project.root,
        env=project.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert (project.root.parent / "live" / "current" / "index.html").exists()
