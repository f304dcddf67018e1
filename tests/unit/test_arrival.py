"""What arrived whole with a push that did not end is taken up by the next one, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from pushkit import Entry, Interrupted, manifest
from pushkit.blocks import UNIT
from pushkit.events import Note, StepFinished
from pushkit.files import Capabilities
from pushkit.files.arrival import arrived, intention
from pushkit.files.errors import RemoteDenied
from pushkit.files.operation import Copy, Rename
from pushkit.files.place import STATE
from pushkit.files.stat import Found
from pushkit.files.survey import Look, Survey
from pushkit.files.transfer import Transfer
from pushkit.model import Kind
from pushkit_dir.remote import LocalRemote
from unit.test_releases import Site
from unit.test_shell import LocalShell


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Three files of which two arrived, with a push that was stopped."""
    made = Site(tmp_path)
    for name in ("a", "d/b", "e"):
        made.write(name, f"the content of {name}", 0o640)
    stopped(made, monkeypatch)
    return made


def stopped(made: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that is stopped before the last file."""
    opened = Transfer.open

    def stop(self: Transfer, entry: Entry) -> object:
        if entry.path == "e":
            raise Interrupted("stopped")
        return opened(self, entry)

    with monkeypatch.context() as patch:
        patch.setattr(Transfer, "open", stop)
        with pytest.raises(Interrupted):
            made.push()
    made.events.clear()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths whose content is sent from now on."""
    paths: list[str] = []
    opened = Transfer.open

    def counted(self: Transfer, entry: Entry) -> object:
        paths.append(entry.path)
        return opened(self, entry)

    monkeypatch.setattr(Transfer, "open", counted)
    return paths


def left(site: Site) -> Path:
    """What the stopped push had sent."""
    (stage,) = (site.path / STATE.incoming).iterdir()
    return stage / "tree"


def finished(site: Site) -> list[str]:
    return [event.step.subject for event in site.events if isinstance(event, StepFinished)]


def test_what_arrived_is_not_sent_again_and_each_step_is_reported_once(site: Site, sent: list[str]) -> None:
    site.push()
    assert sent == ["e"]
    assert site.live() == {"a": "the content of a", "d/b": "the content of d/b", "e": "the content of e"}
    assert (site.path / "current/a").stat().st_mode & 0o777 == 0o640
    subjects = finished(site)
    assert [subjects.count(name) for name in ("a", "d/", "d/b", "e")] == [1, 1, 1, 1]
    assert any("2 files had arrived" in event.message for event in site.events if isinstance(event, Note))
    assert not site.debris()


def test_what_arrived_with_the_push_before_the_last_is_taken_up_too(
    site: Site, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    stopped(site, monkeypatch)
    sent = request.getfixturevalue("sent")
    site.push()
    assert sent == ["e"]
    assert site.live()["d/b"] == "the content of d/b"
    assert not site.debris()


def cut(tree: Path) -> None:
    (tree / "a").write_text("the con")


def alter(tree: Path) -> None:
    (tree / "a").write_text("The content of a")


def lose(tree: Path) -> None:
    (tree / "a").unlink()


def replace(tree: Path) -> None:
    (tree / "a").unlink()
    (tree / "a").symlink_to("/etc/hostname")


@pytest.mark.parametrize("damage", [cut, alter, lose, replace])
def test_what_is_not_whole_any_more_is_sent_again(site: Site, sent: list[str], damage: Callable[[Path], None]) -> None:
    damage(left(site))
    site.push()
    assert sorted(sent) == ["a", "e"]
    assert site.live()["a"] == "the content of a"
    assert not site.debris()


def test_what_changed_in_the_project_meanwhile_is_sent(site: Site, sent: list[str]) -> None:
    site.write("a", "another content", 0o640)
    site.write("d/b", "the content of d/b", 0o600)
    site.push()
    assert sorted(sent) == ["a", "d/b", "e"]
    assert site.live()["a"] == "another content"
    assert (site.path / "current/d/b").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"damaged", manifest.encode([])])
