"""Many files are hashed by several processes, and come out right whatever becomes of those."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from pushkit import crew, reader
from pushkit.crew import Crew
from pushkit.errors import Interrupted, SnapshotChanged
from pushkit.helper import Helper, Job
from pushkit.model import Project
from pushkit.snapshot import Snapshot, take
from pushkit.worktree import Facts

#: As many small files as make helpers worth it, twice.
MANY = 12 * crew.WORTHWHILE * 128


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
    monkeypatch.setattr(crew, "FILES", 128)
    helpers: list[Helper] = []
    ended: list[Helper] = []
    start = Helper.__init__
    end = Helper.end

    def counted(helper: Helper, root: str) -> None:
        start(helper, root)
        helpers.append(helper)

    def noted(helper: Helper) -> None:
        ended.append(helper)
        end(helper)
        with pytest.raises(ProcessLookupError):
            os.kill(helper._pid, 0)

    before = len(os.listdir("/dev/fd"))
    monkeypatch.setattr(Helper, "__init__", counted)
    monkeypatch.setattr(Helper, "end", noted)
    yield helpers
    assert set(map(id, helpers)) <= set(map(id, ended))
    assert len(os.listdir("/dev/fd")) == before


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
    monkeypatch.setattr(Crew, "add", lambda *_: pytest.fail("a file was read again"))
    assert freeze(top).entries == first.entries


@pytest.fixture
def known(top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """What is there, frozen before. The next walk expects it, one directory a batch."""
    monkeypatch.setattr("pushkit.index.GRANULARITY", -(10**13))
    found = freeze(top)
    started.clear()
    monkeypatch.setattr(crew, "SCANS", 1)
    return found


def test_directories_that_are_expected_are_scanned_by_several_processes(
    top: Path, started: list[Helper], known: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = reader.scan
    mine: list[str] = []

    def own(path: str, directory: int | None = None, *, look: bool) -> reader.Columns:
        mine.append(path)
        # The helpers are given the time to take all that is not taken yet.
        time.sleep(0.05)
        return scan(path, directory, look=look)

    monkeypatch.setattr(reader, "scan", own)
    again = freeze(top)
    assert again.entries == known.entries
    assert again.warnings == known.warnings
    assert started
    assert 0 < len(mine) < 20


def test_what_changed_since_the_last_walk_is_seen_whoever_scans(
    top: Path, started: list[Helper], known: Snapshot, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(top, copy)
    freeze(copy)
    (copy / "d0" / "0").write_bytes(b"0+")
    (copy / "d19" / "19").write_bytes(b"19+")
    (copy / "d18" / "new").write_bytes(b"new")
    (copy / "d17" / "17").unlink()
    shutil.rmtree(copy / "d16")
    shutil.rmtree(copy / "d15")
    (copy / "d15").write_bytes(b"now a file")
    (copy / "d14" / ".gitignore").write_text("1*")
    (copy / "e" / "e").mkdir(parents=True)
    found = {entry.path: entry for entry in freeze(copy).entries}
    expected = {
        path: path
        for entry in known.entries
        if not (path := entry.path).startswith(("d15/", "d16", "d14/1")) and path != "d17/17"
    }
    assert set(found) == {*expected, "d18/new", "d14/.gitignore", "e", "e/e"}
    assert found["d0/0"].sha256 == sha256(b"0+").digest()
    assert found["d19/19"].sha256 == sha256(b"19+").digest()
    assert found["d15"].sha256 == sha256(b"now a file").digest()
    assert started


def test_a_helper_that_dies_while_it_scans_is_not_missed(
    top: Path, started: list[Helper], known: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Helper.take

    def take_and_die(helper: Helper) -> None:
        os.kill(helper._pid, signal.SIGKILL)
        taken(helper)

    monkeypatch.setattr(Helper, "take", take_and_die)
    assert freeze(top).entries == known.entries
    assert started


def test_a_helper_that_hangs_is_not_waited_for(
    top: Path, started: list[Helper], known: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Helper.give

    def give_and_stop(helper: Helper, job: Job) -> None:
        given(helper, job)
        os.kill(helper._pid, signal.SIGSTOP)

    monkeypatch.setattr(crew, "PATIENCE", 0.01)
    monkeypatch.setattr(Helper, "give", give_and_stop)
    assert freeze(top).entries == known.entries
    assert started


def test_a_directory_that_no_helper_could_read_is_read_here_to_know_the_reason(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "SCANS", 1)
    names = [f"d{number}" for number in range(20)] + ["gone", "d0/0"]
    files = Crew(str(top))
    files.expect((name, 1) for name in names)
    for name in names[:2]:
        assert files.scan(name, look=True) == reader.scan(str(top / name))
    time.sleep(0.2)
    with pytest.raises(NotADirectoryError):
        files.scan("d0/0", look=True)
    with pytest.raises(FileNotFoundError):
        files.scan("gone", look=True)
    files.end()
    assert started


def test_columns_come_back_as_they_were_sent(top: Path) -> None:
    found: list[reader.Columns | None] = [
        reader.scan(str(top / "d3")),
        None,
        (b"", b"", b"", b"", b""),
        reader.scan(str(top)),
    ]
    assert list(reader.unpack(b"".join(map(reader.pack, found)))) == found


def test_numbers_that_do_not_fit_are_cut_to_what_does() -> None:
    values = [0o100644, (1 << 64) - 2, 0, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5 + (1 << 63), 7]
    look = os.stat_result(values, {"st_mtime_ns": 5 + (1 << 63), "st_ctime_ns": 7})
    _, keys, *_ = reader.columns(["a"], [look])
    assert array("q", keys).tolist() == [3, 5, 7, (1 << 63) - 2]


@pytest.mark.parametrize("size", [1000, reader.SMALL - 1, reader.SMALL, reader.SMALL + 1, 1 << 20])
def test_a_read_that_is_short_is_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "a").chmod(0o640)
    read, readv = os.read, os.readv
    monkeypatch.setattr(os, "read", lambda descriptor, count: read(descriptor, min(count, 700)))
    monkeypatch.setattr(os, "readv", lambda descriptor, buffers: readv(descriptor, [buffers[0][:9999]]))
    found = reader.Hasher().facts(str(tmp_path / "a"))
    assert found == (reader.key((tmp_path / "a").stat()), 0o640, sha256(data).digest())


def test_the_columns_without_a_look_are_those_with_one_but_for_what_a_look_shows(top: Path, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("dir")
    os.mkfifo(tmp_path / "queue")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    (tmp_path / "\ue000").write_bytes(b"")
    for directory in (tmp_path, top, top / "d3"):
        names, _, _, *others = reader.scan(str(directory))
        assert reader.scan(str(directory), look=False) == (names, b"", b"", *others)


def test_what_vanishes_between_two_looks_was_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_bytes(b"x")
    look = os.stat

    def late(path: str, **options: object) -> os.stat_result:
        if path == "b":
            raise FileNotFoundError(2, "gone")
        return look(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", late)
    for wanted in (True, False):
        assert reader.scan(str(tmp_path), look=wanted)[0] == b"a\0c\0file"


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_helper_that_dies_leaves_its_files_to_the_others(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    taken = Helper.take
    done = 0

    def take_and_die(helper: Helper) -> None:
        nonlocal done
        before = len(helper.jobs)
        taken(helper)
        if helper is started[0]:
            done += before - len(helper.jobs)
            if done >= answers:
                os.kill(helper._pid, signal.SIGKILL)

    monkeypatch.setattr(Helper, "take", take_and_die)
    assert right(freeze(top), top)
    assert len(started) == 2


@pytest.mark.parametrize("program", ["/bin/false", "/bin/echo", "/nowhere/python"])
def test_an_interpreter_that_is_none_costs_time_and_nothing_else(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert right(freeze(top), top)


def test_an_interpreter_that_does_not_know_where_it_is_reads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    assert crew.processes() == 1


def test_a_file_that_vanishes_before_it_is_read_is_named(
    top: Path, started: list[Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = top / "d11" / "lost"
    lost.write_bytes(b"x")
    add = Crew.add

    def late(self: Crew, paths: list[str]) -> None:
        if "d11/lost" in paths:
            lost.unlink()
        add(self, paths)

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
    files.add(["large"])
    with suppress(Interrupted):
        list(files.finish(check))
    files.end()
    assert calls == 3


def test_digests_come_in_the_order_of_the_files(top: Path, started: list[Helper]) -> None:
    files = Crew(str(top))
    paths = [f"d{number % 20}/{number}" for number in range(MANY)]
    paths[MANY // 2] = "nowhere"
    for start in range(0, MANY, 100):
        files.add(paths[start : start + 100])
    found = Facts(files.finish(lambda: None)).take(MANY)[2]
    files.end()
    expected = [sha256(b"%d" % number).digest() for number in range(MANY)]
    expected[MANY // 2] = reader.NONE
    assert found == expected
