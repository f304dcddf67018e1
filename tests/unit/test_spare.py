"""The spare: the tree of a release that went, which the next one begins as. What lies there is as if it was copied."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from pushkit import TargetError
from pushkit.events import Warned
from pushkit.files import Shell, ShellResult, assembly
from pushkit.files.errors import RemoteLost
from pushkit.files.place import STATE
from pushkit.files.releases import Releases
from pushkit.files.ticket import number_of
from unit.test_releases import Site
from unit.test_shell import SHELLS, LocalShell

#: The shells that find the tools that it takes.
ABLE = ["dash", "bash", "busybox sh"]
SPARE = Path(STATE.spare)
ODD = ("plain", "with space", 'quote\'s "$(id)" `id` $HOME *', "-rf", "latin-1 \udce9", "back\\slash", "deep/er/file")


class Spared(Site):
    """A site that is worked on by a shell, of which two releases stay, so that the third push leaves a spare."""

    def __init__(
        self, tmp_path: Path, shell: str = "dash", path: str = os.defpath, *, hard_links: bool = False
    ) -> None:
        super().__init__(tmp_path, keep=2)
        found = shutil.which(SHELLS[shell][0])
        if found is None:
            pytest.skip(f"{shell} is not installed")
        self.shell = LocalShell(self.path, [found, *SHELLS[shell][1:]], path)
        self.remote = self.shell
        self.hard_links = hard_links
        self.renew()

    def renew(self) -> None:
        """Forget what this command knows."""
        self.releases = Releases(self.remote, self.run, 2, hard_links=self.hard_links)

    def begin(self) -> None:
        """Three pushes, of which the third leaves a spare."""
        for text in "123":
            self.write("a", text)
            self.push()
        assert (self.path / SPARE / "a").read_text() == "1"

    def check(self) -> None:
        """What is live is the project, with what is unchanged as old as it was; of all else nothing is left."""
        live, *_, before = sorted((self.path / "releases").iterdir(), reverse=True)
        assert live == (self.path / "current").resolve()
        assert state(live) == state(self.source)
        assert live.stat().st_mode & 0o777 == 0o755
        for path in self.source.rglob("*"):
            name = path.relative_to(self.source)
            if path.is_file() and not path.is_symlink() and os.path.lexists(before / name):
                was, now = before / name, live / name
                if was.is_file() and was.read_bytes() == now.read_bytes():
                    assert was.stat().st_mtime_ns == now.stat().st_mtime_ns, name
        assert os.listdir(self.path / ".push/incoming") == []
        there = sorted(each.name for each in (self.path / "releases").iterdir())
        assert sorted(os.listdir(self.path / ".push/manifests")) == there

    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


def state(root: Path) -> dict[str, tuple[int, bytes]]:
    """The mode and the content of all below ``root``."""
    found = {}
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        content = os.readlink(os.fsencode(path)) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (0 if path.is_symlink() else mode, content)
    return found


@pytest.fixture(autouse=True)
def low_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a project is, a spare is worth it."""
    monkeypatch.setattr(assembly, "SEVERAL", 1)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Spared:
    site = Spared(tmp_path, getattr(request, "param", "dash"))
    for name in ODD:
        site.write(name, name.encode("utf-8", "surrogateescape").hex())
    (site.source / "link").symlink_to("a")
    site.begin()
    return site


each_shell = pytest.mark.parametrize("site", ABLE, indirect=True)


def inodes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.lstat().st_ino for path in root.rglob("*") if not path.is_dir()}


@each_shell
def test_what_a_spare_has_of_the_next_release_stays_where_it_lies(site: Spared) -> None:
    was = inodes(site.path / SPARE)
    site.write("b", "new")
    site.write("a", "4")
    made = site.push()
    site.check()
    now = inodes(site.path / "releases" / made.id)
    assert {path for path in now if now[path] == was.get(path)} == {*ODD, "link"}
    # The release that went in its turn is the spare of the next push.
    assert (site.path / SPARE / "a").read_text() == "2"
    assert not site.warnings()


def test_a_push_with_a_spare_takes_one_script(site: Spared) -> None:
    site.write("a", "4")
    snapshot = site.snapshot()
    plan = site.releases.plan(snapshot)
    site.shell.scripts.clear()
    site.releases.push(plan, snapshot)
    assert len(site.shell.scripts) == 1


