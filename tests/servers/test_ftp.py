"""The whole command, against real FTP servers over TLS: vsftpd, ProFTPD, Pure-FTPd and pyftpdlib."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.project import PUSH
from plugins.ftp_target import table
from plugins.test_ftp_connection import running
from pushkit.testing import Fault, FaultProxy, FtpServer, ProFtpdFtp, ServerDirectory, VsFtpd, Way
from recorder.sitecustomize import recorded
from servers.test_push import described

FULL = os.environ.get("PUSHKIT_CHAOS") == "full"
#: How often a client is killed, or its line cut; and what the moments are made of.
DEATHS = 200 if FULL else 2
SEED = int(os.environ.get("PUSHKIT_CHAOS_SEED", "0")) or random.randrange(1, 1 << 30)
SERVERS = ["vsftpd", "proftpd_ftp", "pureftpd", "pyftpd"]
LAYOUTS = ["mirror", "swap"]


class FtpProject:
    """A project with one target on an FTP server, whose directory on this machine is ``local``."""

    def __init__(self, root: Path, server: FtpServer, directory: ServerDirectory) -> None:
        self.root = root / "blog"
        self.root.mkdir()
        self.home = root / "home"
        self.home.mkdir()
        self.server = server
        self.local = directory.local
        self.live_at, self.state = self.local, self.local / ".htpush"
        self.password = server.password
        self.table = table(server, directory.path) | {"strategy": "ftp", "password": "${env:FTP_PASSWORD}"}

    def write(self, **options: object) -> None:
        """Write the Pushfile."""
        lines = [f"{key} = {value!r}" for key, value in (self.table | options).items()]
        (self.root / "Pushfile").write_text("\n".join(["[target.web]", *lines, ""]))

    def start(self, *arguments: str, **options: object) -> subprocess.Popen[str]:
        """Start ``push``."""
        self.write(**options)
        environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(self.home), "FTP_PASSWORD": self.password}
        return subprocess.Popen(
            [PUSH, *arguments], cwd=self.root, env=environment | {"LC_ALL": "C.UTF-8"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def push(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run ``push``."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def swaps(self) -> None:
        """From now on what is live is the directory ``htdocs``."""
        self.table |= {"layout": "swap", "live": "htdocs"}
        self.live_at, self.state = self.local / "htdocs", self.local / ".htswap"

    def live(self) -> dict[bytes, tuple[str, int, str]]:
        """What is live, without what push keeps there; nothing right between two renames."""
        if not self.live_at.exists():
            assert (self.state / "journal").exists()
            return {}
        return {path: found for path, found in described(self.live_at).items() if path.split(b"/")[0] != b".htpush"}

    def expected(self) -> dict[bytes, tuple[str, int, str]]:
        return {path: found for path, found in described(self.root).items() if path != b"Pushfile"}

    def check_live(self) -> None:
        """What lies there is the project, and nothing of another push is left."""
        assert self.live() == self.expected()
        assert os.listdir(self.state / "incoming") == []
        assert not (self.state / "journal").exists()


@pytest.fixture(params=SERVERS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> FtpProject:
    server: FtpServer = request.getfixturevalue(f"{request.param}_server")
    directory: ServerDirectory = request.getfixturevalue(f"{request.param}_directory")
    return FtpProject(tmp_path, server, directory)


def plant(root: Path, turn: int) -> None:
    """Make the project's tree, one of two: some paths are something else in the other, or nothing."""
    for number in range(20):
        path = root / f"dir {number % 3}/größe/file-{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{turn}{number}" * (turn * 50 * number))
    (root / "staying").write_text("the same")
    (root / ".htaccess").write_text(f"turn {turn}")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "large").write_bytes(bytes([turn]) * 300_000)
    odd, even = root / "odd", root / "even"
    if turn % 2:
        even.unlink(missing_ok=True)
        (odd / "deep/er").mkdir(parents=True, exist_ok=True)
        (odd / "deep/er/file").write_text("odd")
    else:
        shutil.rmtree(odd, ignore_errors=True)
        even.write_text("even")


