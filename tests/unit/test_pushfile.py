"""The Pushfile: what it describes, and everything that is wrong with it, at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

from distributions import forget, importable, install, install_strategy
from pushkit import pushfile
from pushkit.commands import COMMANDS
from pushkit.errors import PluginError, Problem, PushfileError, UsageError
from pushkit.model import Project
from pushkit.resolver import Resolver
from pushkit.secrets.redaction import Redactor

SHIP = """
    host: Annotated[str, Meta(description="Where it goes.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="The port.")] = 22
    layout: __import__("typing").Literal["releases", "mirror"] = "releases"
    hosts: tuple[str, ...] = ()
    password: Secret | None = None
    health: str | Health | None = None

    @checks("host")
    @classmethod
    def check_host(cls, value):
        if " " in value:
            raise ValueError(f"a host has no spaces, unlike {value}")
        return value
"""
HEALTH = """
class Health(Options):
    url: str
    within: float = 30
"""


@pytest.fixture(scope="module", autouse=True)
def _strategies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with importable(tmp_path_factory.mktemp("strategies") / "site") as site:
        install_strategy(site, "ship", SHIP)
        module = site / "acme_ship.py"
        module.write_text(module.read_text().replace("class shipOptions", f"{HEALTH}\nclass shipOptions"))
        install(site, "acme-broken", {"acme_broken": "import nothing_like_this"}, {"strategies:broken": "acme_broken"})
        forget()
        yield


def written(directory: Path, text: str) -> Path:
    path = directory / "Pushfile"
    path.write_text(text)
    return path


def problems(directory: Path, text: str, select: tuple[str, ...] | None = ()) -> list[Problem]:
    with pytest.raises(PushfileError) as caught:
        pushfile.load(written(directory, text), select)
    return list(caught.value.problems)


def problem(directory: Path, text: str) -> Problem:
    (only,) = problems(directory, text)
    return only


# ---- finding


def test_the_pushfile_of_a_directory_is_in_it_or_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "")
    deep = tmp_path / "a/b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert pushfile.find() == path
    nearer = written(tmp_path / "a", "")
    assert pushfile.find() == nearer
    assert pushfile.find(tmp_path) == path
    assert pushfile.find("../../Pushfile").samefile(path)


def test_no_pushfile_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pushfile").mkdir()  # a directory of that name is none
    with pytest.raises(UsageError) as caught:
        pushfile.find()
    assert "push init" in caught.value.hint
    for given in ("Other", "."):
        with pytest.raises(UsageError):
            pushfile.load(pushfile.find(given))


# ---- what it describes


def test_a_whole_project(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
[project]
name = "blog"
source = "git:HEAD"
ignore = ["*.log", "!keep.log"]
default = "b"
[target.a]
strategy = "ship"
host = "web"
[target.b]
strategy = "ship"
host = "web"
ignore = ["x"]
include = ["dist/"]
""",
    )
    project = pushfile.load(path)
    assert (project.name, project.source, project.default) == ("blog", "git:HEAD", "b")
    assert (project.pushfile, project.root) == (path, tmp_path)
    assert project.ignore == ("*.log", "!keep.log")
    assert list(project.targets) == ["a", "b"]
    target = project.targets["b"]
    assert (target.strategy, target.table, target.ignore, target.include) == (
        "ship",
        {"host": "web"},
        ("x",),
        ("dist/",),
    )


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    project = pushfile.load(written(tmp_path, '[target.only]\nstrategy = "ship"\nhost = "web"\n'))
    assert (project.name, project.source, project.default, project.ignore) == (tmp_path.name, ".", "only", ())


# ---- selection


TWO = '[target.good]\nstrategy = "ship"\nhost = "web"\n[target.bad]\nstrategy = "ship"\nport = "x"\nignore = 3\n'


def test_a_broken_target_stops_only_those_who_select_it(tmp_path: Path) -> None:
    path = written(tmp_path, TWO)
    assert pushfile.load(path, ["good"]).targets["bad"].strategy == "ship"
    assert set(pushfile.load(path, None).targets) == {"good", "bad"}
    assert {each.path for each in problems(tmp_path, TWO, ("good", "bad"))} == {
        "target.bad.host",
        "target.bad.port",
        "target.bad.ignore",
    }


def test_several_targets_without_a_default_have_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        pushfile.load(written(tmp_path, TWO))
    assert "good, bad" in caught.value.message
    assert caught.value.exit_code == 2


def test_an_unknown_target_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        pushfile.load(written(tmp_path, TWO), ["godo"])
    assert caught.value.hint == 'did you mean "good"?'
    with pytest.raises(UsageError) as caught:
        pushfile.load(written(tmp_path, TWO), ["zzz"])
    assert caught.value.hint == "targets: good, bad"


def test_the_names_of_targets_need_no_valid_target(tmp_path: Path) -> None:
    assert pushfile.names(written(tmp_path, "[target.a]\n[target.b]\nx = 1")) == ("a", "b")


def test_only_selected_strategies_are_imported(tmp_path: Path) -> None:
    path = written(tmp_path, '[target.a]\nstrategy = "sftp"\n[target.b]\nstrategy = "script"\nrun = "true"\n')
    code = (
        "import sys; from pathlib import Path; from pushkit import pushfile\n"
        f"pushfile.load(Path({str(path)!r}), None)\n"
        "assert not {'pushkit.options', 'pushkit_sftp', 'pushkit_script'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- problems


SIX = """\
[project]
nmae = "blog"

[target.production]
strategy = "ship"
host = "web"
prot = 22
port = "many"
layout = "mirrored"
hosts = ["a", 5]
ignore = "*.log"
"""


def test_six_mistakes_are_six_messages_in_one_run(tmp_path: Path) -> None:
    with pytest.raises(PushfileError) as caught:
        pushfile.load(written(tmp_path, SIX))
    assert caught.value.exit_code == 3
    assert caught.value.message.endswith("Pushfile: 6 problems")
    assert caught.value.problems == (
        Problem(2, "project.nmae", "unknown key", 'did you mean "name"?'),
        Problem(7, "target.production.prot", "unknown option", 'did you mean "port"?'),
        Problem(8, "target.production.port", "expected a whole number from 1 to 65535, found text"),
        Problem(9, "target.production.layout", 'expected "mirror" or "releases", found text', 'did you mean "mirror"?'),
        Problem(10, "target.production.hosts[1]", "expected text, found 5"),
        Problem(11, "target.production.ignore", "expected a list of patterns, found text", 'write ["*.log"]'),
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[target.x]\nstrategy = 'ship'\nhost = web.example.com\n", 'write text in straight quotes: host = "..."'),
        ("[target.x]\nstrategy = 'ship'\nhost = \u201cweb\u201d\n", 'write text in straight quotes: host = "..."'),
        ("a = \n", ""),
        ("[production]\nstrategy = 'ship'\n", "a target is written as [target.production]"),
        ("[target.x]\nstrategy = 'ship'\nhost = 'a'\nsource = 'git:v1'\n", "write it into [project]"),
    ],
)
def test_mistakes_of_a_first_pushfile_are_told_with_what_to_write(tmp_path: Path, text: str, hint: str) -> None:
    assert problem(tmp_path, text).hint == hint


X = "[target.x]\nstrategy='ship'\nhost='a'\n"


@pytest.mark.parametrize(
    ("text", "line", "path", "says"),
    [
        ("a = \n", 1, "", "not TOML: invalid value"),
        ("[target.x]\na = 1\na = 2\n", 3, "", "not TOML: cannot overwrite a value"),
        ('a = """\n\n', 1, "", "not TOML"),
        ("", 0, "", "there is no target"),
        ("project = 3", 1, "project", "expected a table, found 3"),
        ("[target]\nx = 'y'", 2, "target.x", "expected a table, found text"),
        ("[targets.x]\nstrategy = 'ship'", 1, "targets", "unknown table"),
        ("[target.x]\nhost = 'web'", 1, "target.x.strategy", "missing, expected the name of a strategy"),
        ("[target.x]\n\nstrategy = 'shipp'", 3, "target.x.strategy", 'there is no strategy "shipp"'),
        ("[target.x]\nstrategy = 7", 2, "target.x.strategy", "expected the name of a strategy, found 7"),
        ("[target.x]\nstrategy = 'ship'\n", 1, "target.x.host", "missing, expected text"),
        ("[target.x]\nstrategy = 'ship'\nhost = true\n", 3, "target.x.host", "expected text, found true"),
        ("[target.x]\nstrategy = 'ship'\nhost = ['a']\n", 3, "target.x.host", "expected text, found a list"),
        ("[target.x]\nstrategy='ship'\nhost='a b'", 3, "target.x.host", "a host has no spaces, unlike a b"),
        (X + "port = 0", 4, "target.x.port", "expected a whole number from 1 to 65535"),
        (X + "health = 3", 4, "target.x.health", "expected text or a table, found 3"),
        (X + "health.ulr = 'u'\nhealth.url=''", 4, "target.x.health.ulr", "unknown option"),
        (X + "[target.x.health]", 4, "target.x.health.url", "missing, expected text"),
        (X + "include = ['a',\n'']", 5, "target.x.include[1]", "expected a pattern, found empty text"),
        ("[target.x]\nstrategy='ship'\nhost='${HOME}'", 3, "target.x.host", "${ begins no reference"),
        ("[target.x]\nstrategy='ship'\nhost='${evn:X}'", 3, "target.x.host", 'there is no secret source "evn"'),
        (X + "hots='${env:X}'", 4, "target.x.hots", "unknown option"),
        ("[target.'a b']\nstrategy='ship'\nhost='a'", 1, 'target."a b"', "not a name for a target"),
        ("[target.status]\nstrategy='ship'\nhost='a'", 1, "target.status", "`push status` is a command"),
        ("[project]\ndefault='y'\n" + X, 2, "project.default", 'no target "y"'),
        ("[project]\nname=''\n" + X, 2, "project.name", "expected text, found empty text"),
        ("[project]\nsource='git:${env:X}'\n" + X, 2, "project.source", "references are only"),
        (X + "[notify.t]\nurl='u'", 4, "notify.t.observer", "missing, expected the name of an observer"),
        (X + "[notify.t]\nobserver='slakc'", 5, "notify.t.observer", 'there is no observer "slakc"'),
    ],
)
def test_a_problem_has_its_line_its_path_and_plain_words(
    tmp_path: Path, text: str, line: int, path: str, says: str
) -> None:
    found = problem(tmp_path, text)
    assert (found.line, found.path) == (line, path)
    assert says in found.message
    for jargon in ("msgspec", "Expected", "`$`", "://", "Input", "type=", " valid ", "Literal", "dict"):
        assert jargon not in found.message + found.hint


def test_no_command_can_be_a_target(tmp_path: Path) -> None:
    text = "".join(f"[target.{name}]\nstrategy = 'ship'\nhost = 'a'\n" for name in COMMANDS)
    assert len(problems(tmp_path, text, None)) == len(COMMANDS)


def test_a_file_that_is_not_text_is_a_problem_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "Pushfile").write_bytes(b"# ok\n# \xff\n")
    with pytest.raises(PushfileError) as caught:
        pushfile.load(tmp_path / "Pushfile")
    assert caught.value.problems == (Problem(2, "", "expected UTF-8 text"),)


