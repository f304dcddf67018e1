"""The mirror layout on a local directory: after a push, after a death at any moment, beside foreign files."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkit import Action, Kind, Project, PushFailed, PushRefused, Run, Snapshot, Target, TargetError
from pushkit.errors import Overtaken
from pushkit.events import Event, Note, StepFinished, Warned
from pushkit.files import Remote, RemoteDenied, RemoteExists, RemoteFull, ShellResult, Stat
from pushkit.files import journal as journals
from pushkit.files.layout import release_of
from pushkit.files.mirror import Mirror, MirrorPlan
from pushkit.files.place import MIRROR as STATE
from pushkit.files.releases import Releases
from pushkit.files.ticket import Ticket
from pushkit.model import Release
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import take
from pushkit_dir.remote import LocalRemote
from pushkit_dir.strategy import DirOptions
from unit.test_shell import LocalShell


class Site:
    """A project, a target directory, and the layout between them."""

    def __init__(self, tmp_path: Path, *, adopt: bool = False) -> None:
        self.source = tmp_path / "project"
        self.source.mkdir(exist_ok=True)
        self.path = tmp_path / "site"
        self.events: list[Event] = []
        target = Target("here", "dir")
        self.project = Project("site", self.source / "Pushfile", self.source, ".", (), "here", {"here": target})
        self.run = Run(
            project=self.project,
            target=target,
            emit=self.events.append,
            cancelled=threading.Event(),
            scratch=tmp_path,
            person="ada@lovelace",
            redact=Redactor(),
            environment={},
            adopt=adopt,
        )
        self.mirror = Mirror(LocalRemote(self.path), self.run)

    def write(self, path: str, text: str = "x", mode: int = 0o644) -> None:
        file = self.source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def foreign(self, path: str, text: str = "foreign") -> None:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def snapshot(self) -> Snapshot:
        return take(self.project, None)

    def plan(self) -> MirrorPlan:
        return self.mirror.plan(self.snapshot())

    def push(self) -> Release | None:
        """Push as the engine does: once more when what is live had to be completed first."""
        snapshot = self.snapshot()
        for _ in range(5):
            plan = self.mirror.plan(snapshot)
            if not plan.steps:
                break
            try:
                return self.mirror.push(plan, snapshot)
            except Overtaken:
                continue
        self.mirror.close()
        return None

    def on(self, remote: LocalRemote) -> Site:
        """The same site, on another remote."""
        self.mirror = Mirror(remote, self.run)
        return self

    def bury(self) -> None:
        """Make it look as if the pushes that have not ended had died on another machine long ago."""
        for place in (self.path / STATE.pushes).glob("*"):
            with_record = place / "ticket.json"
            if with_record.exists():
                record = json.loads(with_record.read_text())
                with_record.write_text(json.dumps(record | {"machine": "another"}))
            long_ago = time.time() - 3600
            for each in (place / "hb", place):
                if each.exists():
                    os.utime(each, (long_ago, long_ago))

    def live(self) -> dict[str, str]:
        """What a web server would serve."""
        return tree(self.path)

    def debris(self) -> list[str]:
        state = self.path / STATE.name
        found = [*os.listdir(state / "incoming"), *(["journal"] if (state / "journal").exists() else [])]
        live = (state / "live").read_text().strip() if (state / "live").exists() else ""
        return found + [name for name in os.listdir(state / "manifests") if name != live]

    def told(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, (Warned, Note)))


def tree(root: Path) -> dict[str, str]:
    """Every path below ``root`` but the state: a file's content, a symlink's text, a directory's slash."""
    found = {}
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name != STATE.name]
        for name in (*names, *files):
            path = Path(directory) / name
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = f"-> {os.readlink(path)}"
            else:
                found[key] = "/" if path.is_dir() else path.read_text()
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_first_push_makes_the_directory_the_tree_with_modes_symlinks_and_empty_directories(site: Site) -> None:
    site.write("index.html", "hello")
    site.write("bin/run", "#!/bin/sh", 0o755)
    (site.source / "empty").mkdir(mode=0o750)
    (site.source / "link").symlink_to("index.html")
    release = site.push()
    assert release
    assert site.live() == {
        "index.html": "hello", "bin": "/", "bin/run": "#!/bin/sh", "empty": "/", "link": "-> index.html",
    }  # fmt: skip
    assert (site.path / "bin/run").stat().st_mode & 0o777 == 0o755
    assert (site.path / "empty").stat().st_mode & 0o777 == 0o750
    assert (site.path / ".htpush").stat().st_mode & 0o777 == 0o700
    assert "denied" in (site.path / ".htpush/.htaccess").read_text()
    assert not site.debris()
    assert site.mirror.live() == release.id
    assert [each.id for each in site.mirror.history()] == [release.id]


