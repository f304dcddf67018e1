"""``push codedeploy local`` and ``push codedeploy validate``, as they are typed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner

from cli.project import PUSH, hear_ctrl_c
from cli.terminal import Terminal
from pushkit import PushkitError
from pushkit.cli.failure import lines_of, ours
from pushkit.cli.group import group
from pushkit.cli.settings import Settings

GOOD = """\
version: 0.0
os: linux
files:
  - {source: /, destination: /srv}
hooks:
  AfterInstall:
    - location: run
"""


class Shell:
    """A directory with a bundle, in which ``push codedeploy`` is typed."""

    def __init__(self, top: Path) -> None:
        self.here = top / "bundle"
        self.root = top / "root"
        self.here.mkdir()
        self.root.mkdir()
        self.environment = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "TERM"}}
        self.environment |= {"HOME": str(top), "XDG_STATE_HOME": str(top / "state")}
        self.write("appspec.yml", GOOD)
        self.write("run", "#!/bin/sh\necho hello\n")

    def write(self, name: str, text: str) -> None:
        (self.here / name).write_text(text)

    def push(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [PUSH, "codedeploy", *arguments]
        return subprocess.run(
            command,
            cwd=self.here,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def here_and_now(self, *arguments: str) -> tuple[int, str, str]:
        """The same in this process, which is faster: exit code, stdout, stderr."""
        settings = Settings()
        with contextlib.chdir(self.here):
            result = CliRunner().invoke(group, ["codedeploy", *arguments], obj=settings, env=self.environment)
        if not isinstance(result.exception, (PushkitError, ClickException)):
            return result.exit_code, result.stdout, result.stderr
        error = ours(result.exception, "push")
        return error.exit_code, result.stdout, result.stderr + "\n".join(lines_of(error, "push"))

    def local(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.push("local", "--root", str(self.root), *arguments)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_deployment_tells_its_id_on_stdout_and_all_else_on_stderr(shell: Shell) -> None:
    done = shell.local()
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"d-[A-Z0-9]{9}-local\n", done.stdout)
    assert "run | hello" in done.stderr
    assert (shell.root / "srv/run").exists()
    # What is installed elsewhere is remembered beside, and not as this machine's.
    (state,) = (Path(shell.environment["XDG_STATE_HOME"]) / "push/codedeploy/roots").iterdir()
    assert (state / "default-local-deployment-group" / done.stdout.strip() / "logs/scripts.log").exists()


def test_json_lines_tell_each_step_and_the_receipt(shell: Shell) -> None:
    done = shell.local("--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [line["event"] for line in lines]
    assert kinds[-1] == "push-finished"
    assert lines[-1]["receipt"]["outcome"] == "done"
    assert {"plan-ready", "step-started", "step-finished", "output"} <= set(kinds)
    assert next(line for line in lines if line["event"] == "output")["line"] == "hello"


def test_a_failing_script_is_exit_code_8_its_last_lines_are_told_and_json_has_one_receipt(shell: Shell) -> None:
    shell.write("run", "#!/bin/sh\necho the disk is full >&2\nexit 3\n")
    done = shell.local("-q")
    assert done.returncode == 8
    assert done.stdout == ""
    assert "failed with exit code 3 (code 4)" in done.stderr
    assert "run | the disk is full" in done.stderr
    done = shell.local("--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 8
    assert lines[-1]["receipt"]["outcome"] == "failed"
    assert [line["event"] for line in lines].count("push-finished") == 1


def test_a_dry_run_lists_the_steps_and_leaves_nothing(shell: Shell) -> None:
    done = shell.local("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "add      /srv/run  (in the bundle)" in done.stdout
    assert "run      AfterInstall: run  (up to 3600 s)" in done.stdout
    assert list(shell.root.iterdir()) == []
    assert not Path(shell.environment["XDG_STATE_HOME"]).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["-l", "gone"], 2, "there is no bundle at gone"),
        (["-l", "run"], 2, "what .*run is, its name does not say"),
        (["-t", "zip"], 2, "is a directory, and -t says zip"),
        (["-g", "../x"], 2, "'../x' is no deployment group"),
        (["-A", "../x.yml"], 2, "is no name of a file"),
        (["--root", "gone"], 2, "gone is no directory to install into\n  hint: make it: mkdir -p gone"),
        (["-e", "ApplicationStart,Install"], 2, "cannot stand before Install"),
        (["-b", "MERGE"], 2, "MERGE"),
        (["--state", "/proc/nowhere"], 7, "the state in /proc/nowhere cannot be written"),
        (["-A", "other.yml"], 3, "other.yml: is not in the bundle"),
    ],
)
def test_what_cannot_be_is_told_with_its_exit_code(shell: Shell, arguments: list[str], code: int, told: str) -> None:
    found, _, stderr = shell.here_and_now("local", "--root", str(shell.root), *arguments)
    assert found == code, stderr
    assert re.search(told, stderr)


def test_ctrl_c_ends_the_script_and_the_deployment_within_a_second(shell: Shell) -> None:
    shell.write("run", "#!/bin/sh\necho up\nexec sleep 300\n")
    command = [PUSH, "codedeploy", "local", "--root", str(shell.root)]
    with subprocess.Popen(
        command,
        cwd=shell.here,
        env=shell.environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no threads here)
    ) as push:
        assert push.stderr is not None
        while "run | up" not in push.stderr.readline():
            assert push.poll() is None
        begin = time.monotonic()
        push.send_signal(signal.SIGINT)
        assert push.wait(10) == 130
        assert time.monotonic() - begin < 1.5


def test_neither_help_nor_a_local_deployment_imports_boto3(shell: Shell) -> None:
    probe = "import sys; from pushkit.cli import main; sys.argv[0] = 'push'; code = main(); print(code, 'boto3' in sys.modules, 'yaml' in sys.modules)"  # noqa: E501
    for arguments, yaml in ((["--help"], "False"), (["local", "--root", str(shell.root), "-q"], "True")):
        done = subprocess.run(
            [sys.executable, "-c", probe, "codedeploy", *arguments],
            cwd=shell.here,
            env=shell.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.splitlines()[-1] == f"0 False {yaml}", done.stderr


def test_without_pyyaml_the_command_that_installs_it_is_told(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/yaml.py").write_text("raise ImportError('not here')\n")
    shell.environment["PYTHONPATH"] = f"{tmp_path}/site:{shell.environment.get('PYTHONPATH', '')}"
    done = shell.push("validate")
    assert done.returncode == 4
    assert "pip install 'pushkit[aws]'" in done.stderr


def test_on_a_terminal_what_scripts_say_is_dim_and_failures_are_red(shell: Shell) -> None:
    shell.write("run", "#!/bin/sh\necho hello\nexit 1\n")
    command = [PUSH, "codedeploy", "local", "--root", str(shell.root)]
    with Terminal(command, shell.here, shell.environment | {"TERM": "xterm-256color"}) as terminal:
        assert terminal.end()[0] == 8
    assert re.search(r"\x1b\[2m[^\n]*run \| hello", terminal.seen)
    assert re.search(r"\x1b\[1;31m[^\n]*failed: run AfterInstall: run", terminal.seen)


def test_validate_tells_every_problem_with_file_and_line_and_exits_3(shell: Shell) -> None:
    shell.write("appspec.yml", GOOD.replace("0.0", '"0.0"').replace("AfterInstall", "Afterinstall"))
    done = shell.push("validate")
    assert done.returncode == 3
    assert "appspec.yml:1: version: is the text '0.0'; write it without quotes: version: 0.0" in done.stderr
    assert "appspec.yml:7: hooks.Afterinstall: is no lifecycle event" in done.stderr
    assert "2 problems" in done.stderr


def test_validate_warns_of_yamls_octal_numbers_and_fails_for_it_when_it_is_strict(shell: Shell) -> None:
    shell.write("appspec.yml", GOOD + "permissions:\n  - {object: /srv, mode: 0644}\n")
    code, stdout, stderr = shell.here_and_now("validate")
    assert code == 0
    assert "appspec.yml:9: warning: permissions[0].mode: YAML reads 0644 as the number 420" in stderr
    assert 'quote it: mode: "0644"' in stderr
    assert stdout == "appspec.yml is valid: 1 file, 1 permission, 1 script\n"
    assert shell.here_and_now("validate", "--strict")[0] == 3


def test_validate_guesses_the_platform_and_takes_a_file_or_a_directory(shell: Shell) -> None:
    function = {"Type": "AWS::Lambda::Function", "Properties": dict.fromkeys(("Name", "Alias"), "f")}
    shell.write("lambda.json", json.dumps({"version": 0.0, "Resources": [{"f": function}]}, indent=1))
    code, _, stderr = shell.here_and_now("validate", "lambda.json")
    assert code == 3
    assert "Resources[0].f.Properties.CurrentVersion: is missing" in stderr
    assert shell.here_and_now("validate", ".")[0] == 0
    assert "does not exist" in shell.here_and_now("validate", "gone")[2]
    assert shell.here_and_now("validate", "/")[0] == 2


def test_what_an_appspec_says_does_not_reach_the_terminal_as_it_is(shell: Shell) -> None:
    shell.write("appspec.yml", GOOD + '"a\\e[2Jb": 1\n')
    code, _, stderr = shell.here_and_now("validate")
    assert code == 0
    assert "a\\x1b[2Jb: is nothing that CodeDeploy knows" in stderr
    assert "\x1b" not in stderr


def test_an_appspec_that_cannot_be_read_is_told(shell: Shell) -> None:
    # The memory of a process is a file that nobody reads at its beginning, not even root.
    code, _, stderr = shell.here_and_now("validate", "/proc/self/mem")
    assert (code, stderr) == (2, "push: /proc/self/mem cannot be read: Input/output error")


TARGETS = """
[target.site]
strategy = "dir"
path = "/srv/www"

[target.nowhere]
strategy = "s3"
bucket = "bundles"

[target.tasks]
strategy = "codedeploy"
platform = "ecs"
application = "a"
deployment_group = "g"
region = "eu-west-1"
task_definition = "task.json"
"""


@pytest.mark.parametrize(
    ("target", "task", "told", "hint"),
    [
        ("site", "", "site is a target of dir, not of codedeploy or s3", "name another target: push targets"),
        ("nowhere", "", "the region of nowhere is not known", "add --region NAME, or region to the target"),
        ("tasks", None, "task.json cannot be read: No such file or directory", "the roles that a task definition"),
        ("tasks", "{", "task.json cannot be read: it is no JSON", "the roles that a task definition"),
        ("tasks", '{"taskDefinition": {}}', "task.json is no task definition", "it is an object with `family`"),
    ],
)
def test_what_policies_cannot_be_made_for_is_told(
    shell: Shell, target: str, task: str | None, told: str, hint: str
) -> None:
    (shell.here / "appspec.yml").unlink()
    shell.write("Pushfile", TARGETS)
    if task is not None:
        shell.write("task.json", task)
    code, stdout, stderr = shell.here_and_now("iam", "--account", "111122223333", target)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"push: {told}\n  hint: {hint}")
