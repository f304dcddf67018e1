"""The stat cache saves reading, never at the price of an old digest."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from pushkit.crew import Crew
from pushkit.model import Project, Target
from pushkit.snapshot import take

HOUR = 3600


class Cached:
    """A project, its cache, and the paths that were read by the last `freeze`."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top / "project"
        self.top.mkdir()
        self.cache = top / "cache"
        self.read: list[str] = []
        monkeypatch.setenv("XDG_CACHE_HOME", str(self.cache))
        add = Crew.add

        def counted(crew: Crew, paths: Sequence[str]) -> None:
            self.read += paths
            add(crew, paths)

        monkeypatch.setattr(Crew, "add", counted)

    def write(self, name: str, data: bytes, age: float = HOUR) -> None:
        """A file of that age, by mtime. Its ctime is now, so that tests let the clock pass with `settle`."""
        path = self.top / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)
        moment = time.time() - age
        os.utime(path, (moment, moment))

    def freeze(self, target: Target | None = None) -> dict[str, bytes]:
        self.read.clear()
        snapshot = take(Project("p", self.top / "Pushfile", self.top, ".", (), "", {}), target)
        found = {entry.path: entry.sha256 for entry in snapshot.entries if entry.sha256}
        for path, digest in found.items():
            assert digest == sha256((self.top / path).read_bytes()).digest()
        return found

    @property
    def file(self) -> Path:
        (found,) = self.cache.glob("pushkit/index/*")
        return found


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cached:
    # A clock that is ahead makes the files' ctimes old enough to be trusted at once.
    real = time.time_ns
    monkeypatch.setattr("pushkit.index.time.time_ns", lambda: real() + HOUR * 10**9)
    return Cached(tmp_path, monkeypatch)


def test_a_file_that_looks_the_same_is_not_read_again(cached: Cached) -> None:
    cached.write("a", b"1")
    cached.write("sub/b\udcff\n", b"2")
    cached.freeze()
    assert cached.read == ["a", "sub/b\udcff\n"]
    cached.freeze()
    assert cached.read == []


@pytest.mark.parametrize("name", ["a", "sub/a"])
def test_only_what_looks_different_is_read(cached: Cached, name: str) -> None:
    for each in ("a", "b", "sub/a", "sub/b"):
        cached.write(each, b"1")
    cached.freeze()
    cached.write(name, b"2", age=HOUR / 2)
    cached.freeze()
    assert cached.read == [name]


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read(cached: Cached) -> None:
    cached.write("a", b"1")
    moment = (cached.top / "a").stat().st_mtime_ns
    cached.freeze()
    (cached.top / "new").write_bytes(b"2")
    os.utime(cached.top / "new", ns=(moment, moment))
    (cached.top / "new").rename(cached.top / "a")
    cached.freeze()
    assert cached.read == ["a"]


def test_a_file_written_just_before_the_walk_is_read_again(cached: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cached.cache))
    path = cached.top / "a"
    path.write_bytes(b"1")
    look = path.stat()
    cached.freeze()
    # The same size, inode and times, as a second write within one tick of the clock would leave them.
    path.write_bytes(b"2")
    os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns))
    cached.freeze()


def test_a_cache_that_is_damaged_cut_off_or_foreign_is_as_good_as_none(cached: Cached) -> None:
    cached.write("a", b"1")
    cached.freeze()
    whole = cached.file.read_bytes()
    other = cached.cache / "other"
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for content in (b"", b"x", whole[:-1], whole[:20], bytes(flipped), whole + b"x", os.urandom(200)):
        cached.file.write_bytes(content)
        cached.freeze()
        assert cached.read == ["a"]
        assert cached.file.read_bytes() == whole
    file = cached.file
    other.mkdir()
    cached.top.rename(cached.top.parent / "moved")
    cached.top = cached.top.parent / "moved"
    cached.freeze()
    (new,) = set(cached.cache.glob("pushkit/index/*")) - {file}
    new.write_bytes(whole)
    cached.freeze()
    assert cached.read == ["a"]


def test_a_cache_is_its_owners_alone_and_is_not_written_when_nothing_changed(cached: Cached) -> None:
    cached.write("a", b"1")
    cached.freeze()
    before = cached.file.stat()
    assert before.st_mode & 0o777 == 0o600
    assert cached.file.parent.stat().st_mode & 0o777 == 0o700
    cached.freeze()
    assert cached.file.stat().st_ino == before.st_ino


def test_a_cache_that_cannot_be_written_is_no_error(cached: Cached) -> None:
    cached.cache.write_text("a file where a directory should be")
    cached.write("a", b"1")
    assert list(cached.freeze()) == ["a"]


def test_what_only_another_target_includes_stays_known(cached: Cached) -> None:
    cached.write(".gitignore", b"dist\n")
    cached.write("dist/a", b"1")
    cached.write("b", b"1")
    target = Target("t", "dir", include=("dist/",))
    cached.freeze(target)
    cached.write("b", b"2", age=HOUR / 2)
    cached.freeze()
    assert cached.read == ["b"]
    cached.freeze(target)
    assert cached.read == []