def test_what_nobody_knows_the_meaning_of_is_sent_again(site: Site, sent: list[str], content: bytes) -> None:
    (file,) = (site.path / STATE.manifests).iterdir()
    file.write_bytes(content)
    site.push()
    assert sorted(sent) == ["a", "d/b", "e"]


def test_a_remote_that_cannot_copy_takes_it_up_too(
    site: Site, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalRemote, "capabilities", Capabilities())
    site.push()
    assert sent == ["e"]
    assert site.live()["d/b"] == "the content of d/b"
    assert not site.debris()


def test_where_no_hard_link_can_be_made_it_is_sent_again(
    site: Site, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    site.push()
    assert sorted(sent) == ["a", "d/b", "e"]
    assert site.live()["a"] == "the content of a"


class Left(LocalRemote):
    """A target with what pushes left that died. ``read_manifests`` are those that were asked for."""

    def __init__(self, root: Path, *, capabilities: Capabilities = Capabilities()) -> None:  # noqa: B008
        super().__init__(root)
        self.capabilities = capabilities
        self.read_manifests: list[str] = []
        self.broken = ""

    def collect(self, trees: Sequence[str], **more: Any) -> dict[str, Found]:
        self.read_manifests += [path.rpartition("/")[2] for path in trees if path.startswith(STATE.manifests)]
        return super().collect(trees, **more)

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        if directory == self.broken:
            raise RemoteDenied(f"{directory}: permission denied")
        return super().verify(directory, entries)

    def leave(self, number: int, entries: Sequence[Entry], files: dict[str, bytes]) -> None:
        """A push of that number had said that it would send ``entries``, and had sent ``files``."""
        root = Path(self.root)
        manifests = root / STATE.manifests
        manifests.mkdir(parents=True, exist_ok=True)
        (manifests / named(number)).write_bytes(manifest.encode(entries))
        tree = root / STATE.stage(named(number)) / "tree"
        tree.mkdir(parents=True)
        for path, content in files.items():
            (tree / path).write_bytes(content)
            (tree / path).chmod(0o644)

    def look(self) -> Survey:
        return Look(STATE).at(self)


def named(number: int) -> str:
    return f"{number:06d}-20261122T193012Z-abc"


def tree_of(number: int) -> str:
    return f".push/incoming/{named(number)}/tree"


def file(path: str, content: bytes) -> Entry:
    return Entry(path, Kind.FILE, 0o644, len(content), sha256(content).digest())


def test_what_has_no_content_is_not_worth_asking_for(tmp_path: Path) -> None:
    entries = [
        Entry("d", Kind.DIRECTORY, 0o755),
        file("empty", b""),
        file("a", b"a"),
        Entry("l", Kind.SYMLINK, 0o777, link="a"),
    ]
    remote = Left(tmp_path)
    remote.leave(1, entries, {"empty": b"", "a": b"a"})
    (tmp_path / tree_of(1) / "d").mkdir()
    (tmp_path / tree_of(1) / "l").symlink_to("a")
    found = arrived(remote, remote.look(), "tree", entries)
    assert found.paths == {"a"}
    assert found.moving("x") == [Rename(f"{tree_of(1)}/a", "x/a")]
    assert found.linking("x") == [Copy(tree_of(1), "x", [entries[2]], link=True)]


def test_the_last_push_is_asked_first_and_no_other_when_all_is_found(tmp_path: Path) -> None:
    entries = [file("a", b"a"), file("b", b"b")]
    remote = Left(tmp_path)
    for number, content in ((1, {"a": b"a", "b": b"b"}), (2, {"b": b"b"}), (3, {"a": b"a"}), (4, {"a": b"a"})):
        remote.leave(number, entries, content)
    (tmp_path / ".push/incoming/mine").mkdir()
    (tmp_path / STATE.ticket(4)).mkdir(parents=True)
    found = arrived(remote, remote.look(), "tree", entries)
    # The fourth is under way.
    assert [(each.directory, each.entries) for each in found.found] == [
        (tree_of(3), [entries[0]]),
        (tree_of(2), [entries[1]]),
    ]
    assert remote.read_manifests == [named(3), named(2)]


def test_what_a_push_left_that_cannot_be_read_is_as_good_as_nothing(tmp_path: Path) -> None:
    entries = [file("a", b"a")]
    remote = Left(tmp_path)
    remote.leave(1, entries, {"a": b"a"})
    remote.leave(2, entries, {"a": b"a"})
    remote.broken = tree_of(2)
    assert arrived(remote, remote.look(), "tree", entries).found[0].directory == tree_of(1)


BIG = bytes(UNIT)


@pytest.mark.parametrize(
    ("capabilities", "content", "begun"),
    [
        pytest.param(Capabilities(resumes=True), BIG[:-1], True, id="all but a byte"),
        pytest.param(Capabilities(resumes=True), BIG[:-1] + b"x", False, id="all, and not whole"),
        pytest.param(Capabilities(patches=True), BIG[:-1] + b"x", True, id="all, with a gap that is filled"),
        pytest.param(Capabilities(patches=True), BIG + b"x", False, id="more than all"),
        pytest.param(Capabilities(patches=True, resumes=True), b"x", True, id="a byte"),
        pytest.param(Capabilities(patches=True), b"", False, id="nothing yet"),
        pytest.param(Capabilities(patches=True), None, False, id="not a file"),
        pytest.param(Capabilities(), BIG[:-1], False, id="nobody would go on with it"),
    ],
)
def test_a_large_file_that_had_begun_to_arrive_is_gone_on_with(
    tmp_path: Path, capabilities: Capabilities, content: bytes | None, begun: bool
) -> None:
    entries = [file("a", BIG), file("b", BIG), file("small", BIG[:-1])]
    remote = Left(tmp_path, capabilities=structs.replace(capabilities, digests=True))
    remote.leave(1, entries, {"a": content, "small": b"x"} if content is not None else {"small": b"x"})
    if content is None:
        (tmp_path / tree_of(1) / "a").symlink_to("small")
    found = arrived(remote, remote.look(), "tree", entries)
    assert found.begun == ({"a": f"{tree_of(1)}/a"} if begun else {})


def test_the_longest_part_of_a_large_file_is_gone_on_with_unless_a_push_had_sent_all_of_it(tmp_path: Path) -> None:
    entries = [file("a", BIG), file("b", BIG)]
    remote = Left(tmp_path, capabilities=Capabilities(digests=True, resumes=True))
    remote.leave(1, entries, {"a": BIG[:5], "b": BIG})
    remote.leave(2, entries, {"a": BIG[:20], "b": BIG[:5]})
    remote.leave(3, entries, {"a": BIG[:10]})
    found = arrived(remote, remote.look(), "tree", entries)
    assert found.begun == {"a": f"{tree_of(2)}/a"}
    assert found.paths == {"b"}


def test_where_a_script_sends_what_a_push_meant_is_among_its_papers(tmp_path: Path) -> None:
    remote = LocalShell(tmp_path, ["sh"], os.defpath)
    said, other = manifest.encode([file("a", b"a")]), manifest.encode([file("b", b"b")])
    assert intention(remote, STATE, named(1)) == b""
    stage = tmp_path / STATE.stage(named(1))
    (stage / "others-0123abcd").mkdir(parents=True)
    (stage / "others-0123abcd/0").write_bytes(other)
    assert intention(remote, STATE, named(1)) == b""
    (stage / "papers-0123abcd").mkdir()
    (stage / "papers-0123abcd/0").write_bytes(said[:-1])
    assert intention(remote, STATE, named(1)) == b""
    (stage / "papers-0123abcd/1").write_bytes(said)
    assert intention(remote, STATE, named(1)) == said
    (tmp_path / STATE.manifests).mkdir()
    (tmp_path / STATE.manifest(named(1))).write_bytes(other)
    assert intention(remote, STATE, named(1)) == said
    (stage / "papers-0123abcd/1").unlink()
    assert intention(remote, STATE, named(1)) == other