def test_an_unchanged_project_has_an_empty_plan(site: Site) -> None:
    site.write("a")
    site.push()
    os.utime(site.source / "a")
    plan = site.plan()
    assert (plan.steps, plan.kept) == ((), 1)


def identity(file: Path) -> tuple[int, ...]:
    """What stays of a file that is only read."""
    found = file.stat()
    return (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def test_only_what_changed_is_sent_and_each_step_is_reported_once(site: Site) -> None:
    for name in ("a", "b", "c", "d/e"):
        site.write(name, name)
    site.push()
    before = identity(site.path / "a")
    site.write("b", "B")
    site.write("f/g", "f")
    (site.source / "c").unlink()
    (site.source / "d/e").chmod(0o600)
    site.events.clear()
    plan = site.plan()
    assert plan.size == 2
    site.push()
    done = [event.step for event in site.events if isinstance(event, StepFinished)]
    assert sorted(done, key=str) == sorted(plan.steps, key=str)
    assert site.live() == {"a": "a", "b": "B", "d": "/", "d/e": "d/e", "f": "/", "f/g": "f"}
    assert (site.path / "d/e").stat().st_mode & 0o777 == 0o600
    assert identity(site.path / "a") == before
    assert not site.debris()


def test_types_change_in_every_direction(site: Site) -> None:
    for number, (old, _) in enumerate((a, b) for a in "fdl" for b in "fdl"):
        make(site.source / str(number), old)
    site.push()
    expected = tree(site.source)
    assert site.live() == expected
    for number, (_, new) in enumerate((a, b) for a in "fdl" for b in "fdl"):
        path = site.source / str(number)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        make(path, new)
        if new == "f":
            path.write_text("new")
    site.push()
    assert site.live() == tree(site.source)
    assert not site.debris()


def make(path: Path, letter: str) -> None:
    if letter == "f":
        path.write_text("file")
    elif letter == "l":
        path.symlink_to("x")
    else:
        (path / "deep/er").mkdir(parents=True)
        (path / "deep/er/file").write_text("1")
        (path / "file").write_text("2")


def test_emptied_directories_go_and_those_with_foreign_files_stay(site: Site) -> None:
    site.write("a/b/c")
    site.write("d/e")
    site.write("f")
    site.push()
    site.foreign("d/uploaded")
    shutil.rmtree(site.source / "a")
    shutil.rmtree(site.source / "d")
    site.push()
    assert site.live() == {"f": "x", "d": "/", "d/uploaded": "foreign"}


def test_a_directory_with_foreign_files_does_not_become_a_file(site: Site) -> None:
    site.write("a/b")
    site.write("c")
    site.push()
    site.foreign("a/uploaded")
    shutil.rmtree(site.source / "a")
    site.write("a")
    with pytest.raises(PushRefused, match="holds 'uploaded'"):
        site.push()
    assert site.live() == {"a": "/", "a/b": "x", "a/uploaded": "foreign", "c": "x"}


def test_a_name_that_changes_its_case_alone_arrives(site: Site) -> None:
    site.write("Readme", "1")
    site.write("Css/a", "1")
    site.push()
    (site.source / "Readme").rename(site.source / "README")
    (site.source / "Css").rename(site.source / "css")
    site.push()
    assert site.live() == {"README": "1", "css": "/", "css/a": "1"}


def test_names_with_any_byte_deep_paths_and_empty_files_arrive(site: Site) -> None:
    names = (b"new\nline", b"\xff\xfe", "ünï".encode(), b"-rf", b" lead", b"trail ", b"back\\slash", b"'\"$(x)", b"*")
    deep = b"/".join([b"d" * 100] * 20)
    for turn in (b"", b"2"):
        for place in (b"", b"-dir/", deep + b"/"):
            os.makedirs(os.path.join(os.fsencode(site.source), place), exist_ok=True)
            for name in names:
                with open(os.path.join(os.fsencode(site.source), place, name), "wb") as file:
                    file.write(turn)
        site.push()
        for place in (b"", b"-dir/", deep + b"/"):
            for name in names:
                with open(os.path.join(os.fsencode(site.path), place, name), "rb") as file:
                    assert file.read() == turn
    assert not site.debris()


def test_closed_directories_are_changed_and_stay_closed(site: Site) -> None:
    site.write("closed/a", "1")
    site.write("closed/b/c", "1")
    try:
        for text in ("1", "2"):
            (site.source / "closed").chmod(0o755)
            site.write("closed/a", text)
            (site.source / "closed").chmod(0o555)
            site.push()
            assert (site.path / "closed").stat().st_mode & 0o777 == 0o555
            assert (site.path / "closed/a").read_text() == text
        site.write("d")
        (site.source / "closed").chmod(0o755)
        shutil.rmtree(site.source / "closed")
        site.push()
        assert site.live() == {"d": "x"}
    finally:
        for path in (site.path / "closed", site.source / "closed"):
            if path.exists():
                path.chmod(0o755)


# Foreign files.


def test_a_first_push_over_foreign_files_is_refused_untouched_and_adopted_when_asked(
    site: Site, tmp_path: Path
) -> None:
    site.write("index.html", "new")
    site.write("same", "same")
    site.write("css/a", "a")
    for path, text in {"index.html": "old", "same": "same", "uploads/cat": "meow", "css/b": "b"}.items():
        site.foreign(path, text)
    (site.path / "same").chmod(0o640)
    before = site.live()
    with pytest.raises(PushRefused, match=r"2 files that no push put on here.*'index.html' first") as refused:
        site.push()
    assert "--adopt" in refused.value.hint
    assert tree(site.path) == before
    assert not (site.path / STATE.name).exists()
    site = Site(tmp_path, adopt=True)
    sent = {step.subject for step in site.plan().steps if step.action in {Action.ADD, Action.REPLACE}}
    assert sent == {"index.html", "css/a"}
    kept = identity(site.path / "same")
    site.push()
    assert site.live() == before | {"index.html": "new", "css/a": "a"}
    assert identity(site.path / "same") == kept, "taken as it is"


def test_sizes_alone_do_not_make_an_adopted_file_unchanged(tmp_path: Path) -> None:
    class Plain(LocalRemote):
        capabilities = LocalRemote.capabilities.__class__()

    site = Site(tmp_path, adopt=True)
    site.on(Plain(site.path))
    site.write("a", "new")
    site.foreign("a", "old")
    site.push()
    assert site.live() == {"a": "new"}


def test_a_later_push_does_not_overwrite_a_file_that_somebody_else_put_there(site: Site, tmp_path: Path) -> None:
    site.write("a")
    site.push()
    site.foreign("b")
    site.write("b", "ours")
    with pytest.raises(PushRefused, match="'b' first"):
        site.push()
    assert site.live() == {"a": "x", "b": "foreign"}
    site = Site(tmp_path, adopt=True)
    site.push()
    assert site.live() == {"a": "x", "b": "ours"}


def test_a_file_that_comes_while_the_push_is_under_way_is_not_overwritten(site: Site) -> None:
    site.write("a")
    site.push()
    site.write("b", "ours")
    snapshot = site.snapshot()
    plan = site.mirror.plan(snapshot)
    site.foreign("b")
    with pytest.raises(PushRefused, match="somebody changed what is live"):
        site.mirror.push(plan, snapshot)
    assert site.live() == {"a": "x", "b": "foreign"}
    assert not site.debris()


def test_what_somebody_removed_with_its_directory_is_sent_again_when_that_only_gets_another_mode(site: Site) -> None:
    site.write("d/sub/kept", "kept")
    site.write("d-before", "before")
    site.push()
    shutil.rmtree(site.path / "d")
    (site.source / "d").chmod(0o750)
    site.push()
    assert (site.path / "d/sub/kept").read_text() == "kept"
    assert (site.path / "d").stat().st_mode & 0o777 == 0o750


def test_what_a_push_put_there_and_somebody_removed_is_sent_again_when_its_directory_is_touched(site: Site) -> None:
    site.write("css/a", "1")
    site.write("css/b", "1")
    site.push()
    shutil.rmtree(site.path / "css")
    site.write("css/a", "2")
    site.push()
    assert site.live() == {"css": "/", "css/a": "2", "css/b": "1"}


@pytest.mark.parametrize("first", [True, False])
def test_a_symlink_that_leads_outside_is_not_written_through(site: Site, tmp_path: Path, *, first: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("private")
    site.write("css/a", "1")
    site.write("b")
    if first:
        site.path.mkdir()
    else:
        site.push()
        shutil.rmtree(site.path / "css")
        site.write("css/a", "2")
    (site.path / "css").symlink_to(outside)
    with pytest.raises(PushRefused, match="css is a symlink"):
        site.push()
    shutil.rmtree(site.source / "css")
    if not first:
        with pytest.raises(PushRefused, match="css is a symlink"):
            site.push()
    assert tree(outside) == {"a": "private"}


def test_a_project_that_holds_the_records_of_a_target_is_refused(site: Site) -> None:
    site.write(".htpush/live")
    with pytest.raises(PushRefused, match=r"holds \.htpush"):
        site.push()


def test_a_target_of_the_other_layout_is_refused(site: Site) -> None:
    site.write("a")
    site.push()
    with pytest.raises(PushRefused, match="holds pushes of the layout mirror"):
        Releases(LocalRemote(site.path), site.run, 3).look()
    shutil.rmtree(site.path / ".htpush")
    (site.path / ".push").mkdir()
    (site.path / ".push/format").write_text("1")
    with pytest.raises(PushRefused, match="holds pushes of the layout releases"):
        site.push()


@pytest.mark.parametrize("damage", [b"", b"pushkit-manifest 1 00\n", None])
def test_a_damaged_manifest_is_rebuilt_by_comparing_and_told(site: Site, damage: bytes | None) -> None:
    for name in "abc":
        site.write(name, "1")
    release = site.push()
    assert release
    path = site.path / STATE.manifest(release.id)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    site.write("b", "2")
    (site.source / "c").unlink()
    plan = site.plan()
    assert {s.subject for s in plan.steps if s.action in {Action.ADD, Action.REPLACE}} == {"b"}
    assert "stays there" in plan.warnings[0]
    site.push()
    assert site.live() == {"a": "1", "b": "2", "c": "1"}
    assert site.plan().steps == ()


def test_a_lost_record_of_what_is_live_is_no_first_push(site: Site) -> None:
    site.write("a", "1")
    site.push()
    (site.path / STATE.name / "live").unlink()
    site.write("a", "2")
    assert site.plan().warnings
    site.push()
    assert site.live() == {"a": "2"}


def test_repair_sends_what_was_altered_on_the_target(site: Site) -> None:
    for name in "abc":
        site.write(name, "1")
    site.push()
    (site.path / "a").write_text("hacked")
    (site.path / "b").unlink()
    assert site.plan().steps == ()
    site.run.repair = True
    site.push()
    assert site.live() == {"a": "1", "b": "1", "c": "1"}


def test_a_rollback_is_refused_and_says_what_to_do(site: Site) -> None:
    site.write("a")
    site.push()
    with pytest.raises(PushRefused, match="keeps none") as refused:
        site.mirror.rollback()
    assert "git:" in refused.value.hint


def test_a_push_that_waited_while_another_went_live_is_planned_again(site: Site) -> None:
    site.write("a", "1")
    site.push()
    site.write("a", "2")
    snapshot = site.snapshot()
    waiting, faster = site.mirror, Mirror(LocalRemote(site.path), site.run)
    ticket, _ = faster.queue.enter(
        faster.look(), lambda number: Ticket(number, release_of(number, snapshot, "bob@desk"), "")
    )
    plan = waiting.plan(snapshot)
    faster.queue.end(ticket, "given up")
    release = faster.push(faster.plan(snapshot), snapshot)
    with pytest.raises(Overtaken) as caught:
        waiting.push(plan, snapshot)
    waiting.close()
    assert caught.value.message == f"another push made {release.id} live on here meanwhile"


def test_a_target_that_keeps_no_times_says_so(site: Site) -> None:
    class Timeless(LocalRemote):
        set_time = Remote.set_time

    site.write("a", "1")
    timeless = Mirror(Timeless(site.path), site.run, times=lambda entry: 1_500_000_000)
    snapshot = site.snapshot()
    with pytest.raises(TargetError, match=r"site/\S+: this target keeps no times of files") as caught:
        timeless.push(timeless.plan(snapshot), snapshot)
    assert caught.value.hint == "leave out `mtimes`"
    assert site.live() == {}


def test_options_that_need_releases_are_refused_for_a_mirror() -> None:
    DirOptions(path="x", layout="mirror", keep=3, mtimes=True)
    for more in ({"shared": ("a/",)}, {"before_switch": "x"}, {"after_switch": ("x",)}, {"hard_links": True}):
        with pytest.raises(ValueError, match=f"`{next(iter(more))}`: only for layout"):
            DirOptions.of({"path": "x", "layout": "mirror", **more})


def test_too_little_space_is_told_before_anything_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("a", "1")
    site.push()
    site.write("a", "22")
    monkeypatch.setattr(LocalRemote, "free_space", lambda self: 1)
    with pytest.raises(TargetError, match="no space for 2 bytes"):
        site.push()
    assert len(os.listdir(site.path / STATE.pushes)) == 1


# Failures.


def test_a_failure_while_sending_leaves_what_is_live_and_no_debris(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("a", "old")
    site.push()
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
    assert not site.debris()


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
    assert not site.debris()


def test_a_failure_in_the_switch_is_completed_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("a", "1")
    site.write("b", "1")
    site.push()
    site.write("a", "2")
    site.write("b", "2")
    rename = LocalRemote.rename
    failures = [RemoteFull("no")]

    def once(self: LocalRemote, old: str, new: str) -> None:
        if new == "b" and failures:
            raise failures.pop()
        rename(self, old, new)

    monkeypatch.setattr(LocalRemote, "rename", once)
    with pytest.raises(PushFailed, match="is live"):
        site.push()
    assert site.live() == {"a": "2", "b": "2"}
    assert site.plan().steps == ()
    assert not site.debris()


def test_a_switch_that_cannot_be_completed_says_so_and_the_next_push_does(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("a", "1")
    site.write("b", "1")
    site.push()
    site.write("a", "2")
    site.write("b", "2")
    rename = LocalRemote.rename

    def never(self: LocalRemote, old: str, new: str) -> None:
        if new == "b":
            raise RemoteFull("no")
        rename(self, old, new)

    monkeypatch.setattr(LocalRemote, "rename", never)
    with pytest.raises(PushFailed, match="live in part") as failed:
        site.push()
    assert "next push finishes" in failed.value.hint
    assert site.live() == {"a": "2", "b": "1"}
    monkeypatch.undo()
    plan = site.plan()
    assert [step.action for step in plan.steps] == [Action.VERIFY]
    warnings: list[str] = []
    assert not site.mirror.is_there(plan.live, site.mirror.look(), warnings)
    assert "or died" in warnings[0]
    assert site.push() is None
    assert site.live() == {"a": "2", "b": "2"}
    assert not site.debris()
    assert "it was finished" in site.told()


def test_a_switch_that_fails_since_somebody_came_in_its_way_says_what_is_live(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("a", "1")
    site.write("b", "1")
    site.push()
    rename = LocalRemote.rename

    def obstructed(self: LocalRemote, old: str, new: str) -> None:
        if new == "b":
            (site.path / "b").unlink()
            (site.path / "b").mkdir()
            raise RemoteDenied("b: permission denied")
        rename(self, old, new)

    monkeypatch.setattr(LocalRemote, "rename", obstructed)
    site.write("a", "2")
    site.write("b", "2")
    with pytest.raises(PushFailed, match="live in part"):
        site.push()
    assert "cannot be finished (a directory has come to 'b')" in site.told()
    monkeypatch.undo()
    with pytest.raises(PushRefused, match="b is a directory on the target"):
        site.push()
    (site.path / "b").rmdir()
    assert site.push()
    assert site.live() == {"a": "2", "b": "2"}
    assert site.debris() == []


def test_who_asks_to_stop_during_the_switch_is_heard_after_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        site.write(name, "1")
    site.push()
    site.write("a", "2")
    (site.source / "b").unlink()
    (site.source / "c").chmod(0o600)
    rename = LocalRemote.rename

    def stop(self: LocalRemote, old: str, new: str) -> None:
        rename(self, old, new)
        if new == "a":
            site.run.cancelled.set()

    monkeypatch.setattr(LocalRemote, "rename", stop)
    site.push()
    assert site.live() == {"a": "2", "c": "1"}
    assert not site.debris()


# Deaths.


class Killed(BaseException):
    """The end of the process."""


class Mortal(LocalRemote):
    """A remote whose client dies at the primitive ``last``: before its effect, or right after it."""

    def __init__(self, root: Path, last: int, *, after: bool) -> None:
        super().__init__(root)
        self.calls = 0
        self._last = last
        self._after = after


def dying(name: str) -> Callable[..., Any]:
    act = getattr(LocalRemote, name)

    def one(self: Mortal, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls > self._last or (self.calls == self._last and not self._after):
            raise Killed
        found = act(self, *arguments)
        if self.calls == self._last:
            raise Killed
        return found

    return one


for each in ("write", "append", "make_directory", "make_symlink", "rename", "set_mode", "remove", "remove_directory"):
    setattr(Mortal, each, dying(each))


def deaths(make_site: Callable[[], Site], limit: int = 1000) -> Iterator[Site]:
    """A site after the death of a push at each call that changes anything, before its effect and after it."""
    for after in (False, True):
        for last in range(1, limit):
            site = make_site()
            remote = Mortal(site.path, last, after=after)
            try:
                site.on(remote).push()
            except Killed:
                site.on(LocalRemote(site.path))
                site.bury()
                yield site
            else:
                break


def changed(tmp_path: Path) -> Site:
    """A site with one push and foreign files, and a project that changed in every way."""
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    site = Site(tmp_path)
    for path in ("same", "edited", "gone/deep/er", "gone/file", "becomes-dir", "becomes-file/x", "css/a", "moded"):
        site.write(path, "old")
    (site.source / "link").symlink_to("old")
    (site.source / "link-to-dir").symlink_to("gone")
    site.push()
    site.foreign("uploads/cat")
    site.foreign("gone/mine")
    site.foreign("css/mine")
    for path in ("gone", "becomes-file"):
        shutil.rmtree(site.source / path)
    for path in ("becomes-dir", "link", "link-to-dir"):
        (site.source / path).unlink()
    for path in ("edited", "becomes-dir/y", "becomes-file", "css/a", "css/sub/b", "new/n/e", "link-to-dir/z"):
        site.write(path, "new")
    (site.source / "link").symlink_to("new")
    (site.source / "moded").chmod(0o600)
    (site.source / "closed").mkdir(mode=0o555)
    return site


FOREIGN = {"uploads": "/", "uploads/cat": "foreign", "gone": "/", "gone/mine": "foreign", "css/mine": "foreign"}


@pytest.mark.parametrize("next_push", ["the same", "another"])
def test_whatever_instant_a_push_dies_files_are_whole_and_the_next_push_completes(
    tmp_path: Path, next_push: str
) -> None:
    seen = 0
    for site in deaths(lambda: changed(tmp_path / "s")):
        seen += 1
        for path, text in site.live().items():
            assert text in {"old", "new", "/", "-> old", "-> new", "-> gone"} or FOREIGN[path] == text
        if next_push == "another":
            site.write("edited", "newer")
            shutil.rmtree(site.source / "css")
        site.push()
        expected = tree(site.source) | FOREIGN
        if next_push == "another":
            expected |= {"css": "/"}
        assert site.live() == expected
        assert not site.debris()
        assert (site.path / "moded").stat().st_mode & 0o777 == 0o600
        assert (site.path / "closed").stat().st_mode & 0o777 == 0o555
        assert site.plan().steps == ()
    assert seen > 60


def test_a_first_push_that_dies_leaves_nothing_that_is_in_the_way_of_the_next(tmp_path: Path) -> None:
    def first() -> Site:
        shutil.rmtree(tmp_path / "s", ignore_errors=True)
        (tmp_path / "s").mkdir()
        site = Site(tmp_path / "s")
        site.write("a")
        site.write("b/c")
        site.foreign("mine")
        return site

    for site in deaths(first):
        site.push()
        assert site.live() == tree(site.source) | {"mine": "foreign"}
        assert not site.debris()


def test_a_push_that_finishes_another_may_die_as_well(tmp_path: Path) -> None:
    def half() -> Site:
        return half_switched(changed(tmp_path / "s"))

    for site in deaths(half):
        site.push()
        assert site.live() == tree(site.source) | FOREIGN
        assert not site.debris()


def half_switched(site: Site) -> Site:
    """``site`` after the death of its push in the middle of the switch."""
    remote = Mortal(site.path, 10**6, after=True)
    rename = remote.rename

    def last(old: str, new: str) -> None:
        rename(old, new)
        if new == "css/a":
            remote._last = remote.calls

    remote.rename = last  # type: ignore[method-assign]
    with pytest.raises(Killed):
        site.on(remote).push()
    assert (site.path / STATE.name / "journal").exists()
    site.on(LocalRemote(site.path)).bury()
    return site


@pytest.mark.parametrize("harm", ["gone", "altered"])
def test_a_switch_whose_content_is_damaged_is_undone_and_pushed_over(tmp_path: Path, harm: str) -> None:
    site = half_switched(changed(tmp_path / "s"))
    (incoming,) = (site.path / STATE.incoming).iterdir()
    if harm == "gone":
        shutil.rmtree(incoming)
    else:
        (incoming / "tree/edited").write_text("nEw")
    site.push()
    assert "cannot be finished" in site.told()
    assert site.live() == tree(site.source) | FOREIGN
    assert not site.debris()


def test_a_push_with_nothing_to_do_removes_a_ticket_whose_remover_died(site: Site) -> None:
    site.write("a")
    assert site.push()
    half = site.path / f"{STATE.pushes}/000000.expired/end"
    half.mkdir(parents=True)
    assert site.push() is None
    assert not half.parent.exists()


def test_what_cannot_be_cleaned_up_does_not_fail_a_push_with_nothing_to_do(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("a")
    release = site.push()
    assert release
    (site.path / STATE.incoming / release.id).mkdir()
    assert [step.action for step in site.plan().steps] == [Action.PRUNE]
    site.mirror.hold("a freeze is no reason to fail it either")
    assert site.plan().steps == ()
    site.mirror.queue.release_hold()

    def refuse(self: LocalRemote, path: str) -> None:
        raise RemoteFull(f"{path}: no")

    monkeypatch.setattr(LocalRemote, "remove_tree", refuse)
    assert site.push() is None
    assert "could not be removed" in site.told()
    assert site.mirror.live() == release.id


@pytest.mark.parametrize("damage", [b"", b"pushkit-journal 1 00\n{}"])
def test_a_damaged_journal_is_told_and_what_is_live_compared(tmp_path: Path, damage: bytes) -> None:
    site = half_switched(changed(tmp_path / "s"))
    (site.path / STATE.name / "journal").write_bytes(damage)
    site.run.adopt = True
    site.push()
    assert "is damaged" in site.told()
    live = site.live()
    assert {path: live[path] for path in tree(site.source)} == tree(site.source)
    assert FOREIGN.items() <= live.items()
    assert not site.debris()


def test_a_journal_that_leads_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    site = half_switched(changed(tmp_path / "s"))
    path = site.path / STATE.name / "journal"
    found = journals.decode(path.read_bytes())
    for bad in ("../outside", "/etc/passwd", "a//b", ".", "a\0b"):
        forged = journals.Journal(found.release, "", [], [], [bad], [], [])
        with pytest.raises(ValueError, match="not a path inside"):
            journals.decode(forged.encode())
    forged = journals.Journal("../../x", "", [], [], [], [], [])
    with pytest.raises(ValueError, match="not a release id"):
        journals.decode(forged.encode())


def test_a_symlink_that_came_since_a_push_died_is_not_written_through(tmp_path: Path) -> None:
    site = half_switched(changed(tmp_path / "s"))
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    shutil.rmtree(site.path / "css")
    (site.path / "css").symlink_to(outside)
    with pytest.raises(PushRefused, match="css is a symlink"):
        site.push()
    assert tree(outside) == {"sub": "/"}


def test_what_arrived_whole_is_not_sent_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for name in "abc":
        site.write(name, name)
    remote = Mortal(site.path, 10**6, after=True)
    write = remote.write

    def last(path: str, chunks: Iterable[bytes], mode: int) -> None:
        write(path, chunks, mode)
        if path.endswith("tree/b"):
            remote._last = remote.calls

    remote.write = last  # type: ignore[method-assign]
    with pytest.raises(Killed):
        site.on(remote).push()
    sent: list[str] = []

    class Counting(LocalRemote):
        def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
            sent.append(path.rpartition("tree/")[2])
            super().write(path, chunks, mode)

    site.on(Counting(site.path)).bury()
    site.push()
    assert {"a", "b", "c"} & set(sent) == {"c"}
    assert site.live() == {"a": "a", "b": "b", "c": "c"}
    assert not site.debris()


class Cut(LocalShell):
    """A shell whose scripts that change anything end for good after ``last`` of their operations, all counted."""

    def __init__(self, root: Path, last: int) -> None:
        super().__init__(root, ["sh"], os.environ["PATH"])
        self.left = last

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        if not hasattr(self, "left"):
            return super().run_script(script, stdin, failed, patience)
        numbers = [int(line.removeprefix("echo ")) for line in script.split("\n") if re.fullmatch(r"echo \d+", line)]
        dies = len(numbers) > self.left
        if dies:
            script = script.replace(f"\necho {self.left}\n", "\nkill -s KILL $$\n")
        self.left -= len(numbers)
        done = super().run_script(script, stdin, failed, patience)
        if dies:
            raise Killed
        return done


def test_whatever_operation_of_a_script_a_push_dies_at_files_are_whole_and_the_next_push_completes(
    tmp_path: Path,
) -> None:
    for last in range(200):
        site = changed(tmp_path / "s")
        try:
            site.on(Cut(site.path, last)).push()
        except Killed:
            site.bury()
            for path, text in site.live().items():
                assert text in {"old", "new", "/", "-> old", "-> new", "-> gone"} or FOREIGN[path] == text
            site.on(LocalShell(site.path, ["sh"], os.environ["PATH"])).push()
            assert site.live() == tree(site.source) | FOREIGN
            assert not site.debris()
        else:
            break
    assert last > 40


def test_whatever_operation_of_a_script_a_push_dies_at_that_finishes_another_nothing_of_it_stays(
    tmp_path: Path,
) -> None:
    for last in range(200):
        site = half_switched(changed(tmp_path / "s"))
        there = os.listdir(site.path / STATE.name)
        try:
            site.on(Cut(site.path, last)).push()
        except Killed:
            site.bury()
            site.on(LocalShell(site.path, ["sh"], os.environ["PATH"])).push()
            assert site.live() == tree(site.source) | FOREIGN
            assert not site.debris()
            assert set(os.listdir(site.path / STATE.name)) == {*there, "live", "fence"} - {"journal"}
        else:
            break
    assert last > 20


# Servers of a lesser kind.


class Keeping(LocalRemote):
    """A remote that does not rename over what is there."""

    def rename(self, old: str, new: str) -> None:
        if self.stat(new) is not None:
            raise RemoteExists(f"{new}: {os.strerror(errno.EEXIST)}")
        super().rename(old, new)


DYING_RENAME = dying("rename")


class MortalKeeping(Mortal):
    """The same, dying."""

    def rename(self, old: str, new: str) -> None:
        if self.stat(new) is not None:
            raise RemoteExists(f"{new}: {os.strerror(errno.EEXIST)}")
        DYING_RENAME(self, old, new)


def test_where_rename_does_not_replace_the_old_is_put_aside_and_a_death_is_survived(tmp_path: Path) -> None:
    site = changed(tmp_path / "s").on(Keeping(tmp_path / "s/site"))
    site.push()
    assert site.live() == tree(site.source) | FOREIGN
    assert not site.debris()

    for after in (False, True):
        for last in range(1, 1000):
            site = changed(tmp_path / "s")
            try:
                site.on(MortalKeeping(site.path, last, after=after)).push()
            except Killed:
                site.on(Keeping(site.path)).bury()
                site.push()
                assert site.live() == tree(site.source) | FOREIGN
                assert not site.debris()
            else:
                break
        assert last > 30


class Folding(LocalRemote):
    """A remote that does not tell the case of letters: names are those that were made first."""

    def _full(self, path: str) -> str:
        full = self.root
        for part in filter(None, path.split("/")):
            try:
                there = {name.casefold(): name for name in os.listdir(full)}
            except OSError:
                there = {}
            full = f"{full}/{there.get(part.casefold(), part)}"
        return full

    def list(self, path: str) -> list[Stat]:
        return list(super().list(path))

    def kinds(self, paths: Any) -> dict[str, Kind | None]:
        return {path: stat.kind for path in paths if (stat := self.stat(path)) is not None}


def test_a_target_that_does_not_tell_letters_case_keeps_a_file_whose_name_changed_only_that(site: Site) -> None:
    site.on(Folding(site.path))
    site.write("Readme", "1")
    site.write("Css/a", "1")
    site.push()
    (site.source / "Readme").unlink()
    (site.source / "Css").rename(site.source / "css")
    site.write("README", "2")
    site.push()
    assert {path.casefold(): text for path, text in site.live().items()} == {"readme": "2", "css": "/", "css/a": "1"}


# Any tree.

NAMES = st.sampled_from(["a", "b", "A", "new\nline", "\udcff", "a.new", "-x"])
LEAVES = st.sampled_from(["file:1", "file:2", "file:", "link:a", "link:.."])
TREES = st.recursive(LEAVES, lambda below: st.dictionaries(NAMES, below, max_size=4), max_leaves=8)
PROJECTS = st.dictionaries(NAMES, TREES, min_size=1, max_size=4)


def plant(root: Path, found: Any) -> None:
    """Make ``found`` the content of ``root``."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    waiting = [(root, found)]
    while waiting:
        place, below = waiting.pop()
        for name, value in below.items():
            path = place / name
            if isinstance(value, dict):
                path.mkdir()
                waiting.append((path, value))
            elif value.startswith("link:"):
                path.symlink_to(value.removeprefix("link:"))
            else:
                path.write_text(value.removeprefix("file:"))


@settings(
    max_examples=600 if os.environ.get("PUSHKIT_CHAOS") == "full" else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(old=PROJECTS, new=PROJECTS, foreign=st.dictionaries(NAMES, st.just("foreign"), max_size=2), data=st.data())
def test_any_tree_becomes_any_other_beside_any_foreign_file_and_through_a_death(
    tmp_path: Path, old: Any, new: Any, foreign: dict[str, str], data: st.DataObject
) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    site = Site(tmp_path)
    plant(site.source, old | {"keep": "file:keep"})
    site.push()
    before = site.live()
    assert before == tree(site.source)
    mine = {}
    for name, text in foreign.items():
        # Beside what is pushed, in the root and in a directory that there is.
        for place in [*[path for path, kind in before.items() if kind == "/"][:1], ""]:
            path = f"{place}/mine-{name}".lstrip("/")
            site.foreign(path, text)
            mine[path] = text
    plant(site.source, new | {"keep": "file:keep"})
    after = tree(site.source)
    stuck = any("/" in path and after.get(path.split("/mine-")[0], "/") != "/" for path in mine)
    last = data.draw(st.integers(1, 60))
    try:
        site.on(Mortal(site.path, last, after=data.draw(st.booleans()))).push()
    except Killed:
        for path, text in site.live().items():
            assert text in {before.get(path), after.get(path), mine.get(path), "/"}
    except PushRefused:
        assert stuck
    site.on(LocalRemote(site.path)).bury()
    try:
        site.push()
    except PushRefused:
        assert stuck
        assert site.live() == before | mine
        return
    ways = {way: "/" for path in mine for way in [path.rpartition("/")[0]] if way}
    while any("/" in way and way.rpartition("/")[0] not in ways for way in ways):
        ways |= {way.rpartition("/")[0]: "/" for way in ways if "/" in way}
    assert site.live() == ways | after | mine
    assert not site.debris()
