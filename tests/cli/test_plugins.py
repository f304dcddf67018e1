"""``push plugins``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from distributions import importable, install
from pushkit import __version__
from pushkit.cli.group import group
from pushkit.cli.settings import Settings


@pytest.fixture(autouse=True)
def _site(tmp_path: Path) -> Iterator[None]:
    with importable(tmp_path / "site") as site:
        boom = {"acme_boom": "raise SystemExit('imported')"}
        install(site, "acme-one", boom, {"strategies:ship": "acme_boom", "observers:chat": "acme_boom"}, version="1.2")
        install(site, "acme-two", {}, {"strategies:ship": "acme_boom"}, version="3.4")
        yield


def run(*arguments: str) -> list[str]:
    result = CliRunner().invoke(group, ["plugins", *arguments], obj=Settings(), catch_exceptions=False)
    return result.stdout.splitlines()


def test_plugins_are_listed_without_being_imported_and_conflicts_are_marked() -> None:
    lines = [re.sub(" +", " ", line) for line in run()]
    assert f"strategy sftp {__version__} pushkit" in lines
    assert f"secret-source env {__version__} pushkit" in lines
    assert "observer chat 1.2 acme-one" in lines
    assert "strategy ship 1.2 acme-one conflict" in lines
    assert "strategy ship 3.4 acme-two conflict" in lines


def test_plugins_as_json_lines() -> None:
    lines = [json.loads(line) for line in run("--json")]
    ship = [line for line in lines if line["name"] == "ship"]
    assert [(line["distribution"], line["plugin_version"], line["conflict"]) for line in ship] == [
        ("acme-one", "1.2", True),
        ("acme-two", "3.4", True),
    ]
    assert {line["version"] for line in lines} == {1}
    assert {line["kind"] for line in lines} == {"strategy", "observer", "host source", "secret source", "command"}
