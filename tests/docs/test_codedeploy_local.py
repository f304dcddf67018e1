"""The page on CodeDeploy without AWS is true: its commands are run, and say what stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

from click import Option

from cli.project import PUSH
from pushkit_aws.local.command import command

PAGE = (Path(__file__).parents[2] / "docs/codedeploy-local.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_runs_as_it_stands_there(tmp_path: Path) -> None:
    (appspec,), (console,) = blocks("yaml"), blocks("console")
    bundle = tmp_path / "bundle"
    (bundle / "html").mkdir(parents=True)
    (bundle / "scripts").mkdir()
    (bundle / "appspec.yml").write_text(appspec)
    (bundle / "html/index.html").write_text("hello")
    for name in ("prepare", "stop"):
        (bundle / "scripts" / name).write_text("#!/bin/sh\necho $LIFECYCLE_EVENT\n")
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    parts = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", console, re.MULTILINE)
    assert len(parts) == 5
    for line, expected in parts:
        words = shlex.split(line.replace("/tmp/there", str(tmp_path / "there")))
        words[0] = {"push": PUSH}.get(words[0], words[0])
        done = subprocess.run(words, cwd=bundle, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert masked(done.stdout) == masked(expected)
    assert (tmp_path / "there/var/www/html/index.html").stat().st_mode & 0o777 == 0o640


def masked(text: str) -> str:
    """``text`` without what differs in every deployment."""
    return re.sub(r"d-[A-Z0-9]{9}-local", "ID", text)


def test_every_option_is_on_the_page() -> None:
    for option in command.params:
        assert isinstance(option, Option)
        if option.name not in {"json", "quiet", "verbose", "no_color"}:
            assert all(f"`{word}`" in PAGE for word in option.opts), option.opts
