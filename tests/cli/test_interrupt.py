"""Ctrl-C and SIGTERM while a push is under way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.project import PUSH, Project, hear_ctrl_c

STOPPING = "push: stopping as soon as it is safe"
AGAIN = "; Ctrl-C again to stop at once"


@contextmanager
def under_way(project: Project, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A push in the middle of its first step."""
    with subprocess.Popen(
        [PUSH, *arguments],
        cwd=project.root,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no threads here)
    ) as process:
        try:
            until(process, project.root / "began-part-0")
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], path: Path) -> None:
    """Wait for ``path`` to appear."""
    end = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def heard(process: subprocess.Popen[str]) -> str:
    """Read stderr up to the line that says that the push is stopping; return that line."""
    assert process.stderr
    for line in process.stderr:
        if line.startswith("push: "):
            assert line.startswith(STOPPING)
            return line.rstrip()
    pytest.fail("the push did not say that it is stopping")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_lets_the_step_end_and_starts_no_other(project: Project, number: int) -> None:
    project.acme(production="slow")
    with under_way(project) as process:
        process.send_signal(number)
        # Who sends a SIGTERM has no Ctrl-C to press.
        assert heard(process) == STOPPING + AGAIN * (number == signal.SIGINT)
        assert process.poll() is None
        (project.root / "go-on").touch()
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert (project.root / "ended-part-0").exists()
    assert not (project.root / "began-part-1").exists()
    assert "push: stopped: on production 1 of 3 steps were done; 000001-acme was live before\n" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("do", ["stuck", "stuck-workers"])
def test_the_second_ctrl_c_stops_in_the_middle_and_says_what_is_live(project: Project, do: str) -> None:
    project.acme(production=do)
    with under_way(project) as process:
        process.send_signal(signal.SIGINT)
        heard(process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert "push: stopped: on production 0 of 3 steps were done; 000001-acme was live before\n" in stderr
    assert "Traceback" not in stderr


def test_an_interrupted_push_has_a_receipt(project: Project) -> None:
    project.acme(production="slow")
    with under_way(project, "--json") as process:
        process.send_signal(signal.SIGINT)
        heard(process)
        (project.root / "go-on").touch()
        stdout, _ = process.communicate(timeout=30)
    last = json.loads(stdout.splitlines()[-1])
    assert (last["event"], last["receipt"]["outcome"]) == ("push-finished", "interrupted")
    assert last["receipt"]["live"] == "000001-acme"


def test_targets_after_an_interrupt_are_not_started(project: Project) -> None:
    project.acme(one="slow", two="well")
    with under_way(project, "one", "two") as process:
        process.send_signal(signal.SIGINT)
        heard(process)
        (project.root / "go-on").touch()
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1] == "  not started: two"


def test_a_script_of_the_users_ends_with_the_push(project: Project) -> None:
    project.write(
        production="""
        strategy = "script"
        run = "echo $$ > pid; touch began-part-0; sleep 600"
        shell = true
        where = "project"
        """
    )
    with under_way(project) as process:
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((project.root / "pid").read_text()), 0)


def test_a_push_that_was_told_to_ignore_ctrl_c_goes_on(project: Project) -> None:
    project.acme(production="slow")
    arguments = ["sh", "-c", f"trap '' INT; exec {PUSH}"]
    with subprocess.Popen(
        arguments, cwd=project.root, env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(process, project.root / "began-part-0")
        process.send_signal(signal.SIGINT)
        (project.root / "go-on").touch()
        stdout, _ = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (0, "000002-acme\n")


def test_ctrl_c_while_it_is_planned_changes_nothing(project: Project) -> None:
    project.acme(production="interrupt")
    done = project.push()
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "push: stopped: on production nothing was changed"
