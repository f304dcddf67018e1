"""The layout mirror, by the whole command, against real SSH servers: with a shell, and with SFTP alone."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from cli.project import PUSH
from pushkit.testing import ProFtpd, ServerDirectory, Sshd, SshServer
from servers.test_push import Project, described
from servers.test_round_trips import Sessions

#: How often a client is killed.
DEATHS = 200 if os.environ.get("PUSHKIT_CHAOS") == "full" else 6


class MirrorProject(Project):
    """A project whose target is a mirror."""

    def __init__(self, root: Path, home: Path, server: SshServer, directory: ServerDirectory) -> None:
        super().__init__(root, home, server, directory.path)
        self.options["layout"] = "mirror"
        self.local = directory.local
        self.replaces = not isinstance(server, ProFtpd)
        self.shell = False

    def live(self) -> dict[bytes, tuple[str, int, str]]:
        """What lies on the target, without what push keeps there."""
        return {path: found for path, found in described(self.local).items() if path.split(b"/")[0] != b".htpush"}

    def live_while_it_changes(self) -> dict[bytes, tuple[str, int, str]]:
        """As `live`, where a server may still do what a push that died had told it."""
        while True:
            with suppress(FileNotFoundError):
                return self.live()

    def expected(self) -> dict[bytes, tuple[str, int, str]]:
        return {path: found for path, found in described(self.root).items() if path != b"Pushfile"}

    def debris(self) -> list[str]:
        state = self.local / ".htpush"
        return [*os.listdir(state / "incoming"), *(["journal"] if (state / "journal").exists() else [])]


@pytest.fixture(params=["ssh", "sftp_only", "dropbear", "proftpd"])
def mirror(request: pytest.FixtureRequest, tmp_path: Path) -> MirrorProject:
    server: SshServer = request.getfixturevalue(f"{request.param}_server")
    directory: ServerDirectory = request.getfixturevalue(f"{request.param}_directory")
    project = MirrorProject(tmp_path / "blog", tmp_path / "home", server, directory)
    project.shell = request.param in {"ssh", "dropbear"}
    return project


def plant(root: Path, turn: int) -> None:
    """Make the project's tree, one of two: every path of one is something else in the other, or nothing."""
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    names = [b"plain", b"new\nline", b"back\\slash", b"latin \xe9", b"'\"$(x)", b"-rf", b" lead"]
    for place in (b"", b"sub/", b"deep/er/"):
        base = os.path.join(os.fsencode(root), place)
        os.makedirs(base, exist_ok=True)
        for name in names:
            with open(os.path.join(base, name), "wb") as file:
                file.write(b"%d" % turn * (turn * 100))
    for number, (old, new) in enumerate((a, b) for a in "fdl" for b in "fdl"):
        path = root / f"type-{number}"
        match (old, new)[turn % 2]:
            case "f":
                path.write_text(str(turn))
            case "l":
                path.symlink_to(f"to-{turn}")
            case _:
                (path / "in").mkdir(parents=True)
                (path / "in/file").write_text(str(turn))
    (root / "empty").write_text("")
    (root / "moded").write_text("same")
    (root / "moded").chmod(0o600 if turn % 2 else 0o755)
    (root / f"only-{turn % 2}").mkdir()
    (root / f"only-{turn % 2}/file").write_text("x")


def test_a_tree_becomes_another_and_back_beside_foreign_files(mirror: MirrorProject) -> None:
    foreign = {b"uploads": ("directory", 0o755, ""), b"uploads/cat": ("file", 0o644, "")}
    for turn in (1, 2, 3):
        plant(mirror.root, turn)
        done = mirror.push()
        assert done.returncode == 0, done.stderr
        if turn == 1:
            (mirror.local / "uploads").mkdir(mode=0o755)
            (mirror.local / "uploads/cat").write_text("meow")
            (mirror.local / "only-1/mine").write_text("mine")
        live = mirror.live()
        assert mirror.expected().items() <= live.items()
        left = set(live) - set(mirror.expected()) - set(foreign)
        assert left == ({b"only-1", b"only-1/mine"} if turn == 2 else {b"only-1/mine"})
        assert not mirror.debris()
    assert "nothing to do" in mirror.push().stderr
    status = mirror.push("status")
    assert status.returncode == 0, status.stderr
    back = mirror.push("rollback")
    assert (back.returncode, "git:" in back.stderr) == (6, True)


def test_a_first_push_over_foreign_files_is_refused_and_adopted_when_asked(mirror: MirrorProject) -> None:
    for name, text in {"a": "new", "same": "same"}.items():
        (mirror.root / name).write_text(text)
    for name, text in {"a": "old", "same": "same", "mine": "mine"}.items():
        (mirror.local / name).write_text(text)
    refused = mirror.push()
    assert refused.returncode == 6
    assert "push --adopt" in refused.stderr
    assert sorted(os.listdir(mirror.local)) == ["a", "mine", "same"]
    done = mirror.push("--adopt")
    assert done.returncode == 0, done.stderr
    assert {path: (mirror.local / path).read_text() for path in ("a", "same", "mine")} == {
        "a": "new", "same": "same", "mine": "mine",
    }  # fmt: skip


