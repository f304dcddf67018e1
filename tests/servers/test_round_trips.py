"""How often a push over SSH waits for an answer, counted by the server: it logs each session that is started."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pushkit.testing import ServerDirectory, Sshd
from servers.test_push import Project

FILES = 1_000
STARTED = re.compile(r"Starting session: (\w+)")


class Sessions:
    """The sessions that a server has started since it was asked last: each is a script, or SFTP."""

    def __init__(self, server: Sshd) -> None:
        self._server = server
        # Other tests have used it.
        self._seen = len(STARTED.findall(server.log))

    def new(self) -> list[str]:
        found = STARTED.findall(self._server.log)
        new, self._seen = found[self._seen :], len(found)
        return new


def test_a_push_takes_two_round_trips_and_one_with_nothing_to_do_takes_one(
    tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory
) -> None:
    project = Project(tmp_path / "blog", tmp_path / "home", ssh_server, ssh_directory.path)
    for number in range(FILES):
        directory = project.root / f"d{number % 100}"
        directory.mkdir(exist_ok=True)
        (directory / str(number)).write_text(str(number))
    sessions = Sessions(ssh_server)
    first = project.push("-v")
    assert first.returncode == 0, first.stderr
    assert set(sessions.new()) == {"command"}
    # Also to a directory that is not there yet.
    assert "1 round trip to look, 1 to push" in first.stderr

    nothing = project.push("-v")
    assert "nothing to do" in nothing.stderr
    taken = sessions.new()
    assert set(taken) == {"command"}
    # One is started ahead, and nobody waits for it.
    assert 1 <= len(taken) <= 2
    assert "1 round trip to look, 0 to push" in nothing.stderr

    for number in range(10):
        (project.root / f"d{number}" / str(number)).write_text("changed")
    ten = project.push("-v")
    assert ten.returncode == 0, ten.stderr
    taken = sessions.new()
    assert set(taken) == {"command"}
    assert "1 round trip to look, 1 to push" in ten.stderr
    assert 2 <= len(taken) <= 3
    # What the server did by itself in that one is in its log, by its own clock.
    phases = json.loads(project.push("log", "--json").stdout.splitlines()[-1])["phases"]
    assert [each["name"] for each in phases] == [
        "connect", "snapshot", "plan", "send", "copy", "verify", "switch", "prune"
    ][: len(phases)]  # fmt: skip
    ends = [each["began"] + each["seconds"] for each in phases[2:]]
    assert ends == sorted(ends)
    assert len(phases) >= 7
    assert (ssh_directory.local / "current/d7/7").read_text() == "changed"
    assert (ssh_directory.local / "current/d7/107").read_text() == "107"

    # Of two releases that stay the third push leaves a spare, and the fourth begins as it, in no more.
    (project.root / "d3/3").write_text("three")
    third = project.push(keep=1)
    assert third.returncode == 0, third.stderr
    spare = ssh_directory.local / ".push/spare"
    was = (spare / "d9/109").stat()
    (spare / "d9/cached").write_text("by an application")
    (spare / "d9/209").unlink()
    sessions.new()
    (project.root / "d4/4").write_text("four")
    fourth = project.push("-v", keep=1)
    assert "1 round trip to look, 1 to push" in fourth.stderr
    assert 2 <= len(sessions.new()) <= 3
    current = (ssh_directory.local / "current").resolve()
    assert (current / "d9/109").stat() == was
    assert {path.name: path.read_text() for path in (current / "d4").iterdir()} == {
        path.name: path.read_text() for path in (project.root / "d4").iterdir()
    }
    assert {path.name for path in (current / "d9").iterdir()} == {path.name for path in (project.root / "d9").iterdir()}
    assert (current / "d3/3").read_text() == "three"
    assert (current / "d9/209").read_text() == "209"
    assert "altered" not in fourth.stderr
    assert sorted(each.name[:6] for each in (ssh_directory.local / "releases").iterdir()) == ["000003", "000004"]
