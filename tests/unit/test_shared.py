"""What releases share, hard links, the times of files, and what is refused on a target."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pushkit import Entry, Kind, PushRefused
from pushkit.events import Warned
from pushkit.files.options import FileOptions
from pushkit.files.place import STATE
from pushkit.files.releases import Releases
from pushkit.files.shared import Shared
from unit.test_releases import Site


class Host(Site):
    """A site whose releases share paths."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.write("index.html", "one")

    def share(self, *names: str, hard_links: bool = False, keep: int = 5) -> None:
        self.releases = Releases(self.remote, self.run, keep, shared=Shared(names), hard_links=hard_links)

    def time(self, entry: Entry) -> float:
        return (self.source / entry.path).stat().st_mtime

    @property
    def current(self) -> Path:
        return self.path / "current"

    def warnings(self) -> Sequence[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# Names.


def shared(*names: str) -> Sequence[str]:
    return FileOptions.of({"path": "x", "shared": list(names)}).shared


@pytest.mark.parametrize("name", ["/etc", "../up", "a/../b", "", "/", ".", "a//b", "a\0b", "a\\b", "a\nb", "a/./b"])
def test_what_is_no_path_within_a_release_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no path within a release"):
        shared(name)


def test_paths_that_are_one_or_lie_in_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="is there twice"):
        shared("a", "b", "a/")
    with pytest.raises(ValueError, match="'a/b' lies in 'a'"):
        shared("a/b", "a")
    assert shared("a", "ab/", "b/a") == ("a", "ab/", "b/a")


def test_the_entries_of_a_release_stay_in_walk_order() -> None:
    entries = [Entry(name, Kind.FILE, 0o644) for name in ("a", "b", "d-", "z")]
    entries[2:2] = [Entry("d", Kind.DIRECTORY, 0o700), Entry("d/x", Kind.FILE, 0o644)]
    linked, left_out = Shared(("d/c/", "b")).linked(entries)
    assert [entry.path for entry in linked] == ["a", "b", "d", "d/c", "d/x", "d-", "z"]
    assert linked[2].mode == 0o700
    assert left_out == ["b"]


# On a target.


def test_what_is_shared_outlives_releases_and_is_never_written_through(host: Host) -> None:
    host.share("uploads/", keep=1)
    host.push()
    shared = host.path / "shared/uploads"
    assert shared.stat().st_mode & 0o777 == 0o755
    assert os.readlink(host.current / "uploads") == "../../shared/uploads"
    (host.current / "uploads/photo").write_text("a visitor's")
    for text in ("two", "three", "four"):
        host.write("index.html", text)
        host.push()
    assert (host.current / "uploads/photo").read_text() == "a visitor's"
    assert not host.releases.plan(host.snapshot()).steps
    host.releases.rollback()
    assert (host.current / "uploads/photo").read_text() == "a visitor's"


def test_a_path_within_directories_is_linked_and_the_whole_can_be_moved(host: Host) -> None:
    host.share("var/data/uploads/")
    host.push()
    (host.path / "shared/var/data/uploads/x").write_text("x")
    moved = host.path.rename(host.path.with_name("moved"))
    assert (moved / "current/var/data/uploads/x").read_text() == "x"


def test_a_file_has_to_be_there(host: Host) -> None:
    host.push()
    host.share(".env")
    with pytest.raises(PushRefused, match=r"shared/\.env is not there") as refused:
        host.push()
    assert 'write ".env/"' in refused.value.hint
    assert not (host.path / "shared").exists()
    (host.path / "shared").mkdir()
    (host.path / "shared/.env").write_text("KEY=1")
    host.push()
    assert (host.current / ".env").read_text() == "KEY=1"


def test_a_directory_of_the_project_makes_a_directory_and_stays_at_home(host: Host) -> None:
    host.share("uploads")
    host.write("uploads/.gitkeep", "")
    host.write("uploads/deep/er", "mine")
    plan = host.releases.plan(host.snapshot())
    assert plan.warnings == (
        "2 paths of the project in the place of what is shared stay here, 'uploads/.gitkeep' first",
    )
    host.releases.push(plan, host.snapshot())
    assert (host.path / "shared/uploads").is_dir()
    assert os.listdir(host.path / "shared/uploads") == []


def test_a_file_in_the_way_of_a_shared_path_stays_at_home(host: Host) -> None:
    host.share("var/uploads/")
    host.write("var", "a file")
    host.push()
    assert os.readlink(host.current / "var/uploads") == "../../../shared/var/uploads"


def test_what_was_in_the_project_becomes_shared_and_again_of_the_project(host: Host) -> None:
    host.write("uploads/a", "of the project")
    first = host.push()
    host.share("uploads/")
    host.push()
    assert os.listdir(host.current / "uploads") == []
    assert (host.path / "releases" / first.id / "uploads/a").read_text() == "of the project"
    (host.current / "uploads/visitor").write_text("v")
    host.share()
    host.push()
    assert (host.current / "uploads/a").read_text() == "of the project"
    assert os.listdir(host.path / "shared/uploads") == ["visitor"]


