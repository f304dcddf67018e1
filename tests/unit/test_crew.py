"""Many files are hashed by several processes, and come out right whatever becomes of those."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from pushkit import crew, hasher
from pushkit.crew import Crew, Helper
from pushkit.errors import Interrupted, SnapshotChanged
from pushkit.model import Project
from pushkit.snapshot import Snapshot, take

#: As many small files as make helpers worth it, twice.
MANY = 2 * crew.WORTHWHILE * crew.BATCH // crew.OPENING


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many files, some odd ones among them. The tests only read it."""
    directory = tmp_path_factory.mktemp("project")
    for number in range(MANY):
        (directory / f"d{number % 20}").mkdir(exist_ok=True)
        (directory / f"d{number % 20}" / str(number)).write_bytes(b"%d" % number)
    for name in (b"d3/\xff", b"d5/n\newline", b"d7/ ", "d9/é".encode()):
        Path(os.fsdecode(os.fsencode(directory) + b"/" + name)).write_bytes(name)
    (directory / "d4" / "empty").write_bytes(b"")
    for number, size in enumerate(((1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3_000_000)):
        (directory / "d2" / f"large{number}").write_bytes(bytes([number]) * size)
    return directory


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Helper]]:
    """The helpers that were started, of two that there may be. All have ended in the end, and hold nothing open."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(crew, "processes", lambda: 3)
    helpers: list[Helper] = []
    start = Helper.__init__

    def counted(helper: Helper, root: str) -> None:
        start(helper, root)
        helpers.append(helper)

    monkeypatch.setattr(Helper, "__init__", counted)
    yield helpers
    for helper in helpers:
        assert helper._process.returncode is not None
        assert helper._stdin.closed
        assert helper._stdout.closed


def freeze(top: Path, cancelled: threading.Event | None = None) -> Snapshot:
    return take(Project("p", top / "Pushfile", top, ".", (), "", {}), None, cancelled)


def right(snapshot: Snapshot, top: Path) -> bool:
    files = [entry for entry in snapshot.entries if entry.sha256]
    assert len(files) == snapshot.files > MANY
    return all(entry.sha256 == sha256((top / entry.path).read_bytes()).digest() for entry in files)


def test_many_files_are_hashed_by_several_processes(top: Path, started: list[Helper]) -> None:
    assert right(freeze(top), top)
    assert len(started) == 2


def test_few_files_start_no_helper(tmp_path: Path, started: list[Helper]) -> None:
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x")
    freeze(tmp_path)
    assert not started


def test_what_helpers_found_is_known_the_next_time(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that is ahead makes the files old enough to be trusted at once.
    monkeypatch.setattr("pushkit.index.GRANULARITY", -(10**13))
    first = freeze(top)
    started.clear()
    monkeypatch.setattr(Crew, "add", lambda *_: pytest.fail("a file was read again"))
    assert freeze(top).entries == first.entries


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_helper_that_dies_leaves_its_files_to_the_others(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    taken = Helper.take
    done = 0

    def take_and_die(helper: Helper) -> None:
        nonlocal done
        before = len(helper.batches)
        taken(helper)
        if helper is started[0]:
            done += before - len(helper.batches)
            if done >= answers:
                helper._process.kill()

    monkeypatch.setattr(Helper, "take", take_and_die)
    assert right(freeze(top), top)
    assert len(started) == 2


@pytest.mark.parametrize("program", ["/bin/false", "/bin/echo", "/nowhere/python", ""])
def test_an_interpreter_that_is_none_costs_time_and_nothing_else(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert right(freeze(top), top)


def test_a_file_that_vanishes_before_it_is_read_is_named(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = top / "d11" / "lost"
    lost.write_bytes(b"x")
    add = Crew.add

    def late(self: Crew, paths: list[str], sizes: list[int]) -> None:
        if "d11/lost" in paths:
            lost.unlink()
        add(self, paths, sizes)

    monkeypatch.setattr(Crew, "add", late)
    with pytest.raises(SnapshotChanged, match="d11/lost changed"):
        freeze(top)
    assert started


def test_the_helpers_end_when_the_user_stops_in_the_middle(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = threading.Event()
    finish = Crew.finish

    def stop(self: Crew, check: Callable[[], None]) -> Generator[bytes, None, None]:
        cancelled.set()
        return finish(self, check)

    monkeypatch.setattr(Crew, "finish", stop)
    with pytest.raises(Interrupted):
        freeze(top, cancelled)
    assert started


def test_a_large_file_does_not_keep_the_user_from_stopping(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Interrupted("stopped")

    files = Crew(str(tmp_path))
    files.add(["large"], [1 << 20])
    with suppress(Interrupted):
        list(files.finish(check))
    files.end()
    assert calls == 3


def test_digests_come_in_the_order_of_the_files(top: Path, started: list[Helper]) -> None:
    files = Crew(str(top))
    paths = [f"d{number % 20}/{number}" for number in range(MANY)]
    paths[MANY // 2] = "nowhere"
    for start in range(0, MANY, 100):
        part = paths[start : start + 100]
        files.add(part, [1] * len(part))
    found = b"".join(files.finish(lambda: None))
    files.end()
    expected = [sha256(b"%d" % number).digest() for number in range(MANY)]
    expected[MANY // 2] = hasher.NONE
    assert found == b"".join(expected)
