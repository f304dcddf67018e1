"""The first word of a command line, and how what went wrong is told."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import click
import pytest

from cli.project import PUSH, Project
from pushkit import cli, commands
from pushkit.cli import group


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("chek", 'did you mean "check"?'),
        ("prodution", 'did you mean "production"?'),
        ("xyzzy", "push targets lists the targets, push --help the commands"),
    ],
)
def test_a_word_that_means_nothing_gets_a_suggestion_over_commands_and_targets(
    project: Project, word: str, hint: str
) -> None:
    done = project.push(word)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f'push: "{word}" is neither a command nor a target\n  hint: {hint}\n'


def test_a_misspelt_command_is_told_where_there_is_no_pushfile(project: Project) -> None:
    (project.root / "Pushfile").unlink()
    done = project.push("chek")
    assert done.returncode == 2
    assert 'did you mean "check"?' in done.stderr


def test_a_bare_push_without_a_pushfile_says_how_to_begin(project: Project) -> None:
    (project.root / "Pushfile").unlink()
    done = project.push()
    assert done.returncode == 2
    assert "no Pushfile" in done.stderr
    assert "push init" in done.stderr


def test_a_command_of_a_plugin_runs_and_needs_no_pushfile(project: Project) -> None:
    (project.root / "Pushfile").unlink()
    done = project.push("shout", "hello")
    assert (done.returncode, done.stdout) == (0, "HELLO\n")


def test_a_plugins_command_is_not_hidden_by_a_broken_pushfile(project: Project) -> None:
    (project.root / "Pushfile").write_text("[target")
    assert project.push("shout", "hello").stdout == "HELLO\n"


def test_a_target_named_like_a_plugins_command_is_the_target(project: Project) -> None:
    project.acme(shout="well")
    assert project.push("shout").stdout == "000002-acme\n"


def test_a_command_after_a_target_is_told_to_go_first(project: Project) -> None:
    done = project.push("production", "check")
    assert done.returncode == 2
    assert "a command goes first: push check" in done.stderr


@pytest.mark.parametrize("arguments", [["--bogus"], ["check", "--jsn"], ["rollback", "a", "b", "c"]])
def test_clicks_own_errors_have_the_same_voice(project: Project, arguments: list[str]) -> None:
    done = project.push(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    message, hint = done.stderr.splitlines()
    assert message.startswith("push: ")
    assert message[6].islower()
    assert hint.startswith("  hint: ")


def test_every_problem_of_a_pushfile_is_a_line_with_its_place(project: Project) -> None:
    project.write(production='strategy = "dir"\npth = "../live"\nkeep = "many"')
    done = project.push("check")
    assert (done.returncode, done.stdout) == (3, "")
    lines = done.stderr.splitlines()
    assert any(line.startswith("Pushfile:3: target.production.pth: ") for line in lines)
    assert any(line.startswith("Pushfile:4: target.production.keep: ") for line in lines)
    assert lines[-1].startswith("push: Pushfile: ")


def test_a_broken_target_that_was_not_selected_stops_nothing(project: Project) -> None:
    project.write(broken='strategy = "dir"', good='strategy = "acme"')
    assert project.push("good").returncode == 0
    assert project.push("broken").returncode == 3


def test_a_bug_names_the_distribution_and_shows_no_traceback(project: Project) -> None:
    project.acme(production="bug")
    done = project.push()
    assert (done.returncode, done.stdout) == (1, "")
    assert "push: this is a bug in acme-push 1.5: ValueError: boom" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("asked", ["option", "environment"])
def test_a_bug_shows_its_traceback_when_asked(project: Project, asked: str) -> None:
    project.acme(production="bug")
    done = project.push("-v") if asked == "option" else project.push(PUSHKIT_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "acme_push.py" in done.stderr


def test_no_secret_is_in_an_error_nor_in_a_traceback(project: Project) -> None:
    for do in ("bug", "several"):
        project.write(production=f'strategy = "acme"\ndo = "{do}"\nsecret = "${{env:TOKEN}}"')
        done = project.push("-v", "production", TOKEN="hunter-two-hunter")
        assert done.returncode
        assert "hunter-two" not in done.stderr + done.stdout
        assert "[secret:" in done.stderr


def test_every_failure_of_a_group_is_told(project: Project) -> None:
    project.acme(production="several")
    done = project.push()
    assert done.returncode in {7, 8}
    for number in range(3):
        assert f"part-{number} was not taken" in done.stderr


def test_a_reader_that_goes_away_ends_push_quietly(project: Project) -> None:
    for number in range(5000):
        (project.root / f"file-with-a-name-that-fills-the-pipe-{number:06}.txt").touch()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PUSH, "files"],
        cwd=project.root,
        env=project.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


def test_output_that_cannot_be_written_is_an_error_and_no_bug(project: Project) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [PUSH, "files", "-q"],
            cwd=project.root,
            env=project.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "push: stdout cannot be written: no space left on device\n")


@pytest.mark.parametrize("how", ["--quiet", "--json"])
def test_an_id_that_nobody_gets_is_exit_code_8_and_says_what_is_live(project: Project, how: str) -> None:
    project.acme(one="well", two="well")
    with open("/dev/full", "w") as full:
        done = project.push(how, "one", "two", stdout=full.fileno())
    assert done.returncode == 8
    assert done.stderr.splitlines() == [
        "push: 000002-acme is live on one, but stdout cannot be written: no space left on device",
        "  not started: two",
    ]


@pytest.mark.parametrize("how", ["--quiet", "--json"])
def test_a_reader_that_goes_away_is_exit_code_141_and_what_was_not_started_is_told(project: Project, how: str) -> None:
    project.acme(one="well", two="well")
    reader, writer = os.pipe()
    os.close(reader)
    done = project.push("-q", "one", "two", stdout=writer)
    assert (done.returncode, done.stderr) == (141, "push: nobody reads stdout\n  not started: two\n")
    done = project.push("-q", "one", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("line", ["check --json --bogus", "check --bogus --json", "chek --json", "files -0 --json"])
def test_a_command_line_that_is_wrong_is_json_too_where_json_is_asked_for(project: Project, line: str) -> None:
    done = project.push(*line.split())
    event = json.loads(done.stdout)
    assert (done.returncode, event["event"], event["exit_code"]) == (2, "error", 2)
    assert f"push: {event['message']}\n" in done.stderr


@pytest.mark.parametrize("name", [*group.COMMANDS, "push", "shout"])
def test_every_command_takes_the_common_options_before_its_name_and_after(project: Project, name: str) -> None:
    # Of a command line with --help, the options are read and nothing is done.
    options = ["-q", "-v", "--no-color"]
    for arguments in ([*options, name, "--help"], [name, *options, "--help"]):
        done = project.push(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert all(option in done.stdout for option in options)


def test_quiet_leaves_data_and_what_is_wrong(project: Project) -> None:
    for before, after in (["-q"], []), ([], ["-q"]):
        done = project.push(*before, "completion", "bash", *after)
        assert (done.stdout.count("\n"), done.stderr) == (1, "")
        done = project.push(*before, "targets", *after)
        assert (done.stdout, done.stderr) == ("production  dir  ../live  default\n", "")
        assert "did you mean" in project.push(*before, "explain", "dri", *after).stderr
    done = project.push("demo", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verbose_after_any_command_shows_where_a_bug_is(project: Project) -> None:
    (project.root.parent / "site/acme_push.py").write_text("import click\n" + COMMAND)
    done = project.push("shout", "x", "-v")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_plugins_command_keeps_the_options_that_are_its_own(project: Project) -> None:
    (project.root.parent / "site/acme_push.py").write_text("import click\n" + COMMAND)
    assert project.push("shout", "x", "-q", "loud").stdout == "x loud\n"
    assert project.push("shout", "--no-color", "x", "-q", "loud").stdout == "x loud\n"


COMMAND = """
from pushkit import hookimpl

