"""git that hangs, fails or dies: it is told of, never waited for without end, and never asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pushkit import blobs, git
from pushkit.errors import Interrupted, SnapshotError
from pushkit.model import Project
from pushkit.revision import origin
from pushkit.snapshot import take

LARGE = (4 << 20) + 1
Fake = Callable[[str], None]


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a small and a large file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "large").write_bytes(os.urandom(LARGE))
    (directory / "small").write_bytes(b"1")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        subprocess.run(["git", *words], cwd=directory, check=True)
    return directory


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a git before the real one, which does ``instead`` (a branch of sh's case) and else what git does."""

    def put(instead: str) -> None:
        program = tmp_path / "bin/git"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\ncase "$*" in\n{instead};;\n*) exec {shutil.which("git")} "$@";;\nesac\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    return put


def project(top: Path, source: str = "git:HEAD") -> Project:
    return Project("p", top / "Pushfile", top, source, (), "", {})


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds, be it that nobody waits for it (proc(5), state Z)."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}:
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)  # a signal takes its time on a busy machine
    return False


def test_a_git_that_hangs_is_ended_with_what_it_started_and_named(
    top: Path, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "LIMIT", 0.5)
    fake(f"*status*) sleep 600 & echo $! >{tmp_path}/child; wait")
    with pytest.raises(SnapshotError) as raised:
        origin(str(top))
    assert raised.value.message == f"git status gave no answer in {top} for 0.5 seconds, and was ended"
    assert raised.value.exit_code == 5
    assert gone(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize("task", ["ls-tree", "cat-file"])
def test_somebody_who_asks_to_stop_does_not_wait_for_git(top: Path, fake: Fake, tmp_path: Path, task: str) -> None:
    cancelled = threading.Event()
    os.mkfifo(tmp_path / "begun")
    fake(f"*{task}*) echo $$ >{tmp_path}/begun; exec sleep 600")
    pids: list[int] = []

    def stop() -> None:
        pids.append(int((tmp_path / "begun").read_text()))
        cancelled.set()

    person = threading.Thread(target=stop)
    person.start()
    with pytest.raises(Interrupted):
        take(project(top), None, cancelled)
    person.join()
    assert gone(pids[0])


def test_the_revision_is_not_waited_for_either(top: Path, fake: Fake) -> None:
    cancelled = threading.Event()
    snapshot = take(project(top, "."), None, cancelled)
    fake("*status*) exec sleep 600")
    cancelled.set()
    with pytest.raises(Interrupted):
        assert snapshot.revision


def test_git_can_ask_nobody(top: Path, fake: Fake, tmp_path: Path) -> None:
    fake(
        f'*status*) (cat; echo "$GIT_TERMINAL_PROMPT") >{tmp_path}/heard; '
        f"(: </dev/tty) 2>/dev/null && echo terminal >>{tmp_path}/heard; exit 0"
    )
    origin(str(top))
    assert (tmp_path / "heard").read_text() == "0\n"


@pytest.mark.parametrize(
    ("end", "said"),
    [("echo fatal: disk error >&2; exit 128", "fatal: disk error"), ("kill -9 $$", "signal 9 ended it")],
)
def test_a_git_that_dies_in_the_middle_of_a_large_blob_is_told_in_its_words(
    top: Path, fake: Fake, end: str, said: str
) -> None:
    snapshot = take(project(top))
    fake(f"*'cat-file blob'*) head -c 1000000 /dev/zero; {end}")
    with snapshot.open(snapshot.entries[0]) as stream, pytest.raises(SnapshotError) as raised:
        stream.read()
    assert raised.value.message.endswith(f" was read: {said}")
    assert raised.value.message.startswith("git ended while blob ")
    assert "git fsck" in raised.value.hint


def test_a_git_that_fails_between_blobs_is_told_in_its_words(top: Path, fake: Fake) -> None:
    fake("*--batch*) read -r name; echo fatal: disk error >&2; exit 128")
    with pytest.raises(SnapshotError, match=r"git ended while blob [0-9a-f]+ was read: fatal: disk error"):
        take(project(top))


def test_a_git_that_falls_silent_in_a_blob_is_given_up(top: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = take(project(top))
    (name,) = subprocess.run(
        ["git", "rev-parse", "HEAD:small"], cwd=top, check=True, capture_output=True
    ).stdout.split()
    monkeypatch.setattr(blobs, "PATIENCE", 0.5)
    fake("*'cat-file blob'*|*--batch*) head -c 1000000 /dev/zero; exec sleep 600")
    silent = "git was silent for 0.5 seconds while blob [0-9a-f]+ was read"
    with snapshot.open(snapshot.entries[0]) as stream, pytest.raises(SnapshotError, match=silent):
        stream.read()
    with pytest.raises(SnapshotError, match=silent):
        blobs.Blobs(str(top), b"").content(name.decode())
