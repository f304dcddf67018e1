"""``push schema``, judged by an independent validator."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from distributions import importable, install, install_strategy
from pushkit.cli.group import group
from pushkit.cli.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "Pushfile.example"


@pytest.fixture(autouse=True)
def site(tmp_path: Path) -> Iterator[Path]:
    with importable(tmp_path / "site") as directory:
        install_strategy(directory, "ship", "port: int\n    when: __import__('datetime').date | None = None")
        yield directory


def validator(schema: Any) -> Any:
    """The independent validator. What it imports takes seconds: whoever collects the tests does not wait for it."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)


def schema() -> Any:
    result = CliRunner().invoke(group, ["schema"], obj=Settings(), catch_exceptions=False)
    return json.loads(result.stdout)


def wrong(text: str) -> list[str]:
    """Where the schema finds fault, as dotted paths."""
    tables = json.loads(json.dumps(tomllib.loads(text), default=str))
    return sorted({error.json_path.removeprefix("$.") for error in validator(schema()).iter_errors(tables)})


def test_it_is_a_schema_of_the_draft_that_it_names() -> None:
    judge = validator(schema())
    judge.check_schema(schema())
    assert schema()["$schema"] == judge.META_SCHEMA["$id"]


def test_the_example_is_valid() -> None:
    assert wrong(EXAMPLE.read_text()) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[target.x]\nstrategy = 'ship'\nport = 'x'", ["target.x.port"]),
        ("[target.x]\nstrategy = 'ship'", ["target.x"]),
        ("[target.x]\nstrategy = 'ship'\nport = 1\nprot = 1", ["target.x"]),
        ("[target.x]\nstrategy = 'nothing'", ["target.x.strategy"]),
        ("[target.x]\nport = 1", ["target.x"]),
        ("[target.x]\nstrategy = 'ship'\nport = 1\nignore = 'x'", ["target.x.ignore"]),
        ("[target.'a b']\nstrategy = 'ship'\nport = 1", ["target"]),
        ("[target.status]\nstrategy = 'ship'\nport = 1", ["target"]),
        ("[project]\nnmae = 'x'\n[target.x]\nstrategy = 'ship'\nport = 1", ["project"]),
        ("[targets.x]\nstrategy = 'ship'\nport = 1", ["$"]),
    ],
)
def test_a_wrong_pushfile_is_not(text: str, where: list[str]) -> None:
    assert wrong(text) == where


@pytest.mark.parametrize(
    "options", ["port = 1", "port = '${env:PORT}'", "port = 1\nwhen = '${file:x}'", "port = 1\nignore = ['x']"]
)
def test_references_and_common_keys_are_valid(options: str) -> None:
    assert wrong(f"[target.x]\nstrategy = 'ship'\n{options}") == []


@pytest.mark.parametrize(
    ("options", "where"),
    [("run = 'x ${env:A}'", ["target.x.run"]), ("script = 'x'\nargs = ['a', '${env:A}']", ["target.x.args[1]"])],
)
def test_references_are_wrong_in_what_others_can_see(options: str, where: list[str]) -> None:
    assert wrong(f"[target.x]\nstrategy = 'script'\n{options}") == where
    assert wrong(f"[target.x]\nstrategy = 'script'\n{options}".replace("${env:A}", "$A")) == []


def test_write_puts_it_where_the_pushfile_that_init_writes_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "blog"
    (project / "below").mkdir(parents=True)
    monkeypatch.chdir(project)

    def run(*arguments: str) -> None:
        CliRunner().invoke(group, arguments, obj=Settings(), catch_exceptions=False, standalone_mode=False)

    run("init", "--strategy", "ship", "--set", "port=1")
    text = (project / "Pushfile").read_text()
    file = project / text.splitlines()[0].removeprefix("#:schema ")
    written = json.loads(file.read_text())
    assert written == schema()
    assert not list(validator(written).iter_errors(tomllib.loads(text)))
    assert (file.parent / ".gitignore").read_text() == "*\n"
    file.unlink()
    monkeypatch.chdir(project / "below")
    run("schema", "--write")
    assert json.loads(file.read_text()) == written


def test_a_strategy_that_cannot_be_imported_is_left_out_and_named(site: Path) -> None:
    install(site, "acme-broken", {"acme_broken": "import nothing_like_this"}, {"strategies:broken": "acme_broken"})
    result = CliRunner().invoke(group, ["schema"], obj=Settings(), catch_exceptions=False)
    assert "target.broken" not in json.loads(result.stdout)["$defs"]
    assert result.stderr == (
        "left out: strategy \"broken\" (acme-broken 1.0) cannot be imported: No module named 'nothing_like_this'\n"
    )