def test_a_spare_is_no_release(site: Spared) -> None:
    gone = {path.name for path in (site.path / ".push/pushes").iterdir()} - {
        path.name[:6] for path in (site.path / "releases").iterdir()
    }
    assert gone == {"000001"}
    assert [number_of(each.id) for each in site.releases.history()] == [2, 3]
    assert number_of(site.releases.rollback().id) == 2
    with pytest.raises(Exception, match="no release before"):
        site.releases.rollback()


def turned(spare: Path) -> None:
    """Every kind of thing in the place of every other, and things that no push put there."""
    (spare / "plain").unlink()
    (spare / "plain").mkdir()
    (spare / "plain/x").write_text("x")
    (spare / "with space").unlink()
    (spare / "with space").symlink_to("/etc")
    (spare / "link").unlink()
    (spare / "link").symlink_to("b")
    os.mkfifo(spare / "fifo")


def added(spare: Path) -> None:
    """What an application leaves: caches, uploads, a directory of its own among those of the project."""
    (spare / "cache/of an/app").mkdir(parents=True)
    (spare / "cache/of an/app/page").write_text("cached")
    (spare / "deep/er/upload\nin two lines").write_text("uploaded")
    (spare / "deep/mine").mkdir()
    (spare / ".htaccess").write_text("Deny from all")


def cached(spare: Path) -> None:
    """The same with plain names alone, as old as what is live."""
    for root in (spare, spare.parents[1] / "current"):
        (root / "deep/cached").write_text("cached")
        os.utime(root / "deep/cached", (1_000_000_000, 1_000_000_000))


def closed(spare: Path) -> None:
    """Modes that somebody changed."""
    (spare / "back\\slash").chmod(0o600)
    (spare / "deep/er").chmod(0o500)
    (spare / "deep").chmod(0o777)
    spare.chmod(0o711)


def emptied(spare: Path) -> None:
    """Nothing of it is left but itself."""
    shutil.rmtree(spare)
    spare.mkdir(mode=0o700)


def halved(spare: Path) -> None:
    """Some of it was removed."""
    (spare / "plain").unlink()
    shutil.rmtree(spare / "deep")


def vanished(spare: Path) -> None:
    """It is not there any more."""
    shutil.rmtree(spare)


def altered(spare: Path) -> None:
    """Some of all that."""
    for alter in (turned, cached, closed):
        alter(spare)


@each_shell
@pytest.mark.parametrize("alter", [altered, added, emptied, halved])
def test_a_spare_in_any_state_becomes_what_is_pushed_and_nothing_else(
    site: Spared, alter: Callable[[Path], None]
) -> None:
    alter(site.path / SPARE)
    site.write("a", "4")
    site.push()
    site.check()
    assert not site.warnings()
    assert (site.path / SPARE / "a").read_text() == "2"


def test_a_spare_that_is_gone_when_it_is_needed_costs_a_copy(tmp_path: Path) -> None:
    site = Spared(tmp_path)
    site.write("kept")
    site.begin()
    site.write("a", "4")
    snapshot = site.snapshot()
    plan = site.releases.plan(snapshot)
    vanished(site.path / SPARE)
    site.releases.push(plan, snapshot)
    site.check()
    assert not site.warnings()


def test_a_damaged_file_of_a_spare_that_looks_as_it_should_is_sent_again(site: Spared) -> None:
    file = site.path / SPARE / "plain"
    was = file.stat()
    file.write_bytes(bytes(reversed(file.read_bytes())))
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    site.write("a", "4")
    made = site.push()
    assert (site.path / "releases" / made.id / "plain").read_text() == (site.source / "plain").read_text()
    assert site.warnings() == ["1 file had been altered on the target, 'plain' first"]
    assert state((site.path / "current").resolve()) == state(site.source)


def test_a_name_of_two_lines_costs_a_copy(site: Spared) -> None:
    for text in "456":
        site.write("two\nlines", "x")
        site.write("a", text)
        site.push()
        site.check()