def test_what_windows_editors_add_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "Pushfile").write_bytes(b"\xef\xbb\xbf[target.x]\r\nstrategy = 'ship'\r\n\r\nport = 'x'\r\n")
    with pytest.raises(PushfileError) as caught:
        pushfile.load(tmp_path / "Pushfile")
    assert [each.line for each in caught.value.problems] == [1, 4]


def test_an_installed_and_broken_strategy_is_a_plugin_error(tmp_path: Path) -> None:
    path = written(tmp_path, "[target.x]\nstrategy = 'broken'\n[target.y]\nstrategy='ship'\nhost='a'")
    with pytest.raises(PluginError, match=r"acme-broken 1\.0"):
        pushfile.load(path, ["x"])
    assert pushfile.load(path, ["y"]).targets["x"].strategy == "broken"


def test_a_secret_is_never_echoed(tmp_path: Path) -> None:
    found = problem(tmp_path, "[target.x]\nstrategy='ship'\nhost='a'\npassword = ['hunter2']")
    assert found.message == "expected secret text, found a list"


# ---- references


def resolved(project: Project, redactor: Redactor, name: str = "x") -> object:
    return pushfile.options(project, project.targets[name], Resolver(project.root, redactor))


def test_references_are_resolved_when_asked_for_and_known_to_the_redactor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    text = """
[target.x]
strategy = "ship"
host = "${env:PUSH_T_HOST}.example.com"
port = "${env:PUSH_T_PORT}"
password = "${file:token}"
hosts = ["$${literal}", "${command:echo one}"]
[target.y]
strategy = "ship"
host = "${env:PUSH_T_UNSET}"
"""
    project = pushfile.load(written(tmp_path, text), ["x", "y"])
    assert project.targets["x"].table["port"] == "${env:PUSH_T_PORT}"
    monkeypatch.setenv("PUSH_T_HOST", "web-1")
    monkeypatch.setenv("PUSH_T_PORT", "2222")
    redactor = Redactor()
    options = pushfile.options(project, project.targets["x"], Resolver(project.root, redactor))
    values = asdict(options)
    assert (values["host"], values["port"]) == ("web-1.example.com", 2222)
    assert values["hosts"] == ("${literal}", "one")
    assert values["password"].reveal() == "hunter2"
    assert redactor("hunter2 web-1") == "[secret:file:token] [secret:env:PUSH_T_HOST]"


