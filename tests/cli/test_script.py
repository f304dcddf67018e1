"""The strategy ``script`` by the command line: exit codes, secrets, rollback."""

from __future__ import annotations

import json

import pytest

from cli.project import Project


@pytest.mark.parametrize(("exit", "code"), [("push", 8), ("script", 7)])
def test_a_script_that_fails_ends_push_as_its_target_says(project: Project, exit: str, code: int) -> None:  # noqa: A002
    project.write(live=f'strategy = "script"\nrun = "sh -c \'exit 7\'"\nexit = "{exit}"')
    done = project.push("live")
    assert done.returncode == code, done.stderr
    assert "ended with exit code 7" in done.stderr


def test_a_rollback_runs_what_the_target_has_for_it(project: Project) -> None:
    rollback = 'rollback = ["echo back to $${PUSH_RELEASE:-the last}"]'
    project.write(live=f'strategy = "script"\nshell = true\nrun = "echo pushed"\n{rollback}')
    done = project.push("rollback", "live")
    assert done.returncode == 0, done.stderr
    assert "back to the last" in done.stderr
    done = project.push("rollback", "live", "20261122T193012Z-4f2a91c")
    assert "back to 20261122T193012Z-4f2a91c" in done.stderr
    project.write(live='strategy = "script"\nrun = "true"')
    done = project.push("rollback", "live")
    assert (done.returncode, "does not say how to roll back" in done.stderr) == (2, True)


def test_a_secret_of_the_environment_is_shown_nowhere(project: Project) -> None:
    project.write(
        live='strategy = "script"\nrun = ["sh -c \'echo it is $TOKEN; echo $TOKEN >&2\'"]\n'
        'environment = { TOKEN = "${env:MY_TOKEN}" }'
    )
    done = project.push("-v", "--json", "live", MY_TOKEN="hunter2-hunter3")
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    lines = [event["line"] for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "output"]
    assert lines == ["it is [secret:env:MY_TOKEN]", "[secret:env:MY_TOKEN]"]