class Commands:
    @hookimpl
    def pushkit_command(self):
        @click.command()
        @click.argument("word")
        @click.option("-q", "quality")
        def shout(word, quality):
            click.echo(f"{word} {quality.lower()}")
        return shout

commands = Commands()
"""


def test_every_command_has_a_module_a_line_of_help_and_a_reserved_name() -> None:
    assert set(group.COMMANDS) <= set(commands.COMMANDS)
    context = click.Context(group.group)
    for name, text in group.COMMANDS.items():
        command = group.group.get_command(context, name)
        assert isinstance(command, click.Command), name
        assert command.help, name
        assert text.endswith("."), name
        assert all(option.help for option in command.params if isinstance(option, click.Option)), name


def test_windows_is_told_where_push_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # In process: there is no Windows to try it on, and nothing of POSIX may be imported before.
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "argv", ["C:\\bin\\push", "production"])
    assert cli.main() == 2
    assert "on Windows, push runs in WSL" in capsys.readouterr().err


def test_the_twin_tells_its_own_name(project: Project) -> None:
    twin = PUSH.removesuffix("push") + "pushkit"
    done = subprocess.run([twin, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pushkit ")
    done = subprocess.run([twin, "xyzzy"], cwd=project.root, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("pushkit: ")


def test_a_name_that_the_encoding_cannot_show_ends_nothing(project: Project) -> None:
    (project.root / "grün.txt").touch()
    done = project.push("files", PYTHONIOENCODING="ascii:strict", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "gr\\xfcn.txt" in done.stdout


def test_a_closed_stdout_is_nowhere_and_no_error(project: Project) -> None:
    for command in ("push", "status", "files", "--version"):
        words = f"{shlex.quote(PUSH)} {command} >&-"
        done = subprocess.run(
            ["sh", "-c", words], cwd=project.root, env=project.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert (project.root.parent / "live/current/index.html").exists()


@pytest.mark.parametrize(("command", "missing"), [("explain", "STRATEGY"), ("completion", "bash|zsh|fish")])
def test_a_missing_argument_is_named(project: Project, command: str, missing: str) -> None:
    done = project.push(command)
    assert done.returncode == 2
    assert "missing argument" in done.stderr.lower()
    assert missing in done.stderr
    assert "\\n" not in done.stderr


def test_a_directory_that_is_gone_is_told_and_needs_none_where_the_pushfile_is_named(project: Project) -> None:
    gone = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"'
    for arguments, code, said in (
        (("targets",), 2, "the current directory does not exist any more"),
        (("-f", str(project.root / "Pushfile"), "targets"), 0, ""),
    ):
        done = subprocess.run(
            ["sh", "-c", gone, PUSH, *arguments],
            cwd=project.root.parent,
            env=project.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert "bug" not in done.stderr
