"""A packed snapshot: the same bytes for the same snapshot, and what other programs unpack from it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest

from pushkit import Archive, Interrupted, Project, SnapshotChanged, SnapshotError, TargetError, pack
from pushkit.snapshot import Snapshot, take

PACKINGS: list[Literal["tar.gz", "zip"]] = ["tar.gz", "zip"]
PROBE = """
import sys
from pathlib import Path
from pushkit import Project, pack
from pushkit.snapshot import take
root = Path(sys.argv[1])
snapshot = take(Project("p", root / "Pushfile", root, ".", (), "", {}))
print(pack(snapshot, sys.argv[2], Path(sys.argv[3]), lambda: None).sha256.hex())
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    (root / "empty").mkdir(0o700)
    (root / "sub/large").write_bytes(os.urandom(1_000_000) + bytes(3_000_000))
    (root / "ünï 🚀").write_bytes(b"u")
    (root / "nothing").touch()
    (root / "run").write_bytes(b"#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "link").symlink_to("sub/large")
    return root


def frozen(root: Path) -> Snapshot:
    return take(Project("p", root / "Pushfile", root, ".", (), "", {}))


def packed(
    root: Path, packing: Literal["tar.gz", "zip"], name: str = "a", check: Callable[[], None] = lambda: None
) -> Archive:
    return pack(frozen(root), packing, root.parent / name, check)


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_bytes_are_those_of_the_snapshot_on_any_day_and_in_any_time_zone(
    packing: Literal["tar.gz", "zip"], root: Path
) -> None:
    archive = packed(root, packing)
    for path in root.rglob("*"):
        os.utime(path, (1_000_000_000, 2_000_000_000), follow_symlinks=False)
    command = [sys.executable, "-c", PROBE, str(root), packing, str(root.parent / "b")]
    environment = {**os.environ, "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == archive.sha256.hex()
    content = archive.path.read_bytes()
    assert (archive.size, archive.sha256) == (len(content), sha256(content).digest())
    assert archive.path.stat().st_mode & 0o777 == 0o600
    (root / "nothing").write_bytes(b"x")
    assert packed(root, packing, "c").sha256 != archive.sha256


@pytest.mark.parametrize("packing", PACKINGS)
def test_what_is_unpacked_is_the_snapshot(packing: Literal["tar.gz", "zip"], root: Path) -> None:
    archive, there = packed(root, packing), root.parent / "there"
    there.mkdir()
    if packing == "zip":
        # Python's own unpacks no modes and links: those are in the archive, and looked at here.
        with zipfile.ZipFile(archive.path) as file:
            file.extractall(there)
            modes = {info.filename: info.external_attr >> 16 for info in file.infolist()}
        assert (there / "link").read_text() == "sub/large"
        assert (modes["link"], modes["run"], modes["empty/"]) == (0o120777, 0o100755, 0o40700)
    else:
        subprocess.run(["tar", "-xzpf", archive.path, "-C", there], check=True)
        assert frozen(there).digest == frozen(root).digest
    assert (there / "sub/large").read_bytes() == (root / "sub/large").read_bytes()
    assert (there / "ünï 🚀").read_bytes() == b"u"


def test_a_zip_says_which_name_it_cannot_hold(root: Path) -> None:
    (root / os.fsdecode(b"\xff")).touch()
    with pytest.raises(SnapshotError, match=r"udcff' is no name in UTF-8"):
        packed(root, "zip")
    packed(root, "tar.gz", "b")


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_that_changed_is_not_packed(packing: Literal["tar.gz", "zip"], root: Path) -> None:
    snapshot = frozen(root)
    (root / "run").write_bytes(b"#!/bin/no\n")
    with pytest.raises(SnapshotChanged):
        pack(snapshot, packing, root.parent / "a", lambda: None)


@pytest.mark.parametrize("packing", PACKINGS)
def test_it_stops_when_it_is_asked_to_and_says_where_it_cannot_write(
    packing: Literal["tar.gz", "zip"], root: Path
) -> None:
    def stop() -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        packed(root, packing, check=stop)
    with pytest.raises(TargetError, match="No such file or directory"):
        packed(root, packing, "nowhere/a")
