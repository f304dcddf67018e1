"""Large files by the whole command against a real SSH server: in parts over a long line, and only what changed."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest

from plugins.sftp_target import TRANSPORTS
from pushkit.testing import Fault, FaultProxy, ServerDirectory, Sshd, Way, known_host
from servers.test_push import Project
from servers.test_round_trips import Sessions

SIZE = 12 << 20
CONTENT = random.Random(2).randbytes(SIZE)


@pytest.fixture(params=["releases", "mirror"])
def project(
    request: pytest.FixtureRequest, tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory
) -> Project:
    made = Project(tmp_path / "blog", tmp_path / "home", ssh_server, ssh_directory.path)
    made.options["layout"] = request.param
    (made.root / "disk image").write_bytes(CONTENT)
    (made.root / "disk image").chmod(0o640)
    (made.root / "page").write_text("one")
    return made


def live(project: Project, directory: ServerDirectory) -> Path:
    return directory.local / ("current" if project.options["layout"] == "releases" else "") / "disk image"


def sent(said: str) -> float:
    """How many bytes a push says that it sent."""
    number, unit = re.findall(r"pushed .*: \d+ files?, ([\d.]+) (k?M?B) in", said)[0]
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_of_a_large_file_that_changed_only_what_differs_travels(
    project: Project, ssh_directory: ServerDirectory, transport: str
) -> None:
    first = project.push(transport=transport)
    assert first.returncode == 0, first.stderr
    there = live(project, ssh_directory)
    assert (there.read_bytes(), there.stat().st_mode & 0o777) == (CONTENT, 0o640)
    edited = CONTENT[:6_000_000] + b"edited" + CONTENT[6_000_006:] + b"and longer"
    (project.root / "disk image").write_bytes(edited)
    second = project.push(transport=transport)
    assert second.returncode == 0, second.stderr
    assert (there.read_bytes(), there.stat().st_mode & 0o777) == (edited, 0o640)
    assert sent(second.stderr) < SIZE / 4
    # What it is made from is not what was pushed: it is sent whole, and nobody is told a lie.
    os.truncate(there, SIZE // 2)
    with there.open("r+b") as file:
        file.write(b"by hand")
    (project.root / "disk image").write_bytes(CONTENT)
    third = project.push(transport=transport)
    assert third.returncode == 0, third.stderr
    assert there.read_bytes() == CONTENT
    assert "nothing to do" in project.push(transport=transport).stderr


def test_a_large_file_goes_through_several_channels_of_a_long_line(
    project: Project, ssh_directory: ServerDirectory, ssh_server: Sshd
) -> None:
    with FaultProxy((ssh_server.host, ssh_server.port), delay=0.01) as proxy:
        known = project.home / "known"
        known.write_text(known_host(proxy.host, proxy.port, ssh_server.host_key))
        sessions = Sessions(ssh_server)
        done = project.push(host=f"{ssh_server.user}@{proxy.host}:{proxy.port}", known_hosts=str(known))
        assert done.returncode == 0, done.stderr
        assert sessions.new().count("command") >= 8
    there = live(project, ssh_directory)
    assert (there.read_bytes(), there.stat().st_mode & 0o777) == (CONTENT, 0o640)


@pytest.mark.parametrize("delay", [0.0, 0.01], ids=["in one stream", "in parts"])
def test_a_push_that_died_within_a_large_file_leaves_what_the_next_one_need_not_send(
    project: Project, ssh_directory: ServerDirectory, ssh_server: Sshd, delay: float
) -> None:
    content = random.Random(3).randbytes(4 * SIZE)
    (project.root / "disk image").write_bytes(content)
    with FaultProxy((ssh_server.host, ssh_server.port), delay=delay) as proxy:
        known = project.home / "known"
        known.write_text(known_host(proxy.host, proxy.port, ssh_server.host_key))
        to = {"host": f"{ssh_server.user}@{proxy.host}:{proxy.port}", "known_hosts": str(known)}
        # And the line stays dead: the push gives up.
        proxy.cut(Fault.RESET, 3 * SIZE)
        cut_off = project.push(**to)
        assert cut_off.returncode in {7, 8}, cut_off.stderr
        assert "the connection was lost" in cut_off.stderr
        # What ssh says of itself holds the scripts that were sent.
        assert "echo" not in cut_off.stderr
        assert proxy.broken.is_set()
        proxy.heal()
        again = project.push(**to)
        assert again.returncode == 0, again.stderr
        assert sent(again.stderr) < 3 * SIZE
        assert proxy.carried[Way.UP] < 3 * SIZE
    there = live(project, ssh_directory)
    assert (there.read_bytes(), there.stat().st_mode & 0o777) == (content, 0o640)
    assert not [each for each in ssh_directory.local.glob("**/incoming/*") if each.is_dir()]
