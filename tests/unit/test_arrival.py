"""What arrived whole with a push that did not end is taken up by the next one, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pushkit import Entry, Interrupted, manifest
from pushkit.events import Note, StepFinished
from pushkit.files import Capabilities
from pushkit.files.place import STATE
from pushkit.files.transfer import Transfer
from pushkit_dir.remote import LocalRemote
from unit.test_releases import Site


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
