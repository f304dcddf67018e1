"""``push targets``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pushkit.cli.group import group
from pushkit.cli.settings import Settings
from pushkit.errors import PushfileError, UsageError

PUSHFILE = """
[project]
default = "web"
[target.web]
strategy = "sftp"
host = "web1.example.com"
path = "/srv/blog"
password = "hunter2"
[target.fleet]
strategy = "not-installed"
hosts = ["a", "b"]
[target.hook]
strategy = "http"
url = "https://user:hunter2@example.com/x"
[target.broken]
port = 3
"""


def run(directory: Path, *arguments: str) -> str:
    (directory / "Pushfile").write_text(PUSHFILE)
    line = ["targets", "-f", str(directory), *arguments]
    result = CliRunner().invoke(group, line, obj=Settings(), catch_exceptions=False)
    return result.stdout


def test_targets_are_listed_with_where_they_push_to_valid_or_not(tmp_path: Path) -> None:
    assert run(tmp_path) == (
        "web     sftp           web1.example.com:/srv/blog  default\n"
        "fleet   not-installed  a,b\n"
        "hook    http           https://example.com/x\n"
        "broken  ?              -\n"
    )


def test_targets_as_json_lines(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in run(tmp_path, "--json").splitlines()]
    assert lines[0] == {
        "version": 1,
        "event": "target",
        "name": "web",
        "strategy": "sftp",
        "where": "web1.example.com:/srv/blog",
        "default": True,
    }
    assert [line["default"] for line in lines] == [True, False, False, False]
    assert "hunter2" not in str(lines)


def test_a_pushfile_that_is_wrong_as_a_whole_or_missing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "Other").write_text("[target.x]\na =")
    for name, error in (("Other", PushfileError), ("Nothing", UsageError)):
        line = ["targets", "-f", str(tmp_path / name)]
        with pytest.raises(error):
            CliRunner().invoke(group, line, obj=Settings(), catch_exceptions=False, standalone_mode=False)
