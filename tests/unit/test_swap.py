"""The swap layout on a local directory: what is live, after a push, after a death at any moment, after a failure."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pushkit import Busy, PushFailed, PushRefused, TargetError
from pushkit.errors import Overtaken
from pushkit.files import Capabilities, Remote, RemoteDenied, RemoteLost, Stat
from pushkit.files.exchange import Exchange
from pushkit.files.mirror import Mirror
from pushkit.files.place import SWAP
from pushkit.files.releases import Releases
from pushkit.files.swap import Swap, SwapPlan
from pushkit.model import Entry, Severity
from pushkit_dir.remote import LocalRemote
from pushkit_dir.strategy import DirOptions
from unit import test_mirror
from unit.test_mirror import tree
from unit.test_shell import LocalShell


class Site(test_mirror.Site):
    """A project and a target directory in which `htdocs` is live."""

    def __init__(self, tmp_path: Path, *, adopt: bool = False) -> None:
        super().__init__(tmp_path, adopt=adopt)
        self.on(LocalRemote(self.path))

    def on(self, remote: LocalRemote) -> Site:
        self.swap = Swap(remote, self.run, "htdocs")
        self.mirror = self.swap  # type: ignore[assignment]
        return self

    def live(self) -> dict[str, str]:
        return tree(self.path / "htdocs")

    @property
    def state(self) -> Path:
        return self.path / SWAP.name

    def debris(self) -> list[str]:
        journal = ["journal"] if (self.state / "journal").exists() else []
        return [*os.listdir(self.state / "incoming"), *journal]

    def bury(self) -> None:
        for place in (self.state / "pushes").glob("*"):
            record = place / "ticket.json"
            if record.exists():
                record.write_text(json.dumps(json.loads(record.read_text()) | {"machine": "another"}))
            for each in (place / "hb", place):
                if each.exists():
                    os.utime(each, (time.time() - 3600,) * 2)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def planted(site: Site, version: int) -> dict[str, str]:
    """Make the project one of its versions; what has to be live then."""
    site.write("index.html", f"version {version}")
    site.write("same", "same")
    site.write(f"dir {version % 2}/file", "content")
    site.write("css/large", str(version) * 5_000)
    old = site.source / f"dir {1 - version % 2}"
    if old.exists():
        (old / "file").unlink()
        old.rmdir()
    return {path: text for path, text in tree(site.source).items() if path != "Pushfile"}


def test_what_is_live_is_a_directory_that_another_takes_the_place_of(site: Site) -> None:
    releases = []
    for version in range(1, 5):
        wanted = planted(site, version)
        release = site.push()
        assert release
        releases.append(release.id)
        assert site.live() == wanted
        assert not (site.path / "htdocs").is_symlink()
        assert site.debris() == []
        assert site.push() is None
    assert (site.state / "live").read_text().strip() == releases[-1]
    assert os.listdir(site.state / "retired") == [releases[-2]], "one stays, to go back to"
    assert [each.id for each in site.swap.history()] == releases[-2:]


def test_only_what_differs_from_the_tree_before_the_live_one_is_sent(site: Site) -> None:
    for name in "abcdef":
        site.write(name, "1")
    sent = []
    for version in range(2, 6):
        site.write("a", str(version))
        plan = site.plan()
        assert isinstance(plan, SwapPlan)
        sent.append(sorted(entry.path for entry in plan.difference.send))
        assert site.push()
    # The first two trees are new; from then on the one before the last is brought up to date.
    assert sent == [list("abcdef"), list("abcdef"), ["a"], ["a"]]


def test_types_modes_and_removals_arrive(site: Site) -> None:
    link, changing = site.source / "link", site.source / "x"
    for turn in range(7):
        mode = 0o755 if turn % 2 else 0o644
        site.write("file", "1", mode)
        shutil.rmtree(changing) if changing.is_dir() else changing.unlink(missing_ok=True)
        link.unlink(missing_ok=True)
        if turn % 3 == 0:
            site.write("x/y", "below")
            link.symlink_to("file")
        else:
            site.write("x", f"{turn}")
        assert site.plan().removed == (2 if turn % 3 == 1 else 0)
        assert site.push()
        assert site.live() == tree(site.source)
        assert (site.path / "htdocs/file").stat().st_mode & 0o777 == mode


def test_what_no_push_put_there_is_refused_or_put_away(site: Site, tmp_path: Path) -> None:
    site.foreign("htdocs/index.html", "theirs")
    site.write("index.html", "ours")
    with pytest.raises(PushRefused, match="that no push put in htdocs"):
        site.push()
    site.run.adopt = True
    assert site.push()
    assert site.live() == {"index.html": "ours"}
    (found,) = (site.state / "retired").glob("found-*")
    assert tree(found) == {"index.html": "theirs"}
    site.run.adopt = False
    site.foreign("htdocs/uploads/photo", "theirs")
    site.write("index.html", "new")
    with pytest.raises(PushRefused, match="uploads"):
        site.push()
    assert site.live() == {"index.html": "ours", "uploads": "/", "uploads/photo": "theirs"}
    site.run.adopt = True
    assert site.push()
    assert "will lie in .htswap/retired" in "".join(site.plan().warnings) or site.live() == {"index.html": "new"}
    site.run.adopt = False
    for number in range(3):
        site.write("index.html", str(number))
        assert site.push()
        assert site.live() == {"index.html": str(number)}, "what is foreign does not come back"
    assert found.exists()


def test_the_release_before_goes_live_again_and_back(site: Site) -> None:
    with pytest.raises(PushRefused, match="no release before"):
        site.swap.rollback()
    versions = {}
    for version in (1, 2, 3):
        wanted = planted(site, version)
        release = site.push()
        assert release
        versions[release.id] = wanted
    *_, two, three = versions
    assert site.swap.rollback().id == two
    assert site.live() == versions[two]
    assert site.swap.rollback().id == three
    assert site.live() == versions[three]
    with pytest.raises(PushRefused, match="holds no release 000001"):
        site.swap.rollback("000001")
    planted(site, 2)
    assert site.push()
    assert site.live() == versions[two]


def test_a_damaged_tree_is_seen_and_sent_again(site: Site) -> None:
    wanted = planted(site, 1)
    site.push()
    assert [each.severity for each in site.swap.verify()] == [Severity.OK]
    (site.path / "htdocs/index.html").write_text("broken")
    assert Severity.ERROR in {each.severity for each in site.swap.verify()}
    site.run.repair = True
    site.write("more")
    assert site.push()
    assert site.live() == {**wanted, "more": "x"}


class Dying(LocalRemote):
    """A remote on which the change ``left`` is not done, nor any after that: the client is dead."""

    left = 1_000_000
    error: Callable[[], BaseException] = SystemExit

    def _count(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise self.error()

    def rename(self, old: str, new: str) -> None:
        self._count()
        super().rename(old, new)

    def make_directory(self, path: str, mode: int) -> None:
        self._count()
        super().make_directory(path, mode)

    def write(self, path: str, *arguments: object) -> None:
        self._count()
        super().write(path, *arguments)  # type: ignore[arg-type]

    def remove(self, path: str) -> None:
        self._count()
        super().remove(path)

    def remove_directory(self, path: str) -> None:
        self._count()
        super().remove_directory(path)


def died_at(site: Site, number: int) -> bool:
    """Push until right before a change of the target; whether it died."""
    remote = Dying(site.path)
    remote.left = number
    site.on(remote)
    try:
        site.push()
    except SystemExit:
        return True
    finally:
        site.on(LocalRemote(site.path))
        site.bury()
    return False


def test_whatever_change_it_dies_before_the_next_push_finishes_or_undoes_it(site: Site) -> None:
    for version in (1, 2, 3):
        planted(site, version)
        assert site.push()
    version, gaps, died = 3, 0, 0
    for number in range(1, 200):
        was = planted(site, version)
        version += 1
        wanted = planted(site, version)
        dead = died_at(site, number)
        died += dead
        live = site.live() if (site.path / "htdocs").exists() else None
        if live is None:
            gaps += 1
            assert (site.state / "journal").exists()
        else:
            assert live in (was, wanted), number
        site.push()
        assert site.live() == wanted, number
        assert site.debris() == []
        if not dead:
            break
    assert died > 15
    assert gaps == 1, "there is one moment without a tree, right between the two renames"
    assert "between two renames; it was finished" in site.told()
    assert "called off" in site.told()
    assert "at its end; it was finished" in site.told()


@pytest.mark.parametrize("digests", [True, False])
def test_whatever_change_it_dies_before_what_need_not_be_sent_is_not(site: Site, *, digests: bool) -> None:
    sent: list[str] = []

    class Counting(Dying):
        capabilities = Capabilities(digests=digests)

        def write(self, path: str, *arguments: object) -> None:
            super().write(path, *arguments)
            sent.append(path.rpartition("/tree/")[2])

        def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
            return super().verify(directory, entries) if digests else Remote.verify(self, directory, entries)

    for version in (1, 2, 3):
        planted(site, version)
        assert site.push()
    again = []
    for number in range(1, 200):
        version += 1
        wanted = planted(site, version)
        remote = Counting(site.path)
        remote.left = number
        with suppress(SystemExit):
            site.on(remote).push()
        dead = remote.left <= 0
        site.bury()
        sent.clear()
        site.on(Counting(site.path)).push()
        assert site.live() == wanted, number
        again += [number] if "same" in sent else []
        if not dead:
            break
        site.write("index.html", "between")
        assert site.push(), "there is a tree again that is used"
        site.write("index.html", "after")
        assert site.push()
    assert number > 15
    assert len(again) == 1, f"{again}: there is one moment, right between two renames"


def test_whatever_change_a_rollback_dies_before_the_next_push_or_rollback_goes_on_from_one_of_the_two(
    site: Site,
) -> None:
    trees = []
    for version in (1, 2):
        trees.append(planted(site, version))
        assert site.push()
    died, seen = 0, []
    for number in range(1, 200):
        remote = Dying(site.path)
        remote.left = number
        site.on(remote)
        with suppress(SystemExit):
            site.swap.rollback()
        dead = remote.left <= 0
        died += dead
        site.on(LocalRemote(site.path))
        site.bury()
        if (site.path / "htdocs").exists():
            assert site.live() in trees, number
        # Nothing is as it was pushed last: what the rollback had begun is completed, and pushed over.
        wanted = planted(site, number + 2)
        assert site.push(), number
        assert site.live() == wanted, number
        assert site.debris() == [], number
        before = site.swap.history()[0].id
        trees = [wanted, tree(site.state / "retired" / before)]
        seen.append(before)
        if not dead:
            break
    assert died > 8
    assert len(set(seen)) > 8


def test_a_symlink_that_somebody_altered_or_made_does_not_come_back(site: Site) -> None:
    (site.source / "link").symlink_to("one")
    for version in ("1", "2"):
        site.write("a", version)
        assert site.push()
    (retired,) = (site.state / "retired").iterdir()
    (retired / "link").unlink()
    (retired / "link").symlink_to("elsewhere")
    site.write("a", "3")
    assert site.push()
    assert os.readlink(site.path / "htdocs/link") == "one"
    (retired,) = (site.state / "retired").iterdir()
    (retired / "foreign").symlink_to("elsewhere")
    site.write("a", "4")
    assert site.push()
    assert site.live() == tree(site.source)


def test_too_little_space_is_told_before_anything_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = planted(site, 1)
    monkeypatch.setattr(LocalRemote, "free_space", lambda self: 1)
    assert site.push(), "nobody knows the room of a directory that is not there"
    planted(site, 2)
    with pytest.raises(TargetError, match="no space for"):
        site.push()
    assert site.live() == wanted
    monkeypatch.setattr(LocalRemote, "free_space", lambda self: 1_000_000)
    for version in (2, 3):
        planted(site, version)
        assert site.push()
    monkeypatch.setattr(LocalRemote, "free_space", lambda self: 0)
    planted(site, 4)
    assert site.push(), "what goes makes room"


@pytest.mark.parametrize("person", ["zoë@host", "OFFICE\\zoe@host", 'a "b"@host'])
@pytest.mark.parametrize("layout", ["releases", "mirror", "swap"])
def test_who_has_any_name_pushes_by_scripts(tmp_path: Path, layout: str, person: str) -> None:
    site = Site(tmp_path)
    site.run.person = person
    remote = LocalShell(site.path, ["sh"], os.environ["PATH"])
    layouts = {
        "releases": Releases(remote, site.run, 3),
        "mirror": Mirror(remote, site.run),
        "swap": Swap(remote, site.run, "htdocs"),
    }
    site.mirror = layouts[layout]  # type: ignore[assignment]
    for version in range(3):
        site.write("a", str(version))
        release = site.push()
        assert release
        assert release.creator == person
    assert [each.creator for each in layouts[layout].history()][-1:] == [person]


@pytest.mark.parametrize("left", ["", "x\n"])
@pytest.mark.parametrize("scripts", [True, False])
def test_a_fence_that_a_power_cut_left_without_a_number_is_in_nobodys_way(
    site: Site, left: str, *, scripts: bool
) -> None:
    site.on(LocalShell(site.path, ["sh"], os.environ["PATH"]) if scripts else LocalRemote(site.path))
    planted(site, 1)
    site.push()
    (site.state / "fence").write_text(left)
    wanted = planted(site, 2)
    assert site.push()
    assert site.live() == wanted
    assert (site.state / "fence").read_text() == "000002\n"


def test_a_switch_that_cannot_be_finished_is_undone_and_told(site: Site) -> None:
    was = planted(site, 1)
    site.push()
    planted(site, 2)

    class Between(Dying):
        def rename(self, old: str, new: str) -> None:
            if new == "htdocs":
                raise SystemExit
            super().rename(old, new)

    site.on(Between(site.path))
    with pytest.raises(SystemExit):
        site.push()
    assert not (site.path / "htdocs").exists()
    (broken,) = (site.state / "incoming").glob("*/tree/css/large")
    broken.write_text("short")
    site.bury()
    site.on(LocalRemote(site.path))
    snapshot = site.snapshot()
    with pytest.raises(Overtaken):
        site.swap.push(site.swap.plan(snapshot), snapshot)
    assert site.live() == was
    assert "it was undone" in site.told()
    assert site.push()
    assert site.live()["index.html"] == "version 2"


def test_a_server_that_renames_no_directories_is_told_of_and_nothing_changes(site: Site) -> None:
    was = planted(site, 1)
    site.push()
    planted(site, 2)

    class Careful(LocalRemote):
        def rename(self, old: str, new: str) -> None:
            if old == "htdocs":
                raise RemoteDenied(f"{old}: permission denied")
            super().rename(old, new)

    site.on(Careful(site.path))
    with pytest.raises(TargetError, match="permission denied"):
        site.push()
    assert site.live() == was
    assert not (site.state / "journal").exists()


def test_a_second_rename_that_fails_is_undone_at_once(site: Site) -> None:
    was = planted(site, 1)
    site.push()
    planted(site, 2)

    class Careful(LocalRemote):
        def rename(self, old: str, new: str) -> None:
            if old.endswith("/tree"):
                raise RemoteDenied(f"{old}: permission denied")
            super().rename(old, new)

    site.on(Careful(site.path))
    with pytest.raises(TargetError, match="permission denied"):
        site.push()
    assert site.live() == was
    assert "it was undone" in site.told()
    site.on(LocalRemote(site.path))
    assert site.push()
    assert site.live()["index.html"] == "version 2"
    assert site.debris() == []


def test_layouts_do_not_take_each_others_targets(site: Site) -> None:
    site.write("a")
    site.push()
    for layout in (Mirror(LocalRemote(site.path), site.run), Releases(LocalRemote(site.path), site.run, 3)):
        with pytest.raises(PushRefused, match="layout swap"):
            layout.look()
    os.rename(site.state, site.path / ".htpush")
    with pytest.raises(PushRefused, match="layout mirror"):
        site.plan()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".htpush"])
def test_what_is_live_has_a_name_in_the_path(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a directory"):
        DirOptions(path="site", layout="swap", live=name)
    with pytest.raises(ValueError, match="only for layout"):
        DirOptions(path="site", live="htdocs")
    with pytest.raises(ValueError, match="only for layout"):
        DirOptions(path="site", layout="swap", shared=("uploads",))


class Cut(LocalRemote):
    """A remote to which the connection is lost once what was live has been put away, and nobody says so."""

    lost = False

    def rename(self, old: str, new: str) -> None:
        self._check()
        super().rename(old, new)
        self.lost = self.lost or old == "htdocs"
        self._check()

    def stat(self, path: str) -> Stat | None:
        self._check()
        return super().stat(path)

    def _check(self) -> None:
        if self.lost:
            raise RemoteLost("the connection was lost")


def test_who_loses_the_connection_between_two_renames_does_not_say_that_nothing_was_changed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkit.files.layout.PAUSE", 0.01)
    planted(site, 1)
    site.push()
    planted(site, 2)
    site.on(Cut(site.path))
    with pytest.raises(PushFailed, match="may be live in part, or nothing is"):
        site.push()
    site.on(LocalRemote(site.path))
    wanted = planted(site, 3)
    assert not (site.path / "htdocs").exists()
    site.bury()
    assert site.push()
    assert site.live() == wanted
    site.on(Cut(site.path))
    with pytest.raises(PushFailed, match="may be live in part, or nothing is"):
        site.swap.rollback()
    site.on(LocalRemote(site.path))
    site.bury()
    wanted = planted(site, 4)
    assert site.push()
    assert site.live() == wanted


def test_the_upload_of_what_is_live_goes_with_the_next_push(site: Site) -> None:
    planted(site, 1)
    release = site.push()
    assert release
    (site.state / "incoming" / release.id / "tree").mkdir(parents=True)
    planted(site, 2)
    assert site.push()
    assert site.debris() == []


def test_a_journal_that_is_damaged_or_about_what_is_not_there_is_told_and_nothing_is_changed(site: Site) -> None:
    planted(site, 1)
    first = site.push()
    assert first
    journal = site.state / "journal"
    journal.write_text("nonsense\n")
    planted(site, 2)
    with pytest.raises(PushRefused) as caught:
        site.push()
    assert caught.value.message.startswith(
        f"{journal} is damaged (it is no record of an exchange); nothing was changed"
    )
    assert caught.value.hint == f"see that htdocs is what is to be live, remove {SWAP.journal}, and push again"
    with pytest.raises(PushRefused) as caught:
        site.swap.rollback()
    assert caught.value.message == "a push died while it changed what is live; nothing was changed"
    assert caught.value.hint == "push: it is completed first"
    release = "000002-20260101T000000Z-abc"
    source, away = f"{SWAP.stage(release)}/tree", f"{SWAP / 'retired'}/{first.id}"
    journal.write_bytes(Exchange(release, first.id, source).encode())
    (site.path / "htdocs").rename(site.path / "elsewhere")
    with pytest.raises(PushRefused) as caught:
        site.push()
    assert caught.value.message == (f"{site.path}: htdocs is not there, nor is {source} or {away}; nothing changed")
    assert caught.value.hint == f"remove {SWAP.journal}, and push again"
    assert journal.exists()


def test_what_the_layout_cannot_do_is_told_before_anything_is_sent(site: Site) -> None:
    planted(site, 1)
    site.run.prepare = True
    with pytest.raises(PushRefused) as caught:
        site.push()
    assert caught.value.message == "the layout swap keeps no release that waits; nothing was sent"
    assert caught.value.hint == 'push without --prepare-only, or set layout = "releases"'
    site.run.prepare = False
    with pytest.raises(PushRefused) as caught:
        site.swap.resume()
    assert caught.value.message == "no push to here waits to be resumed"
    assert caught.value.hint == "push: what a push that died had begun is finished first"
    site.foreign("htdocs", "a file")
    with pytest.raises(PushRefused) as caught:
        site.push()
    assert caught.value.message == (
        f"{site.path}/htdocs is a file, and is to be the directory that is live; nothing was sent"
    )
    assert caught.value.hint == "no push put it there: move it away, or give another name as `live`"


def test_a_rollback_that_a_push_overtakes_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (1, 2):
        planted(site, version)
        site.push()
    swap, enter = site.swap, site.swap.queue.enter

    def late(*arguments: Any, **named: Any) -> Any:
        site.on(LocalRemote(site.path))
        planted(site, 3)
        site.push()
        return enter(*arguments, **named)

    monkeypatch.setattr(swap.queue, "enter", late)
    with pytest.raises(Busy) as caught:
        swap.rollback()
    assert caught.value.message == "another push changed what is live meanwhile; this rollback changed nothing"
    assert caught.value.hint == "look at it (push status), then roll back again"
    assert site.live()["index.html"] == "version 3"