def test_a_secret_is_there_before_it_is_resolved_and_checked_when_it_is(tmp_path: Path) -> None:
    script = tmp_path / "ask"
    script.write_text("#!/bin/sh\necho asked >>asked\ncat value\n")
    script.chmod(0o755)
    text = "[target.x]\nstrategy='http'\nurl='https://example.com/x'\ntoken='${command:./ask}'\n"
    project = pushfile.load(written(tmp_path, text))

    def token() -> Any:
        resolver = Resolver(tmp_path, Redactor())
        return pushfile.options(project, project.targets["x"], resolver, lazily=True).token  # type: ignore[attr-defined]

    lazy = token()
    assert bool(lazy)
    assert "hunter" not in f"{lazy!r}{lazy}"
    assert not (tmp_path / "asked").exists()
    (tmp_path / "value").write_text("hunter2")
    assert (lazy.reveal(), len(lazy)) == ("hunter2", 7)
    assert (tmp_path / "asked").read_text() == "asked\n", "it is remembered"
    for value, words in (("a\nb lines", "token"), ("abc", "fewer than 4"), ("", "is empty")):
        (tmp_path / "value").write_text(value)
        with pytest.raises(PushfileError) as caught:
            token().reveal()
        (problem,) = caught.value.problems
        assert (problem.line, problem.path) == (4, "target.x.token")
        assert words in problem.path + problem.message


