"""The releases layout on a local directory: what lies there after a push, a failure, a rollback, a prune."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from pushkit import (
    Action,
    Busy,
    Interrupted,
    Kind,
    Project,
    PushFailed,
    PushRefused,
    Run,
    Snapshot,
    Target,
    TargetError,
    manifest,
)
from pushkit.errors import Overtaken
from pushkit.events import Event, StepFailed, StepFinished, Warned
from pushkit.files import RemoteFull, ShellResult
from pushkit.files.errors import RemoteLost
from pushkit.files.history import meant
from pushkit.files.place import STATE
from pushkit.files.releases import Releases
from pushkit.files.ticket import Ticket
from pushkit.model import Entry, Release, Revision
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import take
from pushkit_dir.remote import LocalRemote
from unit.test_shell import LocalShell


class Site:
    """A project, a target directory, and the layout between them."""

    def __init__(self, tmp_path: Path, keep: int = 5) -> None:
        self.source = tmp_path / "project"
        self.source.mkdir()
        self.path = tmp_path / "srv" / "site"
        self.path.parent.mkdir()
        self.events: list[Event] = []
        target = Target("here", "dir")
        self.project = Project("site", self.source / "Pushfile", self.source, ".", (), "here", {"here": target})
        self.cancelled = threading.Event()
        self.run = Run(
            project=self.project,
            target=target,
            emit=self.events.append,
            cancelled=self.cancelled,
            scratch=tmp_path,
            person="ada@lovelace",
            redact=Redactor(),
            environment={},
        )
        self.remote = LocalRemote(self.path)
        self.releases = Releases(self.remote, self.run, keep)

    def write(self, path: str, text: str = "x", mode: int = 0o644) -> None:
        file = self.source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def snapshot(self) -> Snapshot:
        return take(self.project, None)

    def push(self) -> Release:
        snapshot = self.snapshot()
        return self.releases.push(self.releases.plan(snapshot), snapshot)

    def enter(self) -> Ticket:
        """The ticket of another push, which holds."""

        def describe(number: int) -> Ticket:
            now = datetime.now(UTC)
            name = f"{number:06d}-{now:%Y%m%dT%H%M%SZ}-abc"
            return Ticket(number, Release(name, Revision("", False, ""), now, "x@y"))

        ticket, _ = self.releases.queue.enter(self.releases.look(), describe)
        return ticket

    def die(self, ticket: Ticket) -> None:
        """Make it look as if the push of ``ticket`` had died on another machine long ago."""
        place = self.path / STATE.ticket(ticket.number)
        record = json.loads((place / "ticket.json").read_text())
        (place / "ticket.json").write_text(json.dumps(record | {"machine": "another"}))
        long_ago = time.time() - 3600
        os.utime(place / "hb", (long_ago, long_ago))

    def live(self) -> dict[str, str]:
        """What a web server would serve."""
        return tree(self.path / "current")

    def debris(self) -> list[str]:
        found = os.listdir(self.path / ".push" / "incoming")
        return found + [name for name in os.listdir(self.path / ".push") if name.startswith("current-")]


def tree(root: Path) -> dict[str, str]:
    found = {}
    for directory, _, files in os.walk(root):
        for name in files:
            path = Path(directory) / name
            key = str(path.relative_to(root))
            found[key] = f"-> {os.readlink(path)}" if path.is_symlink() else path.read_text()
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_first_push_makes_the_tree_live_with_modes_symlinks_and_empty_directories(site: Site) -> None:
    site.write("index.html", "hello")
    site.write("bin/run", "#!/bin/sh", 0o755)
    (site.source / "empty").mkdir(mode=0o750)
    (site.source / "link").symlink_to("index.html")
    release = site.push()
    assert site.live() == {"index.html": "hello", "bin/run": "#!/bin/sh", "link": "-> index.html"}
    assert os.readlink(site.path / "current") == f"releases/{release.id}"
    assert (site.path / "current/bin/run").stat().st_mode & 0o777 == 0o755
    assert (site.path / "current/empty").stat().st_mode & 0o777 == 0o750
    assert (site.path / ".push").stat().st_mode & 0o777 == 0o700
    assert not site.debris()
    assert site.releases.live() == release.id


def test_an_unchanged_project_has_an_empty_plan(site: Site) -> None:
    site.write("a")
    site.push()
    os.utime(site.source / "a")
    plan = site.releases.plan(site.snapshot())
    assert plan.steps == ()
    assert plan.kept == 1


def test_only_what_changed_is_sent_and_each_step_is_reported_once(site: Site) -> None:
    for name in ("a", "b", "c", "d/e"):
        site.write(name, name)
    site.push()
    site.write("b", "B")
    site.write("f", "f")
    (site.source / "c").unlink()
    site.events.clear()
    plan = site.releases.plan(site.snapshot())
    assert plan.size == 2
    site.push()
    done = [event.step for event in site.events if isinstance(event, StepFinished)]
    assert sorted(done, key=str) == sorted(plan.steps, key=str)
    assert {step.subject for step in done if step.action in {Action.ADD, Action.REPLACE}} == {"b", "f"}
    assert site.live() == {"a": "a", "b": "B", "d/e": "d/e", "f": "f"}


def test_a_same_size_edit_with_the_old_times_is_sent(site: Site) -> None:
    site.write("a", "one")
    before = (site.source / "a").stat()
    site.push()
    site.write("a", "two")
    os.utime(site.source / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    site.push()
    assert site.live() == {"a": "two"}


def test_kept_files_keep_their_times(site: Site) -> None:
    site.write("a", "a")
    site.write("b", "b")
    site.push()
    was = (site.path / "current/a").stat().st_mtime_ns
    site.write("b", "B")
    site.push()
    assert (site.path / "current/a").stat().st_mtime_ns == was


def test_types_change_in_every_direction(site: Site) -> None:
    site.write("file")
    site.write("dir/x")
    (site.source / "link").symlink_to("file")
    site.push()
    (site.source / "file").unlink()
    (site.source / "dir/x").unlink()
    (site.source / "dir").rmdir()
    (site.source / "link").unlink()
    site.write("file/now/deep", "1")
    (site.source / "dir").symlink_to("file")
    site.write("link", "2")
    site.push()
    assert site.live()["file/now/deep"] == "1"
    assert os.readlink(site.path / "current/dir") == "file"
    assert not (site.path / "current/link").is_symlink()


def test_a_changed_mode_travels_without_the_content(site: Site) -> None:
    site.write("a", "a")
    (site.source / "d").mkdir(mode=0o755)
    site.push()
    (site.source / "a").chmod(0o600)
    (site.source / "d").chmod(0o500)
    plan = site.releases.plan(site.snapshot())
    assert plan.size == 0
    assert {step.reason for step in plan.steps if step.action is Action.REPLACE} == {
        "mode 644 becomes 600",
        "mode 755 becomes 500",
    }
    site.push()
    assert (site.path / "current/a").stat().st_mode & 0o777 == 0o600
    assert (site.path / "current/d").stat().st_mode & 0o777 == 0o500


def test_names_with_any_byte_arrive(site: Site) -> None:
    for name in (b"new\nline", b"\xff\xfe", "ünï".encode(), b"-rf", b" lead", b"trail ", b"back\\slash", b"'\"$(x)"):
        with open(os.path.join(os.fsencode(site.source), name), "wb") as file:
            file.write(name)
    site.push()
    site.write("another")
    site.push()
    there = os.path.join(os.fsencode(site.path), b"current")
    for name in os.listdir(there):
        if name != b"another":
            with open(os.path.join(there, name), "rb") as file:
                assert file.read() == name
    assert len(os.listdir(there)) == 9


def test_a_failure_while_sending_leaves_what_is_live_and_no_debris(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("a", "old")
    first = site.push()
    site.write("a", "new")
    site.write("b", "b")
    write = LocalRemote.write

    def full(self: LocalRemote, path: str, chunks: Iterable[bytes], mode: int) -> None:
        if path.endswith("/b"):
            raise RemoteFull(f"{path}: no space left")
        write(self, path, chunks, mode)

    monkeypatch.setattr(LocalRemote, "write", full)
    with pytest.raises(RemoteFull):
        site.push()
    assert site.live() == {"a": "old"}
    assert site.releases.live() == first.id
    assert not site.debris()
    monkeypatch.undo()
    site.push()
    assert site.live() == {"a": "new", "b": "b"}


def test_what_did_not_arrive_whole_never_becomes_live(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("a", "old")
    site.push()
    site.write("a", "new")
    write = LocalRemote.write

    def lossy(self: LocalRemote, path: str, chunks: Iterable[bytes], mode: int) -> None:
        write(self, path, [b"nEw"] if path.endswith("/a") else chunks, mode)

    monkeypatch.setattr(LocalRemote, "write", lossy)
    with pytest.raises(PushFailed, match="did not arrive whole"):
        site.push()
    assert site.live() == {"a": "old"}


def test_a_file_that_changes_under_the_push_aborts_it(site: Site) -> None:
    site.write("a", "old")
    site.push()
    site.write("a", "new")
    snapshot = site.snapshot()
    plan = site.releases.plan(snapshot)
    site.write("a", "NEW")
    with pytest.raises(Exception, match="a"):
        site.releases.push(plan, snapshot)
    assert site.live() == {"a": "old"}
    assert not site.debris()


def test_a_push_that_was_overtaken_is_busy_and_changes_nothing(site: Site) -> None:
    site.write("a", "1")
    site.push()
    site.write("a", "2")
    snapshot = site.snapshot()
    plan = site.releases.plan(snapshot)
    another = site.source.parent / "another"
    another.mkdir()
    (another / "a").write_text("3")
    faster = take(replace(site.project, pushfile=another / "Pushfile", root=another))
    site.releases.push(site.releases.plan(faster), faster)
    with pytest.raises(Busy, match="another push"):
        site.releases.push(plan, snapshot)
    assert site.live() == {"a": "3"}


def test_keep_good_releases_and_the_one_before_the_live_one(tmp_path: Path) -> None:
    site = Site(tmp_path, keep=2)
    made = []
    for text in "12345":
        site.write("a", text)
        made.append(site.push().id)
    there = sorted(os.listdir(site.path / "releases"))
    assert there == made[-2:]
    assert sorted(os.listdir(site.path / ".push/manifests")) == there


def test_failed_pushes_do_not_evict_good_releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, keep=2)
    site.write("a", "1")
    site.push()
    site.write("a", "2")
    site.push()
    good = sorted(os.listdir(site.path / "releases"))
    monkeypatch.setattr(LocalRemote, "verify", lambda self, directory, entries: entries)
    for text in "345":
        site.write("a", text)
        with pytest.raises(PushFailed):
            site.push()
    assert sorted(os.listdir(site.path / "releases")) == good


def test_rollback_goes_to_what_was_live_before(site: Site) -> None:
    ids = []
    for text in "123":
        site.write("a", text)
        ids.append(site.push().id)
    assert site.releases.rollback().id == ids[1]
    assert site.live() == {"a": "2"}
    site.write("a", "4")
    site.push()
    # What was live before the fourth is the second, not the third that was rolled back.
    assert site.releases.rollback().id == ids[1]
    assert site.releases.rollback().id == ids[0]
    with pytest.raises(PushRefused, match="no release before"):
        site.releases.rollback()
    assert site.releases.rollback(ids[2]).id == ids[2]
    assert site.live() == {"a": "3"}


def test_a_release_may_be_named_by_its_number_or_how_its_revision_begins(site: Site) -> None:
    ids = []
    for text in "123":
        site.write("a", text)
        ids.append(site.push().id)
    assert site.releases.rollback("2").id == ids[1]
    assert site.releases.switch("000003").id == ids[2]
    revision = ids[0].rpartition("-")[2]
    assert site.releases.rollback(revision[:5]).id == ids[0]
    assert site.live() == {"a": "1"}


def test_what_may_be_one_of_several_releases_is_refused() -> None:
    names = ["000001-20261122T000000Z-abc1234", "000002-20261122T000000Z-abc1234-dirty"]
    assert meant("000002-20261122T000000Z-abc1234-dirty", names) == names[1]
    assert meant("abc1234-d", names) == names[1]
    assert meant("9", names) == "9"
    with pytest.raises(PushRefused, match=r"may be each of 000001.*, 000002"):
        meant("abc", names)


def test_rollback_refuses_what_is_not_there(site: Site) -> None:
    with pytest.raises(PushRefused, match="nothing was ever pushed"):
        site.releases.rollback()
    site.write("a")
    release = site.push()
    with pytest.raises(PushRefused, match="live already"):
        site.releases.rollback(release.id)
    with pytest.raises(PushRefused, match="no good release"):
        site.releases.rollback("../../etc")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / "current").mkdir(), "is a directory, not a symlink"),
        (lambda path: (path / "current").symlink_to("/etc"), "not a release of push"),
        (lambda path: (path / "current").symlink_to("releases/../../x"), "not a release of push"),
        (lambda path: (path / "releases").symlink_to("/tmp"), "no directory"),
        (lambda path: (path / ".push").symlink_to("/tmp"), "no directory"),
    ],
)
def test_a_target_that_push_did_not_make_is_refused_untouched(
    site: Site, spoil: Callable[[Path], None], message: str
) -> None:
    site.path.mkdir()
    spoil(site.path)
    before = sorted(os.listdir(site.path))
    site.write("a")
    with pytest.raises(PushRefused, match=message):
        site.push()
    assert sorted(os.listdir(site.path)) == before


def test_a_newer_format_is_refused(site: Site) -> None:
    site.write("a", "1")
    site.push()
    (site.path / ".push/format").write_text("2\n")
    site.write("a", "2")
    with pytest.raises(PushRefused, match="format '2'"):
        site.push()
    assert site.live() == {"a": "1"}


@pytest.mark.parametrize("damage", [b"", b"pushkit-manifest 1 00\n", b"\x00" * 64])
def test_a_damaged_manifest_costs_a_full_push_and_is_told(site: Site, damage: bytes) -> None:
    site.write("a", "1")
    release = site.push()
    (site.path / ".push/manifests" / release.id).write_bytes(damage)
    plan = site.releases.plan(site.snapshot())
    assert "damaged" in plan.warnings[0]
    site.push()
    assert site.live() == {"a": "1"}


def test_a_path_without_a_parent_is_told_before_anything_is_made(site: Site) -> None:
    site.write("a")
    site.path.parent.rmdir()
    with pytest.raises(TargetError, match="does not exist"):
        site.push()
    assert not site.path.parent.exists()


def test_a_path_whose_parent_goes_after_the_plan_is_told(site: Site) -> None:
    site.write("a")
    snapshot = site.snapshot()
    plan = site.releases.plan(snapshot)
    site.path.parent.rmdir()
    with pytest.raises(TargetError) as caught:
        site.releases.push(plan, snapshot)
    assert caught.value.message == (
        f"{site.path} does not exist, nor does the directory it would lie in; nothing was changed"
    )
    assert caught.value.hint == "check `path`, or make the directory first"


def test_a_live_file_that_is_too_large_to_look_into_is_told(site: Site) -> None:
    site.write("a", "four")
    site.push()
    site.releases.changes(site.snapshot())
    assert site.releases.read_live("a", 4) == b"four"
    with pytest.raises(TargetError) as caught:
        site.releases.read_live("a", 3)
    assert caught.value.message == "a is larger than 3 B"


def test_a_release_that_would_not_be_the_newest_is_refused(site: Site) -> None:
    site.write("a", "1")
    first = site.push()
    site.write("a", "2")
    site.run.release = first
    with pytest.raises(Busy) as caught:
        site.push()
    assert caught.value.message == (
        f"another push was here since it was looked at: {first.id} would not be its newest release"
    )
    assert caught.value.hint == "look at it (push status), then push again"
    assert site.live() == {"a": "1"}


def test_too_little_space_is_told_before_anything_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("a", "1")
    site.push()
    site.write("a", "22")
    monkeypatch.setattr(LocalRemote, "free_space", lambda self: 1)
    with pytest.raises(TargetError, match="no space for 2 bytes"):
        site.push()
    assert len(os.listdir(site.path / ".push/pushes")) == 1


def test_what_is_copied_on_the_target_needs_room_too(site: Site) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    site.path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", site.path], check=True)
    try:
        site.write("kept", "x" * 150_000)
        site.write("a", "1")
        first = site.push()
        site.write("a", "22")
        with pytest.raises(TargetError, match=r"no space for 150,002 bytes \(2 sent, 150,000 copied from the live rel"):
            site.push()
        assert site.live() == {"kept": "x" * 150_000, "a": "1"}
        assert os.listdir(site.path / ".push/pushes") == [first.id[:6]]
    finally:
        subprocess.run(["umount", site.path], check=True)


def test_copies_that_share_their_blocks_need_no_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("kept", "x" * 100)
    site.write("a", "1")
    site.push()
    site.write("a", "22")
    asked: list[str] = []

    def shares(self: LocalRemote, path: str) -> bool:
        asked.append(path)
        return self.stat(path) is not None

    monkeypatch.setattr(LocalRemote, "shares_copies", shares)
    monkeypatch.setattr(LocalRemote, "free_space", lambda self: 1)
    with pytest.raises(TargetError, match="no space for 102 bytes"):
        site.push()
    assert not asked, "what is sent does not fit either"
    monkeypatch.setattr(LocalRemote, "free_space", lambda self: 2)
    site.push()
    assert asked == [".push/format"]


def test_what_dead_pushes_left_is_removed_by_the_next_push(site: Site) -> None:
    site.write("a", "1")
    good = site.push().id
    for place in (".push/incoming", "releases"):
        ticket = site.enter()
        assert ticket.release
        (site.path / place / ticket.release.id).mkdir()
        (site.path / ".push/manifests" / ticket.release.id).write_text("")
        site.die(ticket)
    site.write("a", "2")
    there = {good, site.push().id}
    assert os.listdir(site.path / ".push/incoming") == []
    assert set(os.listdir(site.path / "releases")) == set(os.listdir(site.path / ".push/manifests")) == there


@pytest.mark.parametrize("error", [RemoteFull("the answer was lost"), KeyboardInterrupt()], ids=["lost", "ctrl-c"])
def test_a_switch_whose_answer_is_lost_keeps_what_is_live(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    site.write("a", "1")
    site.push()
    site.write("a", "2")
    rename = LocalRemote.rename

    def unheard(self: LocalRemote, old: str, new: str) -> None:
        rename(self, old, new)
        if new == "current":
            raise error

    monkeypatch.setattr(LocalRemote, "rename", unheard)
    with pytest.raises(type(error)):
        site.push()
    monkeypatch.undo()
    assert site.live() == {"a": "2"}
    assert len(site.releases.history()) == 2
    site.write("a", "3")
    site.push()
    assert site.live() == {"a": "3"}


def test_a_live_release_that_is_gone_is_told_and_sent_again(site: Site) -> None:
    site.write("a", "1")
    live = site.push().id
    shutil.rmtree(site.path / "releases" / live)
    plan = site.releases.plan(site.snapshot())
    assert f"{live} is gone" in plan.warnings[0]
    site.push()
    assert site.live() == {"a": "1"}


def test_what_was_altered_or_removed_on_the_target_is_sent_again(site: Site) -> None:
    for name in "abc":
        site.write(name, name)
    (site.source / "link").symlink_to("a")
    site.push()
    (site.path / "current/a").write_text("hacked")
    (site.path / "current/b").unlink()
    (site.path / "current/link").unlink()
    site.write("c", "changed")
    site.push()
    assert site.live() == {"a": "a", "b": "b", "c": "changed", "link": "-> a"}
    told = [event.message for event in site.events if isinstance(event, Warned)]
    assert any("gone from the target" in message for message in told)
    assert any("altered on the target" in message for message in told)


def test_one_release_that_cannot_be_removed_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, keep=1)
    remove_tree = LocalRemote.remove_tree
    site.write("a", "1")
    stuck = site.push().id

    def refuse(self: LocalRemote, path: str) -> None:
        if path.endswith(stuck):
            raise RemoteFull(f"{path}: no")
        remove_tree(self, path)

    monkeypatch.setattr(LocalRemote, "remove_tree", refuse)
    made = []
    for text in "2345":
        site.write("a", text)
        made.append(site.push().id)
    # Out of the way, for what may be half gone is nothing to roll back to.
    assert set(os.listdir(site.path / "releases")) == set(made[-2:])
    assert os.listdir(site.path / ".push/incoming") == [stuck]


def test_a_symlink_in_a_forged_manifest_changes_no_mode_behind_it(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("private")
    outside.chmod(0o600)
    (site.source / "link").symlink_to(outside)
    site.write("a", "1")
    release = site.push().id
    forged = [entry._replace(mode=0o644) if entry.kind is Kind.SYMLINK else entry for entry in site.snapshot().entries]
    (site.path / ".push/manifests" / release).write_bytes(manifest.encode(forged))
    site.write("a", "2")
    site.push()
    assert outside.stat().st_mode & 0o777 == 0o600


def test_a_fifo_among_the_records_is_an_error_and_does_not_hang(site: Site) -> None:
    site.write("a", "1")
    site.push()
    (site.path / ".push/format").unlink()
    os.mkfifo(site.path / ".push/format")
    with pytest.raises(PushRefused, match="no file"):
        site.releases.live()


def test_a_tree_deeper_than_pythons_stack_is_removed(site: Site) -> None:
    site.path.mkdir()
    deep = "/".join(["d"] * 1500)
    site.remote.make_directory("top", 0o755)
    for end in range(1, 1501):
        site.remote.make_directory(f"top/{deep[: 2 * end - 1]}", 0o755)
    site.remote.remove_tree("top")
    assert os.listdir(site.path) == []


def test_tickets_are_numbered_without_a_gap_or_a_twin_under_contention(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkit.files.queue.PAUSE", 0.01)
    site.write("a")
    site.push()
    taken: list[int] = []
    site.run.wait = 60

    def take_five() -> None:
        for _ in range(5):
            ticket = site.enter()
            taken.append(ticket.number)
            site.releases.queue.end(ticket, "done")

    threads = [threading.Thread(target=take_five) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(2, 42))


def test_a_prune_that_fails_is_told_and_the_push_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, keep=1)
    for text in "12":
        site.write("a", text)
        site.push()
    site.write("a", "3")

    def refuse(self: LocalRemote, path: str) -> None:
        raise RemoteFull(f"{path}: no space left")

    monkeypatch.setattr(LocalRemote, "remove_tree", refuse)
    site.push()
    assert site.live() == {"a": "3"}
    assert any(isinstance(event, Warned) and "could not be removed" in event.message for event in site.events)


def test_switches_leave_no_gap_for_a_reader(site: Site) -> None:
    for text in "12":
        site.write("a", text)
        site.push()
    stop = threading.Event()
    seen: list[str] = []
    gaps: list[OSError] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append((site.path / "current/a").read_text())
            except OSError as error:
                gaps.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    there = sorted(os.listdir(site.path / "releases"))
    for turn in range(300 if os.environ.get("PUSHKIT_CHAOS") == "full" else 30):
        site.releases.rollback(there[turn % 2])
    stop.set()
    reader.join()
    assert not gaps
    assert set(seen) == {"1", "2"}


def test_read_only_directories_are_filled_and_closed(site: Site) -> None:
    site.write("closed/a", "1")
    (site.source / "closed").chmod(0o555)
    try:
        site.push()
        site.write("b")
        site.push()
        assert site.live() == {"closed/a": "1", "b": "x"}
        assert (site.path / "current/closed").stat().st_mode & 0o777 == 0o555
    finally:
        with suppress(OSError):
            (site.source / "closed").chmod(0o755)


def test_who_takes_the_number_of_a_push_in_a_moment_is_followed_by_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    snapshot = site.snapshot()
    planned = site.releases.plan(snapshot)
    faster = Releases(site.remote, site.run, 5)
    faster.push(faster.plan(snapshot), snapshot)
    with pytest.raises(Overtaken, match="at the same moment"):
        site.releases.push(planned, snapshot)
    site.write("a", "2")
    assert site.push().id.startswith("000002-")
    assert site.live() == {"a": "2"}
    assert not site.releases.look().open_tickets


class Cut(LocalRemote):
    """A remote that is lost when a ticket is to be taken."""

    def make_directory(self, path: str, mode: int) -> None:
        if path == STATE.ticket(1):
            raise RemoteLost("the connection was lost")
        super().make_directory(path, mode)


def test_who_does_not_know_whether_it_has_a_ticket_ends_nobody_elses(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    cut = Releases(Cut(site.path), site.run, 5)
    snapshot = site.snapshot()
    planned = cut.plan(snapshot)
    site.remote.make_directory("", 0o755)
    other = site.enter()
    with pytest.raises(RemoteLost):
        cut.push(planned, snapshot)
    assert [each.number for each in site.releases.look().open_tickets] == [other.number]


def test_who_gets_another_connection_before_its_turn_is_planned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkit.files.layout.PAUSE", 0)
    site = Site(tmp_path)
    site.write("a", "1")
    cut = Releases(Again(site.path), site.run, 5)
    snapshot = site.snapshot()
    site.remote.make_directory("", 0o755)
    other = site.enter()
    planned = cut.plan(snapshot)
    with pytest.raises(Overtaken) as caught:
        cut.push(planned, snapshot)
    assert caught.value.message == "the connection was lost; this push has to be planned again"
    site.releases.queue.end(other, "given up")
    assert cut.push(cut.plan(snapshot), snapshot)


class Again(Cut):
    """A remote that is lost once, and can be reached again."""

    lost = False

    def make_directory(self, path: str, mode: int) -> None:
        if path.startswith(f"{STATE.pushes}/") and not self.lost:
            self.lost = True
            raise RemoteLost("the connection was lost")
        LocalRemote.make_directory(self, path, mode)

    def renew(self) -> None:
        """There is another connection."""


class Late(LocalShell):
    """A shell whose user asks to stop when a script has switched, before anybody could tell them so."""

    asked = threading.Event()

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        result = super().run_script(script, stdin, failed, patience)
        if "current.new" in script:
            self.asked.set()
        return result


def test_who_asks_to_stop_when_all_is_live_is_told_that_it_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    remote = Late(site.path, ["sh"], os.defpath)
    remote.asked = site.cancelled
    layout = Releases(remote, site.run, 5)
    snapshot = site.snapshot()
    with pytest.raises(Interrupted):
        layout.push(layout.plan(snapshot), snapshot)
    assert site.live() == {"a": "1"}
    finished = [event.step.action for event in site.events if isinstance(event, StepFinished)]
    assert finished == [Action.ADD, Action.SWITCH]
    assert not layout.look().open_tickets


class Gone(Late):
    """A server that is lost as soon as its user has asked to stop."""

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        if self.asked.is_set():
            raise RemoteLost("the connection was lost")
        return super().run_script(script, stdin, failed, patience)


def test_who_asks_to_stop_and_then_loses_the_connection_is_not_told_that_nothing_is_live(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("a", "1")
    remote = Gone(site.path, ["sh"], os.defpath)
    remote.asked = site.cancelled
    layout = Releases(remote, site.run, 5)
    snapshot = site.snapshot()
    with pytest.raises(Interrupted):
        layout.push(layout.plan(snapshot), snapshot)
    failed = [event.step.action for event in site.events if isinstance(event, StepFailed)]
    # By this the engine says that it is not known whether the new release is live.
    assert failed == [Action.SWITCH]


class Switched(LocalRemote):
    """A remote on which what is live changes while a push verifies: a dead one's server goes on."""

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        live = self.read_link("current")
        other = next(each.name for each in self.list("releases") if each.name not in live)
        self.remove("current")
        self.make_symlink(f"releases/{other}", "current")
        return super().verify(directory, entries)


def test_a_push_under_which_what_is_live_was_changed_changes_nothing_and_is_planned_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for text in "12":
        site.write("a", text)
        site.push()
    site.write("a", "3")
    snapshot = site.snapshot()
    pushing = Releases(Switched(site.path), site.run, 5)
    with pytest.raises(Overtaken, match="meanwhile"):
        pushing.push(pushing.plan(snapshot), snapshot)
    assert site.live() == {"a": "1"}
    assert not site.releases.look().open_tickets
    site.push()
    assert site.live() == {"a": "3"}
