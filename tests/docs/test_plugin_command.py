"""The command on the plugin page runs, and tells its events as a push does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from docs.test_docs import installed

PAGE = Path(__file__).parents[2] / "docs/plugins.md"


def test_the_command_of_the_plugin_page_tells_its_events_to_people_and_to_programs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    installed(tmp_path, "sweep", code, '[project.entry-points."pushkit.commands"]\nsweep = "pushkit_sweep"\n')
    for arguments in ([], ["--json"], ["-q"]):
        done = subprocess.run(
            [sys.executable, "-m", "pushkit", "sweep", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if arguments == ["--json"]:
            events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
            assert events == ["step-started", "note", "step-finished"]
        else:
            told = "" if arguments else "sweep: run the floor (it is dusty)\nsweep: swept\n"
            assert (done.stdout, done.stderr) == ("", told)
