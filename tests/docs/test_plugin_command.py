"""The command on the plugin page runs, and tells its events as a push does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cli.terminal import Terminal
from docs.blocks import of
from docs.test_docs import installed

PAGE = Path(__file__).parents[2] / "docs/plugins.md"


def test_the_command_of_the_plugin_page_tells_its_events_to_people_and_to_programs(tmp_path: Path) -> None:
    (code,) = (each.text for each in of(PAGE) if each.language == "py" and "def sweep()" in each.text)
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


def test_the_secret_source_of_the_plugin_page_logs_in_once_and_names_what_is_missing(tmp_path: Path) -> None:
    (code,) = (each.text for each in of(PAGE) if each.language == "py" and "SecretSource" in each.text)
    # What stands for the vault of a real plugin.
    code += """

def open_vault(password):
    with open("opened", "a") as record:
        record.write("opened\\n")
    return {"a": "value a", "b": "value b"}
"""
    points = '[project.entry-points."pushkit.secret_sources"]\nvault = "pushkit_vault"\n'
    installed(tmp_path / "site", "vault", code, points)
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.txt").write_text("a")
    table = "[target.t]\nstrategy = 'script'\nrun = 'printenv A B'\n"
    table += "environment = { A = '${vault:a}', B = '${vault:%s}' }\n"
    command = [sys.executable, "-m", "pushkit", "-v"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)}
    (project / "Pushfile").write_text(table % "b")
    with Terminal(command, project, environment) as terminal:
        terminal.wait_for("password of the vault: ")
        terminal.type("open sesame\n")
        assert terminal.end()[0] == 0, terminal.seen
        assert "[secret:vault:a]" in terminal.seen
    assert (project / "opened").read_text() == "opened\n"
    (project / "Pushfile").write_text(table % "c")
    with Terminal(command, project, environment) as terminal:
        terminal.wait_for("password of the vault: ")
        terminal.type("open sesame\n")
        assert terminal.end()[0] == 3
        assert "target.t.environment.B: the vault has no c; acme-vault list" in terminal.seen