def test_a_symlink_that_leads_outside_is_not_written_through(mirror: MirrorProject) -> None:
    (mirror.root / "css").mkdir()
    (mirror.root / "css/a").write_text("1")
    assert mirror.push().returncode == 0
    shutil.rmtree(mirror.local / "css")
    (mirror.local / "css").symlink_to("/etc")
    (mirror.root / "css/a").write_text("2")
    done = mirror.push()
    assert done.returncode == 6
    assert "css is a symlink" in done.stderr
    assert not Path("/etc/a").exists()


def test_what_was_altered_is_mended_though_its_size_is_the_same(mirror: MirrorProject) -> None:
    for name in ("a", "b"):
        (mirror.root / name).write_text(name * 10)
    assert mirror.push().returncode == 0
    assert mirror.push("check", "--deep").returncode == 0
    (mirror.local / "b").write_text("!" * 10)
    assert mirror.push("check", "--deep").returncode == (7 if mirror.shell else 0)
    (mirror.local / "a").write_text("!")
    checked = mirror.push("check", "--deep")
    assert (checked.returncode, "/a: altered" in checked.stdout) == (7, True), checked.stdout
    done = mirror.push("--repair")
    assert done.returncode == 0, done.stderr
    assert [(mirror.local / name).read_text() for name in "ab"] == ["a" * 10, "b" * 10]
    assert ("every file is sent again" in done.stderr) != mirror.shell


@pytest.mark.parametrize("mirror", ["ssh"], indirect=True)
def test_nothing_to_do_takes_one_round_trip_and_ten_changed_files_four(mirror: MirrorProject, ssh_server: Sshd) -> None:
    for number in range(2000):
        (mirror.root / f"d{number % 20}").mkdir(exist_ok=True)
        (mirror.root / f"d{number % 20}" / str(number)).write_text(str(number))
    sessions = Sessions(ssh_server)
    first = mirror.push()
    assert first.returncode == 0, first.stderr
    sessions.new()
    assert "nothing to do" in mirror.push().stderr
    # One is started ahead, and nobody waits for it.
    assert sessions.new() in (["command"], ["command"] * 2)
    for number in range(10):
        (mirror.root / f"d{number}" / str(number)).write_text("changed")
    ten = mirror.push("-v")
    assert ten.returncode == 0, ten.stderr
    taken = sessions.new()
    assert set(taken) == {"command"}
    looked, ahead = map(int, re.findall(r"(\d+) round trips? to look, (\d+) to push", ten.stderr)[0])
    assert looked + ahead <= 4
    assert 0 <= len(taken) - looked - ahead <= 1


@pytest.mark.parametrize("mirror", ["ssh", "sftp_only", "proftpd"], indirect=True)
def test_a_client_that_is_killed_leaves_whole_files_and_the_next_push_completes(mirror: MirrorProject) -> None:
    chance = random.Random(42)
    plant(mirror.root, 1)
    assert mirror.push().returncode == 0
    (mirror.local / "mine").write_text("mine")
    wrong: list[str] = []
    over = threading.Event()

    def read() -> None:
        """From outside: a file is wholly of one turn."""
        while not over.is_set():
            try:
                text = (mirror.local / "sub/plain").read_text()
            except FileNotFoundError:
                # Where a rename replaces nothing, the old file is put aside first.
                if mirror.replaces:
                    wrong.append("nothing")
                continue
            if set(text) != {text[:1]} or len(text) != int(text[0]) * 100:
                wrong.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for death in range(DEATHS):
            turn = 2 + death % 2
            before = mirror.live()
            plant(mirror.root, turn)
            mirror.push("targets")  # writes the Pushfile
            with subprocess.Popen(
                [PUSH, "--yes"], cwd=mirror.root, env=mirror.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            ) as process:  # fmt: skip
                try:
                    process.wait(0.2 + chance.random() * 0.7)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
            old, new, live = before, mirror.expected(), mirror.live_while_it_changes()
            for path, found in live.items():
                if path != b"mine" and found[0] != "directory":
                    assert found[2] in {old.get(path, ("", 0, ""))[2], new.get(path, ("", 0, ""))[2]}, path
            # The server may still be at it: a script ends when it cannot say any more how far it is.
            done = mirror.push("--yes")
            assert done.returncode == 0, done.stderr
            live = mirror.live()
            assert live.pop(b"mine")[0] == "file"
            assert live == mirror.expected()
            assert not mirror.debris()
    finally:
        over.set()
        reader.join()
    assert not wrong
