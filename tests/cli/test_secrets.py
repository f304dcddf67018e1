"""No secret is seen, whatever command is asked, on either output."""

from __future__ import annotations

import pytest

from cli.project import Project

SECRET = "hunter-two-hunter"


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("command", ["plan", "check", "push", "status", "rollback", "targets", "files"])
def test_a_resolved_secret_is_on_no_output(project: Project, command: str, json: tuple[str, ...]) -> None:
    project.write(
        production='strategy = "dir"\npath = "../live-${env:TOKEN}"',
        hook='strategy = "script"\nshell = true\nrun = "echo token=$T"\nenvironment = { T = "${env:TOKEN}" }',
    )
    target = [] if command == "targets" else ["production"]
    first = project.push("production", TOKEN=SECRET)
    assert first.returncode == 0, first.stderr
    for done in (
        project.push(command, *target, *json, TOKEN=SECRET),
        project.push("plan", "hook", *json, TOKEN=SECRET),
        project.push("hook", "-v", *json, TOKEN=SECRET),
    ):
        assert SECRET not in done.stdout + done.stderr
    assert "token=[secret:env:TOKEN]" in project.push("hook", "-v", TOKEN=SECRET).stderr


def test_a_secret_that_stands_in_the_pushfile_is_hidden_too(project: Project) -> None:
    project.write(hook=f'strategy = "script"\nrun = "printenv TOK"\nenvironment = {{ TOK = "{SECRET}" }}')
    done = project.push("-v")
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "[secret:environment.TOK]" in done.stderr


def test_a_variable_that_the_pushfile_says_openly_elsewhere_is_no_secret(project: Project) -> None:
    variables = f'environment = {{ STAGE = "production", APP = "acme", ROOT = "/srv/acme", TOK = "{SECRET}" }}'
    project.write(production=f'strategy = "script"\nrun = "echo /srv/acme; printenv TOK"\nshell = true\n{variables}')
    done = project.push("-v")
    assert done.returncode == 0, done.stderr
    assert "pushed" in done.stderr
    assert " to production: " in done.stderr
    assert "| /srv/acme\n" in done.stderr
    assert "| [secret:environment.TOK]\n" in done.stderr
    # What is looked up is a secret, whatever it is.
    project.write(production='strategy = "script"\nrun = "true"\nenvironment = { STAGE = "${env:STAGE}" }')
    assert "[secret:env:STAGE]" in project.push("-v", STAGE="production").stderr


def test_the_files_that_secrets_come_from_never_travel(project: Project) -> None:
    for name in ("deploy_key", "token.txt", "css/token.txt"):
        (project.root / name).write_text(SECRET)
    project.write(
        production='strategy = "dir"\npath = "../live"',
        web='strategy = "sftp"\nhost = "h"\npath = "/p"\nkey = "deploy_key"\npassword = "${file:token.txt}"',
    )
    listed = project.push("files", "production").stdout.splitlines()
    assert "deploy_key" not in listed
    assert "token.txt" not in listed
    assert "css/token.txt" in listed
    assert "never travel" in project.push("files", "production", "--why", "deploy_key").stdout