def test_a_tree_arrives_as_it_is_and_only_changes_travel(project: FtpProject) -> None:
    plant(project.root, 1)
    first = project.push()
    assert first.returncode == 0, first.stderr
    project.check_live()
    assert "nothing to do" in project.push().stderr
    assert (project.local / ".htpush/.htaccess").read_text().startswith("<IfModule")
    for number in range(10):
        (project.root / f"dir {number % 3}/größe/file-{number}.txt").write_text("changed")
    ten = project.push()
    assert ten.returncode == 0, ten.stderr
    assert "10 to replace, 15 kept; 70 B to send" in ten.stderr
    project.check_live()
    plant(project.root, 2)
    other = project.push("--yes")
    assert other.returncode == 0, other.stderr
    project.check_live()
    for said in (first, ten, other):
        assert project.password not in said.stdout + said.stderr


@pytest.mark.parametrize("project", ["vsftpd"], indirect=True)
def test_the_other_commands_know_what_is_live(project: FtpProject) -> None:
    plant(project.root, 1)
    checked = project.push("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "TLSv1.3" in checked.stdout
    assert project.push().returncode == 0
    assert "is live since" in project.push("status").stdout
    assert len(re.findall("good", project.push("log").stdout)) == 1
    (project.local / "large").write_bytes(b"short")
    deep = project.push("check", "--deep")
    assert (deep.returncode, "large: altered" in deep.stdout) == (7, True)
    assert project.push("--repair").returncode == 0
    project.check_live()


@pytest.mark.parametrize("project", ["proftpd_ftp"], indirect=True)
def test_what_no_push_put_there_is_refused_or_adopted_and_stays(project: FtpProject) -> None:
    (project.root / "a").write_text("new")
    for name, text in {"a": "old", "mine": "mine"}.items():
        (project.local / name).write_text(text)
        os.chown(project.local / name, project.local.stat().st_uid, -1)
    refused = project.push()
    assert (refused.returncode, "push --adopt" in refused.stderr) == (6, True), refused.stderr
    assert project.push("--adopt").returncode == 0
    assert {name: (project.local / name).read_text() for name in ("a", "mine")} == {"a": "new", "mine": "mine"}


@pytest.fixture
def digesting(tmp_path: Path) -> Iterator[FtpProject]:
    """A project whose server gives digests of files: HASH, XSHA256 and others."""
    settings = {"AllowOverwrite": "on", "LoadModule": "mod_digest.c", "DigestEngine": "on"}
    (tmp_path / "server").mkdir()
    with running(ProFtpdFtp, tmp_path / "server", settings=settings) as server, server.new_directory() as directory:
        yield FtpProject(tmp_path, server, directory)


def test_where_the_server_has_digests_what_lies_there_with_the_same_content_is_adopted_and_not_sent(
    digesting: FtpProject,
) -> None:
    project = digesting
    (project.local / "dir").mkdir()
    for name, here, there in (("same", "new", "new"), ("dir/same", "new", "new"), ("altered", "new", "old")):
        (project.root / name).parent.mkdir(exist_ok=True)
        (project.root / name).write_text(here)
        (project.local / name).write_text(there)
    for path in (project.local, *project.local.rglob("*")):
        os.chown(path, project.local.stat().st_uid, -1)
    refused = project.push()
    assert (refused.returncode, "push --adopt" in refused.stderr) == (6, True), refused.stderr
    adopted = project.push("--adopt")
    assert adopted.returncode == 0, adopted.stderr
    # All three are as large as they are to be: only a digest tells which one is not.
    assert "1 to replace, 2 kept; 3 B to send" in adopted.stderr
    project.check_live()


def test_where_the_server_has_digests_what_was_altered_is_found_and_repaired_alone(digesting: FtpProject) -> None:
    project = digesting
    plant(project.root, 1)
    assert project.push().returncode == 0
    assert project.push("check", "--deep").returncode == 0
    large = project.local / "large"
    large.write_bytes(b"x" * large.stat().st_size)
    os.utime(large, (1, 1))  # the server knows the digest of a file until that has another time
    deep = project.push("check", "--deep")
    assert (deep.returncode, "large: altered" in deep.stdout) == (7, True), deep.stdout
    repaired = project.push("--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert "1 to replace, 24 kept; 300 kB to send" in repaired.stderr
    assert "sent again" not in repaired.stderr
    project.check_live()
    assert project.push("check", "--deep").returncode == 0


@pytest.mark.parametrize(
    ("kind", "settings", "code"),
    [(VsFtpd, {"chmod_enable": "NO"}, 500), (ProFtpdFtp, {"<Limit SITE_CHMOD>": "\nDenyAll\n</Limit>"}, 550)],
)
def test_a_server_that_sets_no_modes_is_warned_of_once(
    kind: type[FtpServer], settings: dict[str, str], code: int, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    with (
        running(kind, tmp_path / "server", settings=settings) as server,
        server.new_directory() as directory,
    ):
        project = FtpProject(tmp_path, server, directory)
        for number in range(10):
            (project.root / f"file-{number}").write_text("x")
        done = project.push()
        assert done.returncode == 0, done.stderr
        warnings = [line for line in done.stderr.splitlines() if "warning" in line]
        assert len(warnings) == 1, warnings
        assert f"does not set all modes of files ({code}" in warnings[0]
        # Where none can be set, no file's is asked for.
        assert bool(re.search("SITE CHMOD .*/file-", server.log)) == (code != 500)
        assert {path: found[2] for path, found in project.live().items()} == {
            path: found[2] for path, found in project.expected().items()
        }


@pytest.mark.parametrize("project", ["vsftpd"], indirect=True)
def test_what_ftp_cannot_carry_is_refused_before_anything_is_sent(project: FtpProject) -> None:
    (project.root / "file").write_text("x")
    (project.root / "link").symlink_to("file")
    done = project.push()
    assert (done.returncode, "symlinks" in done.stderr, "sftp" in done.stderr) == (6, True, True), done.stderr
    (project.root / "link").unlink()
    (project.root / "new\nline").write_text("x")
    done = project.push()
    assert (done.returncode, "cannot be named" in done.stderr) == (6, True), done.stderr
    assert os.listdir(project.local) == []


@pytest.mark.parametrize("project", ["pyftpd"], indirect=True)
def test_a_password_is_asked_for_and_where_there_is_nobody_refused(project: FtpProject) -> None:
    del project.table["password"]
    (project.root / "file").write_text("x")
    done = project.push()
    assert (done.returncode, "there is nobody to ask: password of" in done.stderr) == (6, True), done.stderr


@pytest.mark.parametrize("project", ["vsftpd"], indirect=True)
def test_pushes_are_held_and_let_go_on(project: FtpProject) -> None:
    (project.root / "a").write_text("1")
    assert project.push().returncode == 0
    assert project.push("hold", "-m", "a reason").returncode == 0
    (project.root / "a").write_text("2")
    held = project.push()
    assert (held.returncode, "a reason" in held.stderr) == (6, True), held.stderr
    assert project.push("release").returncode == 0
    assert project.push().returncode == 0
    project.check_live()


def recovered(project: FtpProject, before: dict[bytes, tuple[str, int, str]]) -> None:
    """See that each file is wholly old or new, and that the next push succeeds and leaves no debris."""
    new = project.expected()
    for path, found in project.live().items():
        if found[0] == "file":
            assert found[2] in {each[path][2] for each in (before, new) if path in each}, path
    again = project.push("--yes", "--wait", "20")
    assert again.returncode == 0, again.stderr
    project.check_live()


def test_trees_are_swapped_and_back_again(project: FtpProject) -> None:
    project.swaps()
    versions = []
    for turn in (1, 2, 3):
        plant(project.root, turn)
        done = project.push("--yes")
        assert done.returncode == 0, done.stderr
        project.check_live()
        versions.append(project.live())
    assert "nothing to do" in project.push().stderr
    back = project.push("rollback")
    assert back.returncode == 0, back.stderr
    assert project.live() == versions[1]
    (project.live_at / "theirs").write_text("no push put it there")
    plant(project.root, 4)
    refused = project.push("--yes")
    assert (refused.returncode, "theirs" in refused.stderr) == (6, True), refused.stderr
    assert (project.live_at / "theirs").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("project", SERVERS if FULL else ["vsftpd"], indirect=True)
def test_a_push_that_is_killed_leaves_whole_files_and_the_next_one_completes(project: FtpProject, layout: str) -> None:
    if layout == "swap":
        project.swaps()
    generator = random.Random(SEED)
    plant(project.root, 1)
    assert project.push().returncode == 0
    for number in range(DEATHS):
        before = project.live()
        plant(project.root, 2 - number % 2)
        process = project.start("--yes")
        try:
            process.communicate(timeout=0.3 + generator.random() * 0.8)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        try:
            recovered(project, before)
        except AssertionError as error:
            error.add_note(f"seed {SEED}, death {number}")
            raise


@pytest.mark.parametrize(
    ("project", "fault", "layout"),
    [(server, fault, layout) for server in SERVERS for fault in (Fault.RESET, Fault.CLOSE) for layout in LAYOUTS]
    if FULL
    else [("vsftpd", Fault.RESET, "mirror"), ("proftpd_ftp", Fault.CLOSE, "mirror"), ("vsftpd", Fault.CLOSE, "swap")],
    indirect=["project"],
)
def test_a_line_that_is_cut_is_told_as_that_and_nothing_else_breaks(
    project: FtpProject, fault: Fault, layout: str, fault_proxy: Callable[[str, int], FaultProxy]
) -> None:
    if layout == "swap":
        project.swaps()
    generator = random.Random(SEED)
    proxy = fault_proxy(project.server.host, project.server.port)
    project.table["port"] = proxy.port
    plant(project.root, 1)
    assert project.push().returncode == 0
    plant(project.root, 2)
    proxy.heal()
    assert project.push("--yes").returncode == 0
    totals = dict(proxy.carried)
    for number in range(DEATHS):
        before = project.live()
        plant(project.root, 1 + number % 2)
        way = generator.choice(list(Way))
        after = generator.randrange(1, totals[way])
        proxy.heal()
        # Every other one heals at once: the push goes on.
        proxy.cut(fault, after, way, once=bool(number % 2))
        done = project.push("--yes")
        proxy.heal()
        try:
            assert done.returncode in {0, 7, 8}, done.stderr
            assert "Traceback" not in done.stderr
            if done.returncode:
                assert re.search("lost|hangs up|hung up|reached|answer|TLS came about", done.stderr), done.stderr
            recovered(project, before)
        except AssertionError as error:
            error.add_note(f"seed {SEED}, number {number}: {fault} {way} after {after} of {totals[way]}: {done.stderr}")
            raise


@pytest.mark.parametrize(
    ("kind", "layout"),
    [(kind, layout) for kind in (VsFtpd, ProFtpdFtp) for layout in LAYOUTS] if FULL else [(VsFtpd, "mirror")],
)
def test_a_line_that_is_cut_while_a_place_in_the_queue_is_taken_keeps_no_push_from_its_own(
    kind: type[FtpServer], layout: str, tmp_path: Path, fault_proxy: Callable[[str, int], FaultProxy]
) -> None:
    (tmp_path / "server").mkdir()
    with running(kind, tmp_path / "server") as server, server.new_directory() as directory:
        project = FtpProject(tmp_path, server, directory)
        if layout == "swap":
            project.swaps()
        proxy = fault_proxy(server.host, server.port)
        project.table["port"] = proxy.port
        (project.root / "file").write_text("0")
        assert project.push().returncode == 0
        # The line is cut behind each of these.
        cuts = [
            (Fault.RESET, Way.UP, "the number is asked for", b"/pushes/%06d\r\n"),
            (Fault.CLOSE, Way.DOWN, "it is given", b"created\r\n"),
            (Fault.CLOSE, Way.UP, "who has it is told", b"/ticket.json\r\n"),
        ]
        for number in range(20 * len(cuts) if FULL else len(cuts)):
            (project.root / "file").write_text(f"{number + 1}")
            fault, way, point, behind = cuts[number % len(cuts)]
            taken = max(int(each.name) for each in (project.state / "pushes").iterdir()) + 1
            proxy.cut(fault, 0, way, once=True, behind=behind % taken if b"%" in behind else behind)
            done = project.push()
            assert proxy.broken.is_set(), point
            proxy.heal()
            assert done.returncode == 0, (point, done.stderr)
            project.check_live()
