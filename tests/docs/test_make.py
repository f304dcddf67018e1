"""The recipes of docs/make.md, run by make."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from recorder.sitecustomize import recorded

PAGE = Path(__file__).parents[2] / "docs/make.md"


def test_the_five_recipes(tmp_path: Path) -> None:
    (found,) = re.findall(r"```make\n(.*?)```", PAGE.read_text(), re.DOTALL)
    root, live = tmp_path / "project", tmp_path / "live"
    root.mkdir()
    (root / "Makefile").write_text(found)
    (root / "Pushfile").write_text('[target.production]\nstrategy = "dir"\npath = "../live"\n')
    (root / "page").write_text("one")

    def make(recipe: str) -> str:
        command = ["make", "-C", str(root), "--no-print-directory", recipe]
        environment = {
            **recorded(),
            "PATH": os.environ["PATH"],
            "PUSH": str(Path(sys.executable).with_name("push")),
            "HOME": str(tmp_path),
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (recipe, done.stderr)
        return done.stdout

    make("plan")
    assert not live.exists()
    first = make("deploy").splitlines()[-1]
    (root / "page").write_text("two")
    second = make("ci").splitlines()[-1]
    assert (live / "current/page").read_text() == "two"
    assert second in make("status")
    assert make("rollback").splitlines()[-1] == first
    assert (live / "current/page").read_text() == "one"
    # As the page says it: a recipe keeps the id.
    (keeps,) = re.findall(r"`(ID=\$\$\(push production\))`", PAGE.read_text())
    with (root / "Makefile").open("a") as file:
        file.write(f'\nkeep:\n\t@{keeps.replace("push", "$(PUSH) -q")} && echo "kept $$ID"\n')
    assert make("keep").startswith("kept 0000")
    told = [json.loads(line) for line in make("status").splitlines()]
    assert first in json.dumps(told)