def test_a_file_in_the_place_of_a_shared_directory_is_refused(host: Host) -> None:
    host.push()
    (host.path / "shared").mkdir()
    (host.path / "shared/uploads").write_text("a file")
    host.share("uploads/")
    with pytest.raises(PushRefused, match="is a file, and shared names a directory"):
        host.push()


def test_a_shared_path_may_lead_to_another_disk(host: Host, tmp_path: Path) -> None:
    host.push()
    (tmp_path / "disk").mkdir()
    (host.path / "shared").mkdir()
    (host.path / "shared/uploads").symlink_to(tmp_path / "disk")
    host.share("uploads/")
    host.push()
    (host.current / "uploads/x").write_text("x")
    assert os.listdir(tmp_path / "disk") == ["x"]


# Hard links.


def inode(path: Path) -> int:
    return path.lstat().st_ino


def test_unchanged_files_are_hard_links_when_wanted_and_copies_otherwise(host: Host) -> None:
    for wanted in (False, True):
        host.share(hard_links=wanted)
        host.write("same", "same")
        host.write("index.html", f"before {wanted}")
        first = host.push()
        host.write("index.html", f"after {wanted}")
        host.push()
        assert (inode(host.current / "same") == inode(host.path / "releases" / first.id / "same")) is wanted
        assert inode(host.current / "index.html") != inode(host.path / "releases" / first.id / "index.html")


def test_a_mode_that_changed_makes_a_copy(host: Host) -> None:
    host.share(hard_links=True)
    host.write("run", "#!/bin/sh", mode=0o644)
    host.write("same", "same")
    first = host.push()
    host.write("run", "#!/bin/sh", mode=0o755)
    host.push()
    before = host.path / "releases" / first.id
    assert (before / "run").stat().st_mode & 0o777 == 0o644
    assert (host.current / "run").stat().st_mode & 0o777 == 0o755
    assert inode(host.current / "same") == inode(before / "same")


def test_what_was_altered_on_the_target_is_sent_again_beside_the_old_release(host: Host) -> None:
    host.share(hard_links=True)
    host.write("same", "same")
    first = host.push()
    (host.current / "same").write_text("hack")
    host.write("index.html", "two")
    host.push()
    assert (host.current / "same").read_text() == "same"
    assert (host.path / "releases" / first.id / "same").read_text() == "hack"
    assert any("altered on the target" in warning for warning in host.warnings())


# Times.


def test_files_keep_their_times_only_when_asked(host: Host) -> None:
    os.utime(host.source / "index.html", (1_000_000_000, 1_000_000_000))
    host.push()
    assert (host.current / "index.html").stat().st_mtime > 1_600_000_000
    host.releases = Releases(host.remote, host.run, 5, times=host.time)
    host.write("old", "new on the target")
    os.utime(host.source / "old", (1_100_000_000, 1_100_000_000))
    host.push()
    assert (host.current / "old").stat().st_mtime == 1_100_000_000


# Guards.


@pytest.mark.parametrize("path", [".push", "releases", ".push/incoming", ".push/manifests", ".push/pushes", "shared"])
def test_a_symlink_in_the_place_of_a_directory_is_refused_untouched(host: Host, tmp_path: Path, path: str) -> None:
    host.share("uploads/")
    host.push()
    outside = (host.path / path).rename(tmp_path / "outside")
    (host.path / path).symlink_to(outside)
    before = sorted(map(str, outside.rglob("*")))
    host.write("index.html", "two")
    with pytest.raises(PushRefused, match="is a symlink, no directory; nothing was sent"):
        host.push()
    assert sorted(map(str, outside.rglob("*"))) == before


def test_a_symlink_above_a_shared_path_is_refused(host: Host, tmp_path: Path) -> None:
    host.push()
    (host.path / "shared").mkdir()
    (host.path / "shared/var").symlink_to(tmp_path)
    host.share("var/uploads/")
    with pytest.raises(PushRefused, match="shared/var is a symlink"):
        host.push()
    assert not (tmp_path / "uploads").exists()


def test_a_log_that_leads_outside_is_refused(host: Host, tmp_path: Path) -> None:
    host.push()
    (host.path / STATE.name / "log").unlink()
    (host.path / STATE.name / "log").symlink_to(tmp_path / "precious")
    host.write("index.html", "two")
    with pytest.raises(PushRefused, match="log is a symlink, no file"):
        host.push()
    assert not (tmp_path / "precious").exists()


def test_all_that_is_wrong_with_shared_is_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"'/abs' is no path.*'\.\./up' is no path.*'a/b' lies in 'a'"):
        shared("/abs", "../up", "a", "a/b")
