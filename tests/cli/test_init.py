"""``push init``, and the example that it writes from."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from distributions import importable, install_strategy
from pushkit import pushfile, registry
from pushkit.cli.example import example, filled, literal, target_lines, toml_text, used
from pushkit.cli.group import group
from pushkit.cli.settings import Settings
from pushkit.errors import Problem, PushfileError, PushkitError, UsageError
from pushkit.options import schema_of
from pushkit_aws.s3.options import SITE

SHIP = """
    host: Annotated[str, Meta(description="Where it goes.")]
    port: Annotated[int, Meta(ge=1, description="The port.")] = 22
    token: Annotated[Secret, Meta(description="What lets us in.")]
    tags: Annotated[tuple[str, ...], Meta(description="Words.")] = ()
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    project = tmp_path / "blog"
    project.mkdir()
    monkeypatch.chdir(project)
    with importable(tmp_path / "site") as site:
        install_strategy(site, "ship", SHIP)
        yield


def init(*arguments: str) -> None:
    CliRunner().invoke(group, ["init", *arguments], obj=Settings(), catch_exceptions=False, standalone_mode=False)


def refused(*arguments: str, kind: type[PushkitError] = UsageError) -> PushkitError:
    before = sorted(os.listdir())
    with pytest.raises(kind) as caught:
        init(*arguments)
    assert sorted(os.listdir()) == before
    return caught.value


# ---- the example

#: Options of the example that are right only beside others, by strategy.
KEYS = {
    "access_key_id": {"secret_access_key": ""},
    "secret_access_key": {"access_key_id": ""},
    "session_token": {"access_key_id": "", "secret_access_key": ""},
}
FUNCTION = {"platform": '"lambda"', "function": "", "application": '""', "deployment_group": '""', "bucket": '""'}
SERVICE = {"platform": '"ecs"', "task_definition": "", "bucket": '""'}
TOGETHER = {
    "codedeploy": {
        **KEYS,
        **dict.fromkeys(("function", "alias", "shift", "pause", "check"), FUNCTION),
        **dict.fromkeys(("task_definition", "images", "container", "port"), SERVICE),
        "hooks": {"platform": '"lambda"', "function": ""},
    },
    "git": {
        "user": {"token": ""},
        "auth": {"token": ""},
        "allow_dirty": {"what": '"commit"'},
        "key": {"remote": '"git@git.example.com:blog.git"'},
        "known_hosts": {"remote": '"git@git.example.com:blog.git"'},
    },
    "heroku": {"allow_dirty": {"what": '"commit"'}, "region": {"create": "true"}, "team": {"create": "true"}},
    "http": {
        "token_header": {"token": ""},
        "user": {"password": ""},
        "password": {"user": ""},
        "form": {"method": '"multipart"'},
    },
    "s3": {
        **KEYS,
        "pipeline_start": {"pipeline": ""},
        "origin_path": {"distribution": ""},
    },
    "sftp": {
        "hosts": {"host": '""'},
        "pools": {"host": '""', "traffic": ""},
        "traffic": {"host": '""', "pools": ""},
        **{key: {"hosts": "", "host": '""'} for key in ("lock_host", "rollout", "health")},
        "via": {"hosts": "", "host": '""', "store": ""},
        "store": {"hosts": "", "host": '""', "via": ""},
    },
}
BUILT_IN = [plugin.name for plugin in registry.names("strategies") if plugin.distribution == "pushkit"]


def test_the_example_is_a_valid_pushfile_with_every_strategy(tmp_path: Path) -> None:
    tables = tomllib.loads(example())["target"]
    project = pushfile.parse(example(), tmp_path / "Pushfile", list(tables))
    assert {target.strategy for target in project.targets.values()} == set(BUILT_IN)


@pytest.mark.parametrize("strategy", BUILT_IN)
def test_the_example_shows_every_option_with_a_comment(strategy: str, tmp_path: Path) -> None:
    lines = target_lines(strategy, {})
    options = registry.strategy(strategy).Options
    matches = [match for line in lines if (match := re.fullmatch(r"#?(\w+) = (.+?)(  *# .+)?", line))]
    assert all(match[3] for match in matches if match[1] != "strategy")
    shown = {match[1]: match[2] for match in matches if match[1] != "strategy"}
    assert set(shown) == {*options.__struct_encode_fields__, "ignore", "include"}
    for key, value in shown.items():
        # Each is right where it is put to use, beside those that are in use or, for some, instead of them.
        values = {each: shown[each] for each in used(lines)} | {key: value}
        if key in {"script", "args"}:
            values = {"script": shown["script"], key: value}
        for one, others in TOGETHER.get(strategy, {}).items():
            if key == one:
                values |= {each: text or shown[each] for each, text in others.items()}
        if strategy == "s3" and key in SITE:
            values["mode"] = '"site"'
        pushfile.parse("\n".join(filled(lines, values, "x")), tmp_path / "Pushfile", ["x"])


