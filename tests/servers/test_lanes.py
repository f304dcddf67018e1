"""Many small files by the whole command against a real SSH server that is far away: side by side."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.sftp_target import TRANSPORTS
from pushkit.testing import Fault, FaultProxy, ServerDirectory, Sshd, known_host
from servers.test_push import Project
from servers.test_round_trips import Sessions

FILES, SIZE = 240, 50_000
DELAY = 0.1


class Narrow(Sshd):
    """A server that lets two sessions share a connection."""

    def _configuration(self) -> list[str]:
        return ["MaxSessions 2", *super()._configuration()]


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Sshd]:
    directory = tmp_path / "narrow"
    directory.mkdir()
    with Narrow(directory) as server:
        yield server


def project_of(tmp_path: Path, server: Sshd, path: str) -> Project:
    """Noise, which nothing shrinks, with a directory that is closed, and a symlink."""
    made = Project(tmp_path / "blog", tmp_path / "home", server, path)
    noise = random.Random(4).randbytes(FILES * SIZE)
    for number in range(FILES):
        directory = made.root / f"d {number % 7}" / str(number % 3)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"ü {number}").write_bytes(noise[number * SIZE : (number + 1) * SIZE])
    (directory / f"ü {number}").chmod(0o640)
    (made.root / "link").symlink_to("d 0")
    (made.root / "d 1" / "0").chmod(0o555)
    return made


def contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """What lies below a directory: modes and contents by path."""
    return {
        str(path.relative_to(top)): (
            path.lstat().st_mode & 0o777,
            path.read_bytes() if path.is_file() and not path.is_symlink() else b"",
        )
        for path in top.rglob("*")
        if not any(part.startswith((".push", ".htpush", "Pushfile")) for part in path.relative_to(top).parts)
    }


def reached(project: Project, server: Sshd, proxy: FaultProxy) -> dict[str, str]:
    """The options of a target that is reached through ``proxy``."""
    known = project.home / "known"
    known.write_text(known_host(proxy.host, proxy.port, server.host_key))
    return {"host": f"{server.user}@{proxy.host}:{proxy.port}", "known_hosts": str(known)}


@pytest.mark.parametrize(("transport", "layout"), list(zip(TRANSPORTS, ("releases", "mirror"), strict=True)))
def test_many_small_files_go_side_by_side_over_a_long_line(
    tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory, transport: str, layout: str
) -> None:
    project = project_of(tmp_path, ssh_server, ssh_directory.path)
    project.options["layout"] = layout
    with FaultProxy((ssh_server.host, ssh_server.port), delay=DELAY) as proxy:
        sessions = Sessions(ssh_server)
        done = project.push(transport=transport, **reached(project, ssh_server, proxy))
        assert done.returncode == 0, done.stderr
        assert sessions.new().count("command") >= 7
    there = ssh_directory.local / ("current" if layout == "releases" else "")
    assert contents(there) == contents(project.root)


def test_a_server_that_lets_few_sessions_share_a_connection_gets_all_of_it(tmp_path: Path, narrow: Sshd) -> None:
    project = project_of(tmp_path, narrow, str(narrow.files / "site"))
    with FaultProxy((narrow.host, narrow.port), delay=DELAY) as proxy:
        done = project.push(**reached(project, narrow, proxy))
        assert done.returncode == 0, done.stderr
    assert contents(narrow.files / "site" / "current") == contents(project.root)


def test_a_push_that_died_within_the_lanes_leaves_what_the_next_one_need_not_send(
    tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory
) -> None:
    project = project_of(tmp_path, ssh_server, ssh_directory.path)
    with FaultProxy((ssh_server.host, ssh_server.port), delay=DELAY) as proxy:
        to = reached(project, ssh_server, proxy)
        # And the line stays dead: the push gives up.
        proxy.cut(Fault.RESET, FILES * SIZE // 2)
        cut_off = project.push(**to)
        assert cut_off.returncode in {7, 8}, cut_off.stderr
        assert "the connection was lost" in cut_off.stderr
        assert not (ssh_directory.local / "current").exists()
        proxy.heal()
        again = project.push(**to)
        assert again.returncode == 0, again.stderr
    assert "files had arrived with an earlier push" in again.stderr
    assert contents(ssh_directory.local / "current") == contents(project.root)
    assert not [each for each in ssh_directory.local.glob("**/incoming/*") if each.is_dir()]
