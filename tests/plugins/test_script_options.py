"""The options of the strategy `script`: what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import ValidationError

from pushkit import PushfileError, hookimpl
from pushkit.options import schema_of
from pushkit.pushfile import parse
from pushkit_script import pushkit_strategy
from pushkit_script.options import ScriptOptions
from pushkit_script.strategy import ScriptStrategy


def refusal(**options: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        ScriptOptions.of(options)
    return str(caught.value)


def test_either_a_command_line_or_a_script() -> None:
    assert "either `run` or `script`" in refusal()
    assert "found both" in refusal(run="make", script="deploy")
    assert "either `run` or `script`" in refusal(run="  ")


def test_arguments_belong_to_a_script_and_a_shell_to_a_command_line() -> None:
    assert "`args` are the arguments of `script`" in refusal(run="make", args=["deploy"])
    assert "`shell` is for `run`" in refusal(script="deploy", shell=True)


def test_a_command_line_has_to_be_one() -> None:
    assert "not a command line: no closing quotation" in refusal(run="echo 'hello")


def test_each_of_several_command_lines_has_to_be_one() -> None:
    assert "one of the command lines is empty" in refusal(run=["make", " "])
    assert "not a command line" in refusal(run="make", rollback=["a", "b'"])
    assert "either `run` or `script`" in refusal(run=[])


@pytest.mark.parametrize("path", ["/usr/bin/make", "../deploy", "bin/../../deploy", "..", "./"])
def test_a_script_lies_in_the_project(path: str) -> None:
    assert "expected a file of the project" in refusal(script=path)


def test_a_variable_has_a_name_that_a_shell_can_use() -> None:
    assert "'A-B' cannot be the name of a variable" in refusal(run="make", environment={"A-B": "1"})
    assert "set by push" in refusal(run="make", environment={"PUSH_TARGET": "1"})


@pytest.mark.parametrize("options", [{"run": "a\0b"}, {"script": "a", "args": ["\0"]}, {"script": "a\0"}])
def test_a_null_character_is_refused(options: dict[str, Any]) -> None:
    assert "null character" in refusal(**options)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_timeout_is_a_number_of_seconds(seconds: float) -> None:
    assert "timeout" in refusal(run="make", timeout=seconds)


def test_a_secret_is_not_shown_in_a_refusal() -> None:
    assert "s3cr3t" not in refusal(run="make", environment={"TOKEN": "s3cr3t\0"})


@pytest.mark.parametrize(
    "where", ['run = "deploy ${env:TOKEN}"', 'script = "${env:X}"', 'script = "a"\nargs = ["${env:X}"]']
)
def test_a_reference_on_a_command_line_is_refused_and_says_what_to_do_instead(where: str, tmp_path: Path) -> None:
    text = f'[target.t]\nstrategy = "script"\n{where}\nenvironment = {{ TOKEN = "${{env:TOKEN}}" }}\n'
    with pytest.raises(PushfileError) as caught:
        parse(text, tmp_path / "Pushfile")
    (problem,) = caught.value.problems
    assert problem.message == "no reference is allowed here: others can see the value"
    assert "set a variable in `environment` to it" in problem.hint
    assert problem.line == text.splitlines().index(where.splitlines()[-1]) + 1


def test_what_only_looks_like_a_reference_is_allowed_on_a_command_line(tmp_path: Path) -> None:
    text = '[target.t]\nstrategy = "script"\nshell = true\nrun = "deploy $TOKEN $${HOME}"\n'
    assert parse(text, tmp_path / "Pushfile").targets


def test_every_option_is_described() -> None:
    assert all(part["description"] for part in schema_of(ScriptOptions)["properties"].values())


def test_the_module_is_a_plugin() -> None:
    assert pushkit_strategy() is ScriptStrategy
    assert hasattr(pushkit_strategy, f"{hookimpl.project_name}_impl")