# ---- flags


def test_flags_write_a_valid_pushfile_and_its_schema() -> None:
    init("--strategy", "sftp", "--target", "web", "--set", "host=web1", "--set", "path=/srv/blog", "--set", "port=2222")
    assert sorted(os.listdir()) == [".push", "Pushfile"]
    text = Path("Pushfile").read_text()
    assert text.startswith("#:schema ./.push/schema.json\n")
    project = pushfile.load(Path("Pushfile"))
    assert (project.name, project.default) == ("blog", "web")
    assert project.targets["web"].table == {"host": "web1", "path": "/srv/blog", "port": 2222}
    assert "#keep = 5   " in text, "the example's other options are there to be put to use"


def test_f_says_where_to_write(tmp_path: Path) -> None:
    init("-f", "other", "--strategy", "dir", "--set", "path=/srv/blog", "--name", 'a "b"')
    assert pushfile.load(Path("other")).name == 'a "b"'


@pytest.mark.parametrize("name", ["a.b", "Web-1"])
def test_a_name_that_toml_has_to_quote(name: str) -> None:
    init("--strategy", "dir", "--target", name, "--set", "path=x")
    assert list(pushfile.load(Path("Pushfile")).targets) == [name]


def test_a_strategy_that_the_example_does_not_know_is_written_from_its_options() -> None:
    init("--strategy", "ship", "--set", "host=h", "--set", "token=${env:TOKEN}", "--set", 'tags=["a", "b"]')
    text = Path("Pushfile").read_text()
    assert "#port = 22  # The port.\n" in text
    assert 'host = "h"  # Where it goes.\n' in text
    assert pushfile.load(Path("Pushfile")).targets["production"].table == {
        "host": "h",
        "token": "${env:TOKEN}",
        "tags": ["a", "b"],
    }


def test_without_a_terminal_and_without_flags_the_flags_are_named() -> None:
    error = refused()
    for flag in ("--strategy", "--target", "--set"):
        assert flag in error.hint
    error = refused("--strategy", "sftp")
    assert error.message == "the strategy sftp needs path"
    assert error.hint == "add --set path=... --set host=..."


def test_wrong_values_are_all_named_and_nothing_is_written() -> None:
    error = refused("--strategy", "dir", "--set", "path=x", "--set", "keep=none", "--set", "kep=3")
    assert "target.production.keep: expected a whole number of at least 1, found text" in error.message
    assert 'target.production.kep: unknown option (did you mean "keep"?)' in error.message
    assert "expected OPTION=VALUE" in refused("--strategy", "dir", "--set", "path").message
    assert "is a command" in refused("--strategy", "dir", "--set", "path=x", "--target", "status").message
    assert "expected either `run` or `script`" in refused("--strategy", "script").message


def test_an_unknown_strategy_is_the_error_that_it_is_in_a_pushfile() -> None:
    error = refused("--strategy", "sfpt", kind=PushfileError)
    assert isinstance(error, PushfileError)
    assert error.problems == (
        Problem(0, "target.production.strategy", 'there is no strategy "sfpt"; did you mean "sftp"?'),
    )


def test_an_unknown_option_is_named_before_the_missing_ones() -> None:
    error = refused("--strategy", "sftp", "--set", "hots=web1")
    assert error.message == 'target.production.hots: unknown option (did you mean "hosts"?)'


@pytest.mark.parametrize("make", ["file", "directory", "dangling link"])
def test_what_is_there_is_never_overwritten(make: str) -> None:
    path = Path("Pushfile")
    if make == "file":
        path.write_text("mine")
    elif make == "directory":
        path.mkdir()
        (path / "Pushfile").write_text("mine")
    else:
        path.symlink_to("elsewhere")
    assert "is there already" in refused("--strategy", "dir", "--set", "path=x").message
    assert not Path("elsewhere").exists()


# ---- a terminal