def test_a_file_that_came_back_is_as_old_as_where_it_is_live(site: Spared) -> None:
    # Caches that go by times would take it for what it was in between.
    site.write("plain", "in between")
    site.push()
    site.write("plain", b"plain".hex())
    back = site.push()
    time = (site.path / "releases" / back.id / "plain").stat().st_mtime_ns
    for text in "45678":
        site.write("a", text)
        site.push()
        site.check()
        assert (site.path / "current/plain").stat().st_mtime_ns == time


def test_kinds_and_modes_change_while_spares_take_turns(site: Spared) -> None:
    def change(number: int) -> None:
        for name in ("x", "y", "z"):
            path = site.source / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for name, kind in zip(("x", "y", "z"), (number, number + 1, number + 2), strict=True):
            if kind % 4 == 0:
                site.write(f"{name}/in/side", str(number), 0o600)
            elif kind % 4 == 1:
                site.write(name, "same", 0o755 if number % 2 else 0o644)
            elif kind % 4 == 2:
                (site.source / name).symlink_to("plain" if number % 3 else "a")
        (site.source / "deep").chmod((0o755, 0o555, 0o700)[number % 3])
        (site.source / "with space").chmod((0o644, 0o755)[number % 2])

    for number in range(8):
        change(number)
        made = site.push()
        assert state(site.path / "releases" / made.id) == state(site.source)
        site.check()
    assert not site.warnings()


def test_where_all_modes_change_nothing_is_taken_from_a_spare(tmp_path: Path) -> None:
    site = Spared(tmp_path)
    site.begin()
    for mode in (0o600, 0o640, 0o755):
        (site.source / "a").chmod(mode)
        site.push()
        site.check()
    assert not site.warnings()


def test_releases_that_share_files_keep_what_is_theirs(tmp_path: Path) -> None:
    site = Spared(tmp_path, hard_links=True)
    for name in ODD:
        site.write(name, "1")
    site.begin()
    for number, text in enumerate("45678"):
        there = {path: state(path) for path in (site.path / "releases").iterdir()}
        site.write("plain", f"changed {text}")
        site.write("with space", "the same", 0o755 if number % 2 else 0o600)
        site.write("a", text)
        made = site.push()
        assert state(site.path / "releases" / made.id) == state(site.source)
        left = {path: state(path) for path in there if path.exists()}
        assert left
        assert left == {path: there[path] for path in left}
        files = [site.path / "releases" / each / "-rf" for each in os.listdir(site.path / "releases")]
        assert len({file.stat().st_ino for file in files}) == 1
    assert not site.warnings()


def test_a_file_that_is_open_in_what_becomes_the_spare_is_not_written_to(site: Spared) -> None:
    with (site.path / SPARE / "a").open() as old, (site.path / SPARE / "plain").open() as kept:
        was = kept.read()
        site.write("a", "4" * 100)
        site.write("plain", "changed")
        site.push()
        assert old.read() == "1"
        kept.seek(0)
        assert kept.read() == was


FAILING = {
    "find": "exec /usr/bin/find -fails",
    "awk": 'case $* in *wanted*) exit 1;; esac; exec /usr/bin/awk "$@"',
    "wc": "cat >/dev/null; echo 0",
    "chmod": "exit 1",
    "rm": 'case $* in *./*) exit 1;; esac; exec /bin/rm "$@"',
    "cp": 'case $* in *-a*) exit 1;; esac; exec /bin/cp "$@"',
    "mv": 'case $* in *sent*) exit 1;; esac; exec /bin/mv "$@"',
}


