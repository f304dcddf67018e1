"""`PrimitivesContract`: what the primitives of every remote promise, and what is built from them, as tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from msgspec import Struct

from pushkit.files import Remote, RemoteError, RemoteExists, RemoteMissing, Remove, RemoveDirectory, Rename
from pushkit.files.operation import MakeDirectory, Write
from pushkit.model import Entry, Kind, Step
from pushkit.testing.given import Given, lying

NAMES = ("ünï", "-rf", "a b", "it's", "[x]?", ".hidden", "%41", "\u65e5\u672c")


class RemoteSpecimen(Struct, frozen=True):
    """A directory to test a remote on, which is there and empty.

    ``open`` connects to it, each time anew. ``local`` is the same directory on this machine, where it is on it: what
    arrived is then looked at past the remote, too. ``symlinks`` and ``modes`` are false where there are none,
    ``mtimes`` where they cannot be set. ``names`` are odd names that files may have.
    """

    open: Callable[[], Remote]
    local: Path | None = None
    symlinks: bool = True
    modes: bool = True
    mtimes: bool = True
    names: Sequence[str] = NAMES


class PrimitivesContract:
    """The part of `RemoteContract` that pushes nothing, for one more kind of server."""

    @pytest.fixture
    def specimen(self) -> RemoteSpecimen:
        """The directory, fresh for each test."""
        raise NotImplementedError("a RemoteContract needs a fixture `specimen`, which gives a RemoteSpecimen")

    @pytest.fixture
    def remote(self, specimen: RemoteSpecimen) -> Iterator[Remote]:
        """The remote, connected."""
        remote = specimen.open()
        yield remote
        remote.close()

    # The primitives.

    def test_a_file_is_written_replaced_and_read(self, remote: Remote, specimen: RemoteSpecimen) -> None:
        large = os.urandom(300_000)
        remote.write("a file", [b"old content"], 0o644)
        remote.write("a file", [large[:100_000], b"", large[100_000:]], 0o640)
        assert remote.read("a file", 300_000) == large
        with pytest.raises(RemoteError, match="more than 299,999 bytes"):
            remote.read("a file", 299_999)
        remote.write("empty", [], 0o600)
        assert remote.read("empty", 0) == b""
        if specimen.local:
            assert (specimen.local / "a file").read_bytes() == large
            assert not specimen.modes or (specimen.local / "a file").stat().st_mode & 0o777 == 0o640

    def test_lines_are_added_to_a_file_that_need_not_be_there(self, remote: Remote) -> None:
        for line in (b"one\n", b"two\n" * 5_000, b"three\n"):
            remote.append("log", line)
        assert remote.read("log", 100_000) == b"one\n" + b"two\n" * 5_000 + b"three\n"
        assert [found.name for found in remote.list("")] == ["log"], "nothing else stays"
        with pytest.raises(RemoteMissing):
            remote.append("missing/log", b"one\n")

    def test_names_travel_as_the_bytes_that_they_are(self, remote: Remote, specimen: RemoteSpecimen) -> None:
        names = list(specimen.names)
        for name in names:
            remote.write(name, [os.fsencode(name)], 0o644)
            remote.make_directory(f"in {name}", 0o755)
            remote.write(f"in {name}/file", [b"x"], 0o644)
        assert sorted(found.name for found in remote.list("")) == sorted([*names, *(f"in {name}" for name in names)])
        if specimen.local:
            assert sorted(os.listdir(specimen.local)) == sorted([*names, *(f"in {name}" for name in names)])
        for name in names:
            assert remote.read(name, 100) == os.fsencode(name)
            assert [found.name for found in remote.list(f"in {name}")] == ["file"]
            remote.remove(name)
            remote.remove_tree(f"in {name}")
        assert list(remote.list("")) == []

    def test_stat_sees_what_is_there(self, remote: Remote, specimen: RemoteSpecimen) -> None:
        remote.write("file", [b"12345"], 0o644)
        remote.make_directory("dir", 0o755)
        file, directory, root = remote.stat("file"), remote.stat("dir"), remote.stat("")
        assert file
        assert directory
        assert root
        assert (file.name, file.kind, file.size) == ("file", Kind.FILE, 5)
        assert (directory.name, directory.kind, root.kind) == ("dir", Kind.DIRECTORY, Kind.DIRECTORY)
        if specimen.modes:
            assert (file.mode, directory.mode) == (0o644, 0o755)
            remote.set_mode("file", 0o600)
            assert (remote.stat("file") or file).mode == 0o600
        if specimen.mtimes:
            remote.set_time("file", 1_500_000_000)
            assert abs((remote.stat("file") or file).mtime - 1_500_000_000) < 86_400
        assert remote.stat("missing") is None
        assert remote.stat("file/below a file") is None

    def test_a_symlink_is_made_seen_replaced_and_not_followed(self, remote: Remote, specimen: RemoteSpecimen) -> None:
        if not specimen.symlinks:
            with pytest.raises(RemoteError):
                remote.make_symlink("x", "link")
            return
        remote.make_directory("dir", 0o755)
        remote.write("dir/file", [b"x"], 0o644)
        remote.make_symlink("dir", "link")
        found = remote.stat("link")
        assert found
        assert (found.kind, remote.read_link("link")) == (Kind.SYMLINK, "dir")
        with pytest.raises(RemoteExists):
            remote.make_symlink("x", "link")
        remote.make_symlink("nowhere/at all", "new")
        remote.rename("new", "link")
        assert remote.read_link("link") == "nowhere/at all"
        remote.remove("link")
        assert remote.read("dir/file", 1) == b"x"

    def test_each_failure_has_its_class(self, remote: Remote, specimen: RemoteSpecimen) -> None:
        remote.write("file", [b"x"], 0o644)
        remote.make_directory("dir", 0o755)
        remote.write("dir/file", [b"x"], 0o644)
        for path in ("dir", "file"):
            with pytest.raises(RemoteExists):
                remote.make_directory(path, 0o755)
        attempts: Sequence[Callable[[], object]] = (
            lambda: remote.make_directory("missing/dir", 0o755),
            lambda: remote.list("missing"),
            lambda: remote.read("missing", 10),
            lambda: remote.rename("missing", "new"),
            lambda: remote.remove("missing"),
            lambda: remote.remove_directory("missing"),
            lambda: remote.write("missing/file", [b"x"], 0o600),
            *([lambda: remote.read_link("missing")] if specimen.symlinks else []),
        )
        for attempt in attempts:
            with pytest.raises(RemoteMissing, match="missing"):
                attempt()
        with pytest.raises(RemoteError):
            remote.remove_directory("dir")
        assert remote.read("dir/file", 1) == b"x", "only an empty directory is removed"

    # What is built from them.

    def test_a_rename_takes_the_place_of_a_file_however_the_remote_does_it(self, remote: Remote) -> None:
        for number in range(6):
            remote.write(f"new {number}", [b"new %d" % number], 0o644)
            remote.write(f"{number}", [b"old"], 0o644)
        remote.make_directory("full", 0o755)
        remote.write("full/file", [b"x"], 0o644)
        remote.make_directory("void", 0o755)
        remote.together([Rename(f"new {number}", f"{number}", f"aside-{number}") for number in range(6)], quiet)
        assert [remote.read(f"{number}", 10) for number in range(6)] == [b"new %d" % number for number in range(6)]
        remote.together([Remove(f"{number}") for number in (*range(6), 999)], quiet)
        remote.together([RemoveDirectory("full"), RemoveDirectory("void"), RemoveDirectory("none")], quiet)
        assert [found.name for found in remote.list("")] == ["full"]
        with pytest.raises(RemoteMissing) as caught:
            remote.together([Rename("missing", "x")], quiet)
        assert caught.value.operation == Rename("missing", "x")

    def test_operations_are_done_in_their_order_and_none_after_a_failure(self, remote: Remote) -> None:
        remote.make_directory("stage", 0o755)
        remote.perform([MakeDirectory("dir", 0o755), Write("dir/file", b"content", 0o644)], quiet, "stage")
        assert remote.read("dir/file", 10) == b"content"
        with pytest.raises(RemoteMissing):
            remote.perform([Rename("missing", "x"), Write("after", b"x", 0o644)], quiet, "stage")
        assert remote.stat("after") is None
        assert remote.read("dir/file", 10) == b"content"

    def test_a_tree_arrives_is_verified_and_removed(self, remote: Remote, specimen: RemoteSpecimen) -> None:
        given = Given()
        for number in range(10):
            given.directory(f"d{number}")
            given.directory(f"d{number}/deeper")
            given.file(f"d{number}/deeper/file", b"%d" % number * number, 0o600 if number % 2 else 0o644)
        given.file("large", os.urandom(1_000_000), 0o755)
        if specimen.symlinks:
            given.symlink("link", "large")
        remote.make_directory("tree", 0o755)
        remote.put("tree", given)
        assert sorted(given.finished) == sorted(entry.path for entry in given.entries), "each step is told once"
        if specimen.local and specimen.modes:
            assert lying(specimen.local / "tree") == given.expected()
        assert list(remote.verify("tree", given.entries)) == []
        at_top = [Entry(f"tree/{entry.path}", *entry[1:]) for entry in given.entries]
        assert list(remote.verify("", at_top)) == [], "the empty path is the root, and no path begins with a slash"
        remote.write("tree/large", [b"short"], 0o755)
        remote.remove("tree/d7/deeper/file")
        assert sorted(entry.path for entry in remote.verify("tree", given.entries)) == ["d7/deeper/file", "large"]
        asked = ["tree", "tree/d1", "tree/large", "none/at/all"]
        assert remote.kinds(asked) == {
            "tree": Kind.DIRECTORY, "tree/d1": Kind.DIRECTORY, "tree/large": Kind.FILE
        }  # fmt: skip
        remote.remove_tree("tree")
        remote.remove_tree("tree")
        assert list(remote.list("")) == []

    def test_a_survey_has_contents_and_times_that_tell_a_heartbeat(self, remote: Remote) -> None:
        for path in ("state", "state/pushes", "state/pushes/1", "state/pushes/2"):
            remote.make_directory(path, 0o755)
        remote.write("state/pushes/1/hb", [b"alive\n"], 0o600)
        found = remote.collect(["state/pushes", "none"], listed=["state"], looked=["", "state/nothing"], limit=100)
        pushes = ["state/pushes", *(f"state/pushes/{number}" for number in (1, 2))]
        assert set(found) == {"", "state", *pushes, "state/pushes/1/hb"}
        assert found["state/pushes/1/hb"].content == b"alive\n"
        assert found["state/pushes/1/hb"].stat.mtime > 1_500_000_000, "seconds since 1970, by the remote's clock"

    def test_primitives_may_be_called_from_several_threads(self, remote: Remote) -> None:
        remote.make_directory("dir", 0o755)

        def one(number: int) -> bytes:
            remote.write(f"dir/{number}", [b"%d" % number * 1000], 0o644)
            return remote.read(f"dir/{number}", 10_000)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(one, range(12))) == [b"%d" % number * 1000 for number in range(12)]


def quiet(_: Step) -> AbstractContextManager[None]:
    """Nobody hears of a step."""
    return nullcontext()