def on_a_terminal(*arguments: str, answers: list[str]) -> tuple[int, str]:
    """The exit code of ``push init`` and what a person sees; each answer is typed after a question is there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pushkit.cli import main; sys.exit(main())", "init", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(Path.cwd().parent / "site")},
    )
    os.close(theirs)
    seen = b""
    asked = 0
    while True:
        ready, _, _ = select.select([ours], [], [], 30)
        assert ready, f"no more questions after {seen!r}"
        try:
            data = os.read(ours, 4096)
        except OSError:  # Linux: the other side is closed
            break
        if not data:
            break
        seen += data
        if seen[asked:].endswith(b": ") and answers:
            asked = len(seen)
            os.write(ours, answers.pop(0).encode() + b"\n")
    os.close(ours)
    return process.wait(30), seen.decode()


def test_on_a_terminal_it_asks() -> None:
    code, seen = on_a_terminal(answers=["", "web", "sftp", "deploy@web1", "/srv/blog"])
    assert code == 0, seen
    assert "What is the project called? [blog]" in seen
    project = pushfile.load(Path("Pushfile"))
    assert project.name == "blog"
    assert project.targets["web"].table == {"host": "deploy@web1", "path": "/srv/blog"}


def test_on_a_terminal_flags_answer_beforehand_and_secrets_are_referred_to() -> None:
    code, seen = on_a_terminal("--name", "b", "--target", "web", "--strategy", "ship", answers=["h", ""])
    assert code == 0, seen
    assert "token: What lets us in." in seen
    assert pushfile.load(Path("Pushfile")).targets["web"].table == {"host": "h", "token": "${env:WEB_TOKEN}"}


def test_on_a_terminal_the_example_says_what_to_ask_for() -> None:
    code, seen = on_a_terminal("--strategy", "script", "--target", "x", answers=["b", "make deploy"])
    assert code == 0, seen
    assert pushfile.load(Path("Pushfile")).targets["x"].table == {"run": "make deploy"}


def test_on_a_terminal_a_wrong_answer_is_asked_again_with_the_reason() -> None:
    answers = ["b", "status", "a b", "web", "sfpt", "ship", "", "h", "${nope:x}", "${env:T}"]
    code, seen = on_a_terminal(answers=answers)
    assert (code, answers) == (0, []), seen
    reasons = (
        "`push status` is a command",
        "not a name for a target",
        'there is no strategy "sfpt"; did you mean "sftp"?',
        "missing, expected text",
        'there is no secret source "nope"',
    )
    found = [seen.find(reason) for reason in reasons]
    assert -1 not in found, seen
    assert found == sorted(found)
    assert pushfile.load(Path("Pushfile")).targets["web"].table == {"host": "h", "token": "${env:T}"}


def test_on_a_terminal_options_that_are_wrong_together_are_asked_again() -> None:
    code, seen = on_a_terminal("--name", "b", "--target", "x", "--strategy", "script", answers=["", "make deploy"])
    assert code == 0, seen
    assert "expected either `run` or `script`" in seen


def test_on_a_terminal_a_wrong_flag_is_told_before_anything_is_asked() -> None:
    arguments = ("--name", "b", "--target", "x", "--strategy", "ship", "--set", "prot=1")
    code, seen = on_a_terminal(*arguments, answers=[])
    assert code == 2
    assert "target.x.prot: unknown option" in seen
    assert "Where it goes." not in seen


def test_where_no_pushfile_can_be_written_is_told(tmp_path: Path) -> None:
    flags = ("--name", "b", "--strategy", "ship", "--set", "host=h", "--set", "token=${env:T}")
    file = "x" * 300
    with pytest.raises(UsageError) as caught:
        init("-f", file, *flags)
    assert caught.value.message == f"{tmp_path}/blog/{file} cannot be written: File name too long"
    shutil.rmtree(".push")
    Path(".push").write_text("mine")
    with pytest.raises(UsageError) as caught:
        init(*flags)
    assert caught.value.message == f"{tmp_path}/blog/.push/schema.json cannot be written: File exists"
    assert not Path("Pushfile").exists()


# ---- how values are written


@pytest.mark.parametrize("text", ["", 'a"b\\c', "tab\t", "\x7f\x00", "ünï 🚀", "line\nbreak", "${env:X}"])
def test_any_text_is_written_as_toml(text: str) -> None:
    assert tomllib.loads(f"v = {toml_text(text)}")["v"] == text


def test_typed_values_are_written_by_the_options_type() -> None:
    schema = schema_of(registry.strategy("ship").Options)
    assert literal("22", "port", schema) == "22"
    assert literal("22", "host", schema) == '"22"'
    assert literal("22", "unknown", schema) == '"22"'
    assert literal("${env:PORT}", "port", schema) == '"${env:PORT}"'
    assert literal("1\nx = 2", "port", schema) == '"1\\nx = 2"'
    assert literal('["a"]', "tags", schema) == '["a"]'


def test_comments_stay_in_their_column() -> None:
    lines = ["[target.a]", "one = 1     # One.", "#two = 2    # Two."]
    assert filled(lines, {"two": "22"}, "x") == ["[target.x]", "#one = 1    # One.", "two = 22    # Two."]
    assert filled(lines, {"one": "1234567890"}, "x")[1] == "one = 1234567890  # One."