@pytest.mark.parametrize("tool", FAILING)
def test_where_a_spare_cannot_be_made_use_of_all_is_copied(tmp_path: Path, tool: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    site = Spared(tmp_path, path=f"{tools}:{os.defpath}")
    for name in ODD:
        site.write(name, name.encode("utf-8", "surrogateescape").hex())
    site.begin()
    closed(site.path / SPARE)
    (site.path / SPARE / "cache").write_text("cached")
    # Their numbers are nobody else's as long as they have another name.
    shutil.copytree(site.path / SPARE, tmp_path / "names", copy_function=os.link)
    was = inodes(site.path / SPARE)
    (tools / tool).write_text(f"#!/bin/sh\n{FAILING[tool]}\n")
    (tools / tool).chmod(0o755)
    site.write("a", "4")
    made = site.push()
    site.check()
    assert inodes(site.path / "releases" / made.id).keys() == {*ODD, "a"}
    assert not set(inodes(site.path / "releases" / made.id).values()) & set(was.values())
    assert not site.warnings()


@pytest.mark.parametrize("awk", [each for each in ("mawk", "gawk", "original-awk", "busybox") if shutil.which(each)])
def test_any_awk_will_do(tmp_path: Path, awk: str) -> None:
    found = shutil.which(awk)
    assert found
    tools = tmp_path / "tools"
    tools.mkdir()
    site = Spared(tmp_path, path=f"{tools}:{os.defpath}")
    for name in ODD:
        site.write(name, name.encode("utf-8", "surrogateescape").hex())
    (site.source / "link").symlink_to("a")
    site.begin()
    was = inodes(site.path / SPARE)
    altered(site.path / SPARE)
    (tools / "awk").symlink_to(found)
    site.write("a", "4")
    made = site.push()
    site.check()
    assert inodes(site.path / "releases" / made.id)["-rf"] == was["-rf"]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cp").write_text('#!/bin/sh\ncase $1 in -alT) exit 1;; esac; exec /bin/cp "$@"\n')
    (tools / "cp").chmod(0o755)
    site = Spared(tmp_path, path=f"{tools}:{os.defpath}")
    site.write("kept")
    site.begin()
    was = inodes(site.path / SPARE)
    site.write("a", "4")
    made = site.push()
    site.check()
    assert inodes(site.path / "releases" / made.id)["kept"] == was["kept"]


# Room.


def room(site: Spared, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(LocalShell, "free_space", lambda self: free)
    site.write("a", "4")


@pytest.mark.parametrize(("free", "begins"), [(10_000, True), (10, True), (0, False)])
def test_a_spare_makes_room_for_the_release_that_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, begins: bool
) -> None:
    site = Spared(tmp_path)
    site.write("kept", "x" * 1000)
    site.begin()
    was = inodes(site.path / SPARE)
    room(site, monkeypatch, free)
    made = site.push()
    site.check()
    now = inodes(site.path / "releases" / made.id)
    # Where what is sent has no room beside it, it goes before that arrives.
    assert (now["kept"] == was["kept"]) is begins
    assert (site.path / SPARE / "a").read_text() == "2"


def test_what_does_not_fit_in_place_of_a_spare_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Spared(tmp_path)
    site.write("kept", "x" * 1000)
    site.begin()
    room(site, monkeypatch, 10)
    site.write("more", "x" * 2000)
    with pytest.raises(TargetError, match="no space"):
        site.push()
    assert (site.path / SPARE / "a").read_text() == "1"


def test_on_a_small_disk_there_is_never_more_than_a_push_needed_before(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    site = Spared(tmp_path)
    site.path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1700k", "tmpfs", site.path], check=True)
    try:
        # Of three releases, with what is kept of them, there is room.
        site.write("kept", "x" * 400_000)
        for text in "12345":
            site.write("a", text)
            site.push()
            site.renew()
        site.check()
        assert not site.warnings()
    finally:
        subprocess.run(["umount", site.path], check=True)


# Small projects, other targets.


def test_what_is_copied_in_no_time_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    site = Spared(tmp_path)
    site.write("kept")
    site.begin()
    was = inodes(site.path / SPARE)["kept"]
    site.write("a", "4")
    made = site.push()
    site.check()
    assert inodes(site.path / "releases" / made.id)["kept"] != was
    # The one before made room for it.
    assert (site.path / SPARE / "a").read_text() == "2"


def test_a_target_without_the_tools_keeps_none_and_removes_one_that_is_there(tmp_path: Path) -> None:
    site = Spared(tmp_path)
    site.write("kept")
    site.begin()
    site.shell.shell = Shell(site.shell.shell.tools - {"find-tells"})
    site.shell.capabilities = site.shell.shell.capabilities
    site.renew()
    site.write("a", "4")
    site.push()
    site.check()
    assert not (site.path / SPARE).exists()


def test_something_else_in_the_place_of_the_spare_is_refused(tmp_path: Path) -> None:
    site = Spared(tmp_path)
    site.write("a", "1")
    site.push()
    (site.path / SPARE).symlink_to("/etc")
    with pytest.raises(Exception, match=r"\.push/spare is a symlink, no directory"):
        site.push()


def test_a_release_that_was_prepared_begins_as_the_spare_and_its_switch_leaves_another(tmp_path: Path) -> None:
    site = Spared(tmp_path)
    site.write("kept")
    site.begin()
    was = inodes(site.path / SPARE)["kept"]
    site.write("a", "4")
    site.run.prepare = True
    made = site.push()
    site.run.prepare = False
    assert not (site.path / SPARE).exists()
    site.releases.switch(made.id)
    site.check()
    assert inodes(site.path / "releases" / made.id)["kept"] == was
    assert (site.path / SPARE / "a").read_text() == "2"
    assert not site.warnings()


def test_a_push_that_fails_costs_the_spare_and_no_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Spared(tmp_path)
    site.write("kept")
    site.begin()
    there = {path: state(path) for path in (site.path / "releases").iterdir()}
    site.write("a", "4")
    file = site.path / SPARE / "kept"
    was = file.stat()
    file.write_bytes(b"y")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    monkeypatch.setattr(LocalShell, "put", lambda *_: None)
    with pytest.raises(Exception, match="did not arrive whole"):
        site.push()
    monkeypatch.undo()
    assert {path: state(path) for path in (site.path / "releases").iterdir()} == there
    assert os.listdir(site.path / ".push/incoming") == []
    site.push()
    site.check()


# Death.


class Died(BaseException):
    """The whole of a push, with what the server did for it."""


class Dying(LocalShell):
    """A host whose Nth command from now on is the last: it and all that runs there are killed, and so is the push."""

    def __init__(self, root: Path, tools: Path) -> None:
        self.tools = tools
        self.dead = False
        tools.mkdir()
        for name in COMMANDS:
            (tools / name).write_text(
                f"#!/bin/sh\nif [ -e {tools}/last ]; then\nprintf x >>{tools}/begun\nread -r last <{tools}/last\n"
                f'read -r begun <{tools}/begun || :\n[ ${{#begun}} -lt "$last" ] || kill -s KILL 0\nfi\n'
                f'exec {shutil.which(name, path=os.defpath)} "$@"\n'
            )
            (tools / name).chmod(0o755)
        super().__init__(root, ["setsid", "-w", "dash"], f"{tools}:{os.defpath}")

    def after(self, commands: int) -> None:
        (self.tools / "last").write_text(f"{commands}\n")

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        if self.dead:
            raise RemoteLost("it is dead")
        result = super().run_script(script, stdin, failed, patience)
        if result.code in {-9, 137}:
            self.dead = True
            raise Died
        return result


COMMANDS = ("mkdir", "mv", "rm", "cp", "tail", "tr", "awk", "find", "xargs", "tar", "cat", "chmod", "ln", "readlink")


def deaths() -> list[int]:
    if os.environ.get("PUSHKIT_CHAOS") == "full":
        return list(range(1, 38))
    return [6, 14, 19, 24, 28, 33]


@pytest.mark.parametrize("number", deaths())
def test_wherever_a_server_dies_the_next_push_is_whole_and_leaves_nothing_else(tmp_path: Path, number: int) -> None:
    site = Spared(tmp_path)
    for name in ODD:
        site.write(name, "1")
    site.begin()
    (site.path / SPARE / "cache").write_text("cached")
    (site.path / SPARE / "plain").unlink()
    live = {path: state(path) for path in (site.path / "releases").iterdir()}
    site.remote = dying = Dying(site.path, tmp_path / "tools")
    site.renew()
    site.write("a", "4")
    snapshot = site.snapshot()
    plan = site.releases.plan(snapshot)
    dying.after(number)
    with suppress(Died):
        site.releases.push(plan, snapshot)
    begun = len((dying.tools / "begun").read_text())
    assert dying.dead or begun < number, "a command after the last one"
    now = (site.path / "current").resolve()
    assert state(now) in [*live.values(), state(site.source)]
    for path in (site.path / "releases").iterdir():
        assert state(path) in [*live.values(), state(site.source)], path
    site.remote = site.shell
    site.renew()
    for each in site.releases.look().open_tickets:
        site.die(each)
    # It may have died at its very end.
    site.write("a", "5")
    site.push()
    assert state((site.path / "current").resolve()) == state(site.source)
    site.write("a", "6")
    site.push()
    site.check()
    assert (site.path / SPARE).is_dir()
