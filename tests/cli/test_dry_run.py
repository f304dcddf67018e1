"""A dry run looks up what it takes to log in, and nothing else: by a source that records each call."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.project import Project
from distributions import importable, install
from pushkit import pushfile, registry
from pushkit.resolver import Resolver
from pushkit.secrets.redaction import Redactor
from pushkit.testing import EmbeddedSsh

RECORDER = """
from pushkit import hookimpl

def recorded(argument, lookup):
    with open(lookup.root.parent / "asked", "a") as file:
        file.write(argument + "\\n")
    return "the-value-of-" + argument

@hookimpl
def pushkit_secret_source():
    return recorded
"""
# Every option of a built-in strategy that may hold a secret.
TABLES = {
    "dir": 'path = "../live"\nenvironment = { A = "${rec:hook}" }',
    "sftp": 'host = "h"\npath = "/p"\npassword = "${rec:a}"\npassphrase = "${rec:b}"\nenvironment = { A = "${rec:c}" }',
    "ftp": 'host = "h"\nuser = "u"\npath = "/p"\npassword = "${rec:login}"',
    "git": 'remote = "https://h/x.git"\nbranch = "b"\ntoken = "${rec:login}"',
    "heroku": 'app = "blog"\ntoken = "${rec:login}"\nconfig = { A = "${rec:config}" }',
    "http": 'url = "https://h/x"\ntoken = "${rec:a}"\nheaders = { X = "${rec:b}" }',
    "s3": 'bucket = "bucket"\nkey = "k"\naccess_key_id = "A"\nsecret_access_key = "${rec:a}"\n'
    'session_token = "${rec:b}"',
    "codedeploy": 'application = "a"\ndeployment_group = "g"\nbucket = "bucket"\naccess_key_id = "A"\n'
    'secret_access_key = "${rec:a}"',
    "script": 'run = "true"\nenvironment = { A = "${rec:hook}" }\nstdin = "${rec:input}"',
}
NOTIFY = '\n[notify.team]\nobserver = "slack"\nurl = "https://localhost:9/${rec:slack}"\n'


@pytest.fixture
def recording(project: Project, tmp_path: Path) -> Path:
    """Where the source ``rec`` records what it is asked for."""
    install(tmp_path / "site", "acme-rec", {"acme_rec": RECORDER}, {"secret_sources:rec": "acme_rec"})
    return tmp_path / "asked"


def asked(record: Path) -> list[str]:
    """What was asked for since this was called last, sorted."""
    lines = sorted(record.read_text().split()) if record.exists() else []
    record.unlink(missing_ok=True)
    return lines


def test_every_strategy_is_there() -> None:
    assert set(TABLES) == {each.name for each in registry.names("strategies") if each.distribution == "pushkit"}


@pytest.mark.parametrize("strategy", TABLES)
def test_the_options_of_what_only_looks_resolve_nothing_by_themselves(
    project: Project, recording: Path, strategy: str, tmp_path: Path
) -> None:
    project.write(there=f'strategy = "{strategy}"\n{TABLES[strategy]}')
    references = (project.root / "Pushfile").read_text().count("${rec:")
    with importable(tmp_path / "site"):
        loaded = pushfile.load(project.root / "Pushfile")
        pushfile.options(loaded, loaded.targets["there"], Resolver(loaded.root, Redactor()), lazily=True)
        assert asked(recording) == []
        pushfile.options(loaded, loaded.targets["there"], Resolver(loaded.root, Redactor()))
        assert len(asked(recording)) == references, "a push resolves them all"


@pytest.mark.parametrize("strategy", ["dir", "script"])
def test_a_dry_run_without_a_login_resolves_nothing(project: Project, recording: Path, strategy: str) -> None:
    project.write(there=f'strategy = "{strategy}"\n{TABLES[strategy]}', other='strategy = "dir"\npath = "${rec:other}"')
    file = project.root / "Pushfile"
    file.write_text(file.read_text() + NOTIFY)
    looks = [("--dry-run", "there"), ("plan", "there"), ("files", "there"), ("targets",)]
    for arguments in looks + [("status", "there"), ("log", "there"), ("diff", "there")] * (strategy == "dir"):
        done = project.push(*arguments)
        assert done.returncode == 0, done.stderr
        assert asked(recording) == [], arguments
    done = project.push("there")
    assert done.returncode == 0, done.stderr
    assert asked(recording) == ["hook", *["input"] * (strategy == "script"), "slack"]


def test_a_dry_run_resolves_what_its_login_takes_and_nothing_else(
    project: Project, recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with EmbeddedSsh(tmp_path / "there", password="the-value-of-login") as server:
        project.write(
            there=f"""strategy = "sftp"
            host = "{server.user}@{server.host}:{server.port}"
            known_hosts = "{server.known_hosts}"
            path = "x"
            before_switch = "true"
            password = "${{rec:login}}"
            environment = {{ A = "${{rec:hook}}" }}"""
        )
        file = project.root / "Pushfile"
        file.write_text(file.read_text() + NOTIFY)
        for arguments in (("--dry-run",), ("status",)):
            done = project.push(*arguments)
            assert done.returncode == 0, done.stderr
            assert asked(recording) == ["login"], arguments
        assert project.push().returncode == 0
        assert asked(recording) == ["hook", "login", "slack"]
