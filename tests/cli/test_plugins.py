"""``push plugins``."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.project import PUSH
from distributions import forget, importable, install, install_strategy
from pushkit import __version__, plugin_api
from pushkit.cli.group import group
from pushkit.cli.settings import Settings
from pushkit.errors import PluginError, UsageError


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


def test_plugins_are_listed_with_their_origin_without_being_imported_and_conflicts_are_marked(tmp_path: Path) -> None:
    lines = [re.sub(" +", " ", line) for line in run()]
    (sftp,) = (line for line in lines if line.startswith("strategy sftp "))
    assert sftp.startswith(f"strategy sftp {__version__} pushkit /")
    assert "observer chat 1.2 acme-one " + str(tmp_path / "site") in lines
    assert f"strategy ship 1.2 acme-one {tmp_path}/site conflict" in lines
    assert f"strategy ship 3.4 acme-two {tmp_path}/site conflict" in lines


def test_a_check_imports_each_and_names_the_broken_with_distribution_and_version() -> None:
    result = CliRunner().invoke(group, ["plugins", "--check"], obj=Settings())
    error = result.exception
    assert isinstance(error, PluginError)
    assert 'observer "chat" (acme-one 1.2) cannot be imported: SystemExit: imported' in error.message
    assert 'the strategy "ship" is claimed by acme-one 1.2 and acme-two 3.4' in error.message
    broken = [line.split()[1] for line in result.stdout.splitlines() if line.endswith(" broken")]
    assert broken == ["chat"]


def test_plugins_as_json_lines() -> None:
    lines = [json.loads(line) for line in run("--json")]
    ship = [line for line in lines if line["name"] == "ship"]
    assert [(line["distribution"], line["plugin_version"], line["conflict"]) for line in ship] == [
        ("acme-one", "1.2", True),
        ("acme-two", "3.4", True),
    ]
    assert {line["version"] for line in lines} == {1}
    assert {line["kind"] for line in lines} == {
        "strategy",
        "observer",
        "host source",
        "secret source",
        "command",
        "store",
    }


def test_a_new_plugin_is_begun_once_and_not_under_a_name_that_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("new", "my-shelf")
    top = tmp_path / "pushkit-my-shelf"
    for file in ("pyproject.toml", "README.md", "pushkit_my_shelf/strategy.py", ".github/workflows/test.yml"):
        assert (top / file).is_file()
    assert not [file for file in top.rglob("*.*") if file.is_file() and re.search(r"@\w+@", file.read_text())]
    for name, words in (("my-shelf", "is there already"), ("sftp", 'strategy "sftp" (pushkit'), ("A b", "cannot be")):
        with pytest.raises(UsageError, match=re.escape(words)):
            run("new", name)


def test_where_a_new_plugin_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc")
    with pytest.raises(UsageError) as caught:
        run("new", "my-shelf")
    assert caught.value.message == "pushkit-my-shelf cannot be written: No such file or directory"
    assert caught.value.hint == "nothing is left of it"


def test_a_new_plugin_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def little_room() -> None:
        """No file may be as long as the template of a strategy is."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    (here := tmp_path / "here").mkdir()
    command = [PUSH, "plugins", "new", "shelf"]
    done = subprocess.run(command, cwd=here, preexec_fn=little_room, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("push: pushkit-shelf cannot be written: File too large\n")
    assert os.listdir(here) == []


def test_who_pushes_with_a_plugin_for_a_version_that_will_go_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_api, "CURRENT", 2)
    monkeypatch.setattr(plugin_api, "DEPRECATED", {1: "0.9"})
    install_strategy(tmp_path / "site", "old")
    forget()
    (tmp_path / "Pushfile").write_text("[target.t]\nstrategy = 'old'\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(group, ["plan"], obj=Settings(), catch_exceptions=False)
    assert 'strategy "old" (acme-old 1.0) is written for version 1 of the plugin API' in result.stderr
    assert "goes with pushkit 0.9" in result.stderr