def test_what_cannot_be_resolved_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSH_T_UNSET", raising=False)
    monkeypatch.setenv("PUSH_T_PORT", "seventy-seven")
    text = (
        "[target.x]\nstrategy='ship'\nhost='${env:PUSH_T_UNSET}'\nport='${env:PUSH_T_PORT}'\n"
        "password='${command:sh -c \"echo hunter2; exit 3\"}'\n"
    )
    project = pushfile.load(written(tmp_path, text))
    with pytest.raises(PushfileError) as caught:
        resolved(project, Redactor())
    assert [(each.line, each.path, each.message) for each in caught.value.problems] == [
        (3, "target.x.host", "the environment variable PUSH_T_UNSET is not set"),
        (4, "target.x.port", "expected a whole number from 1 to 65535, found text"),
        (5, "target.x.password", 'the command `sh -c "echo hunter2; exit 3"` failed with exit code 3'),
    ]


@pytest.mark.parametrize("value", ["a b", "long value with spaces"])
def test_a_resolved_value_is_not_in_the_message_of_a_strategys_own_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("PUSH_T_HOST", value)
    project = pushfile.load(written(tmp_path, "[target.x]\nstrategy='ship'\nhost='${env:PUSH_T_HOST}'\n"))
    with pytest.raises(PushfileError) as caught:
        resolved(project, Redactor())
    (only,) = caught.value.problems
    assert value not in only.message
    assert only.message.startswith("a host has no spaces, unlike [secret")


def test_a_reference_is_resolved_once_for_a_target(tmp_path: Path) -> None:
    script = tmp_path / "ask"
    script.write_text("#!/bin/sh\necho asked >> asked\necho value\n")
    script.chmod(0o755)
    text = "[target.x]\nstrategy='ship'\nhost='${command:./ask}'\nhosts=['${command:./ask}', '${command:./ask}']"
    project = pushfile.load(written(tmp_path, text))
    resolver = Resolver(tmp_path, Redactor())
    for _ in range(2):
        pushfile.options(project, project.targets["x"], resolver)
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_a_source_of_a_plugin_resolves_its_references(tmp_path: Path) -> None:
    source = (
        "from pushkit import hookimpl\n@hookimpl\ndef pushkit_secret_source():\n"
        "    return lambda argument, lookup: argument[::-1]\n"
    )
    with importable(tmp_path / "site") as site:
        install(site, "acme-vault", {"acme_vault": source}, {"secret_sources:vault": "acme_vault"})
        project = pushfile.load(written(tmp_path, "[target.x]\nstrategy='ship'\nhost='${vault:terces}'\n"))
        redactor = Redactor()
        assert (
            pushfile.options(project, project.targets["x"], Resolver(project.root, redactor)).host  # type: ignore[attr-defined]
            == "secret"
        )
        assert redactor("secret") == "[secret:vault:terces]"


@pytest.mark.parametrize("broken", ["[target]\nbad = 3\n", '[target."a b"]\nx = 1\n', "[[target.bad]]\ny = 1\n"])
def test_a_target_of_any_shape_stops_only_those_who_select_it(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "Pushfile"
    file.write_text(f"{broken}\n[target.good]\nstrategy = 'dir'\npath = 'x'\n")
    project = pushfile.load(file, ["good"])
    (bad,) = set(project.targets) - {"good"}
    with pytest.raises(PushfileError):
        pushfile.load(file, [bad])


def test_a_wrong_path_is_told_in_plain_words(tmp_path: Path) -> None:
    file = tmp_path / "Pushfile"
    file.write_text("[target.web]\nstrategy = 'sftp'\nhost = 'a'\npath = '/x'\nkey = 3\n")
    with pytest.raises(PushfileError) as caught:
        pushfile.load(file)
    (problem,) = caught.value.problems
    assert problem.message == "expected a path, found 3"
