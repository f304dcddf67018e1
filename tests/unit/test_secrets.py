"""References and the sources that come with pushkit."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from distributions import importable, install
from pushkit import registry
from pushkit.errors import Interrupted, PushfileError, PushkitError
from pushkit.model import Project, Target
from pushkit.once import Once
from pushkit.pushfile import options
from pushkit.resolver import Resolver
from pushkit.secrets.redaction import Redactor
from pushkit.secrets.references import Reference, parse, refers, replaced, texts
from pushkit.secrets.source import Lookup
from pushkit.secrets.sources import command


def resolved(source: str, argument: str, root: Path) -> str:
    return registry.secret_source(source)(argument, Lookup(root))


def failure(source: str, argument: str, root: Path) -> PushkitError:
    with pytest.raises(PushkitError) as caught:
        resolved(source, argument, root)
    return caught.value


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain $HOME {release} $", ["plain $HOME {release} $"]),
        ("", []),
        ("${env:A}", [Reference("env", "A")]),
        ("a-${env:A}${file:b c}-z", ["a-", Reference("env", "A"), Reference("file", "b c"), "-z"]),
        ("${command:op read 'op://v/i'}", [Reference("command", "op read 'op://v/i'")]),
        ("$${env:A}", ["${", "env:A}"]),
        ("$$${env:A}", ["$", "${", "env:A}"]),
        ("${a-b_2:x:y}", [Reference("a-b_2", "x:y")]),
    ],
)
def test_a_text_is_split_into_literals_and_references(text: str, parts: list[str | Reference]) -> None:
    assert parse(text) == parts


@pytest.mark.parametrize("text", ["${", "${}", "${HOME}", "${env:}", "${:x}", "x ${env:A", "${1:x}"])
def test_what_only_looks_like_a_reference_is_refused(text: str) -> None:
    with pytest.raises(PushkitError) as caught:
        parse(text)
    assert "$${" in caught.value.hint
    assert refers(text)


def test_references_are_found_and_replaced_at_any_depth() -> None:
    table = {"a": ["x", {"b": "${env:A}"}], "n": 1, "c": "$${"}
    assert refers(table)
    assert not refers({"a": ["x", 1], "c": "$${env:A}"})
    assert dict(texts(table)) == {("a", 0): "x", ("a", 1, "b"): "${env:A}", ("c",): "$${"}
    assert replaced(table, lambda path, text: f"{path[0]}:{len(text)}") == {
        "a": ["a:1", {"b": "a:8"}],
        "n": 1,
        "c": "c:3",
    }


def test_env_reads_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_TEST_TOKEN", " kept as it is\n")
    assert resolved("env", "PUSH_TEST_TOKEN", tmp_path) == " kept as it is\n"
    monkeypatch.setenv("PUSH_TEST_TOKEN", "")
    assert resolved("env", "PUSH_TEST_TOKEN", tmp_path) == ""
    monkeypatch.delenv("PUSH_TEST_TOKEN")
    error = failure("env", "PUSH_TEST_TOKEN", tmp_path)
    assert error.message == "the environment variable PUSH_TEST_TOKEN is not set"


def test_file_reads_text_relative_to_the_pushfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/token").write_bytes("pä\n\n".encode())
    (tmp_path / "windows").write_bytes(b"word\r\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe hunter2")
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolved("file", "sub/token", tmp_path) == "pä\n"
    assert resolved("file", "~/windows", Path("/")) == "word"
    assert resolved("file", str(tmp_path / "windows"), Path("/")) == "word"
    assert failure("file", "nothing", tmp_path).message == "the file nothing cannot be read: No such file or directory"
    assert "Is a directory" in failure("file", "sub", tmp_path).message
    error = failure("file", "binary", tmp_path)
    assert error.message == "the file binary is not UTF-8 text"
    assert error.__suppress_context__, "the decoder's error holds the content"


@pytest.mark.parametrize("argument", ["service", "/user", "service/", "/"])
def test_a_password_of_the_keyring_is_somebodys(tmp_path: Path, argument: str) -> None:
    error = failure("keyring", argument, tmp_path)
    assert error.message == f"${{keyring:{argument}}} names no user"
    assert error.hint == "write ${keyring:SERVICE/USER}"


def test_command_runs_without_a_shell_in_the_pushfiles_directory(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n\n")
    assert resolved("command", "cat token", tmp_path) == "hunter2\n"
    assert resolved("command", "printf '%s|' 'a b' $HOME ; *", tmp_path) == "a b|$HOME|;|*|"
    assert resolved("command", "cat", tmp_path) == "", "it must not wait for the terminal"


def test_command_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "ask"
    script.write_text("#!/bin/sh\necho asked >> asked\necho value\n")
    script.chmod(0o755)
    once = Once()
    for target in ("blog", "shop", ""):
        assert command.output("./ask", Lookup(tmp_path, target, once=once)) == "value"
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_a_command_that_hangs_is_ended_and_named_and_its_output_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "LIMIT", 0.5)
    script = tmp_path / "vault"
    script.write_text("#!/bin/sh\necho hunter2\nsleep 600 &\necho $! >child\nwait\n")
    script.chmod(0o755)
    error = failure("command", "./vault item", tmp_path)
    assert error.message == "the command `./vault item` did not end within 0.5 seconds"
    assert "by hand" in error.hint
    assert "hunter" not in f"{error!r}{error.__cause__!r}"
    assert ended(tmp_path / "child")


def test_a_command_has_no_terminal_to_ask_at(tmp_path: Path) -> None:
    assert resolved("command", "sh -c '(: </dev/tty) 2>/dev/null || echo none'", tmp_path) == "none"


def test_somebody_who_asks_to_stop_does_not_wait_for_a_command(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    script = tmp_path / "vault"
    script.write_text("#!/bin/sh\necho $$ >child\necho >begun\nexec sleep 600\n")
    script.chmod(0o755)
    target = Target("t", "script", {"run": "true", "environment": {"TOKEN": "${command:./vault}"}})
    project = Project("p", tmp_path / "Pushfile", tmp_path, ".", (), "t", {"t": target})
    cancelled = threading.Event()

    def stop() -> None:
        (tmp_path / "begun").read_text()
        cancelled.set()

    person = threading.Thread(target=stop)
    person.start()
    with pytest.raises(Interrupted):
        options(project, target, Resolver(tmp_path, Redactor(), cancelled=cancelled))
    person.join()
    assert ended(tmp_path / "child")


def test_a_source_that_gives_no_text_is_refused(tmp_path: Path) -> None:
    source = "from pushkit import hookimpl\n@hookimpl\ndef pushkit_secret_source():\n    return lambda *given: 5\n"
    table = {"run": "x", "environment": {"T": "${vault:door}"}}
    target = Target("x", "script", table)
    project = Project("p", tmp_path / "Pushfile", tmp_path, ".", (), "", {"x": target})
    (tmp_path / "Pushfile").touch()
    with importable(tmp_path / "site") as site:
        install(site, "acme", {"acme_v": source}, {"secret_sources:vault": "acme_v"})
        with pytest.raises(PushfileError) as caught:
            options(project, target, Resolver(tmp_path, Redactor()))
    (problem,) = caught.value.problems
    assert problem.path == "target.x.environment.T"
    assert problem.message == "the source of ${vault:door} gave a int where text is expected"
    assert problem.hint == "this is for its authors: push plugins"


def ended(record: Path) -> bool:
    """Whether the process whose id a file holds ends, be it that nobody has waited for it (proc(5), state Z)."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            stat = Path(f"/proc/{record.read_text().strip()}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if stat.rpartition(")")[2].split()[0] in {"Z", "X"}:
            return True
        # One that was killed takes a moment.
        time.sleep(0.01)
    return False


def test_a_failing_command_is_named_and_its_output_is_not(tmp_path: Path) -> None:
    script = tmp_path / "vault"
    script.write_text("#!/bin/sh\necho hunter2\necho hunter3 >&2\nexit 7\n")
    script.chmod(0o755)
    error = failure("command", "./vault item", tmp_path)
    assert error.message == "the command `./vault item` failed with exit code 7"
    assert "hunter" not in f"{error!r}{error.hint}{error.__cause__!r}{error.__context__!r}"
    assert failure("command", "sh -c 'kill -9 $$'", tmp_path).message.endswith("failed with signal 9")
    assert "cannot be started: No such file" in failure("command", "no-such-program x", tmp_path).message
    assert "cannot be split" in failure("command", "echo 'open", tmp_path).message
    error = failure("command", "printf 'hunter2\\377'", tmp_path)
    assert error.message.endswith("printed what is not UTF-8 text")
    assert error.__suppress_context__
