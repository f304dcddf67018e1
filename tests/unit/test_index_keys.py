"""What makes the stat cache take a file for unchanged: each part of its key counts alone, and recent times never do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pushkit.index import GRANULARITY, Index
from pushkit.reader import columns

OLD = time.time_ns() - 3600 * 10**9
DIGEST = b"d" * 32


def looks(size: int = 3, mtime: int = OLD, ctime: int = OLD, inode: int = 7) -> os.stat_result:
    """A stat whose times are exact to the nanosecond."""
    values = [0o100644, inode, 0, 1, 0, 0, size, 0, 0, 0, 0, 0, 0, 0, mtime, ctime]
    return os.stat_result(values, {"st_mtime_ns": mtime, "st_ctime_ns": ctime})


def keys(stat: os.stat_result) -> bytes:
    """The key of a file that looks like that."""
    return columns(["a"], [stat])[1]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "project"
    project.mkdir()
    return str(project)


def remember(root: str, stat: os.stat_result) -> None:
    index = Index(root)
    digests = index.look("", b"a", keys(stat))
    assert digests == [b""]
    index.learn("", b"a", keys(stat), [DIGEST])
    index.save()


def known(root: str, stat: os.stat_result) -> bool:
    (digest,) = Index(root).look("", b"a", keys(stat))
    assert digest in (b"", DIGEST)
    return bool(digest)


def test_a_file_that_looks_the_same_is_known(root: str) -> None:
    remember(root, looks())
    assert known(root, looks())


@pytest.mark.parametrize(
    "other",
    [looks(size=4), looks(mtime=OLD + 1), looks(ctime=OLD + 1), looks(inode=8)],
    ids=["size", "mtime", "ctime", "inode"],
)
def test_each_part_of_the_key_counts_alone(root: str, other: os.stat_result) -> None:
    remember(root, looks())
    assert not known(root, other)


@pytest.mark.parametrize("part", ["mtime", "ctime"])
@pytest.mark.parametrize("age", [0, GRANULARITY // 2, -3600 * 10**9], ids=["now", "within the grain", "ahead"])
def test_a_file_that_may_be_written_again_without_a_trace_is_never_known(root: str, part: str, age: int) -> None:
    recent = looks(**{part: time.time_ns() - age})
    remember(root, recent)
    assert not known(root, recent)


def test_a_date_that_does_not_fit_is_a_key_like_any_other(root: str) -> None:
    far = looks(mtime=OLD + (1 << 63))
    remember(root, far)
    assert known(root, far)
    assert not known(root, looks(mtime=far.st_mtime_ns + 1))


def test_who_has_no_home_has_no_cache_and_no_error(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "home", staticmethod(homeless))
    remember(root, looks())
    assert not known(root, looks())
    assert not os.path.exists("relative")
