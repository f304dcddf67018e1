"""The whole command, against real SSH servers."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.project import PUSH, hear_ctrl_c
from pushkit.testing import ProFtpd, ServerDirectory, Sshd, SshServer
from recorder.sitecustomize import recorded


class Project:
    """A project with one sftp target, and a home directory of its own."""

    def __init__(self, root: Path, home: Path, server: SshServer, path: str) -> None:
        self.root = root
        self.home = home
        home.mkdir(exist_ok=True)
        root.mkdir(exist_ok=True)
        self.options: dict[str, object] = {
            "host": f"{server.user}@{server.host}:{server.port}",
            "key": str(server.key),
            "known_hosts": str(server.known_hosts),
            "path": path,
        }
        self.environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}

    def push(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Write the Pushfile, with ``options`` over the usual ones (None: without), and run ``push``."""
        table = {key: value for key, value in {**self.options, **options}.items() if value is not None}
        lines = [
            f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in table.items()
        ]
        text = "\n".join(["[target.web]", 'strategy = "sftp"', *lines, ""])
        (self.root / "Pushfile").write_text(text)
        return subprocess.run(
            [PUSH, *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory) -> Project:
    made = Project(tmp_path / "blog", tmp_path / "home", ssh_server, ssh_directory.path)
    (made.root / "index.html").write_text("one")
    return made


def described(root: Path) -> dict[bytes, tuple[str, int, str]]:
    """Every path below ``root``: its kind, mode and content, read without any code of the project."""
    found: dict[bytes, tuple[str, int, str]] = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            key = os.path.relpath(path, os.fsencode(root))
            if stat.S_ISLNK(status.st_mode):
                found[key] = ("link", 0, os.fsdecode(os.readlink(path)))
            elif stat.S_ISDIR(status.st_mode):
                found[key] = ("directory", stat.S_IMODE(status.st_mode), "")
            else:
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                found[key] = ("file", stat.S_IMODE(status.st_mode), digest)
    return found


def sent(done: subprocess.CompletedProcess[str]) -> int:
    """How many files the last line of a push says were sent."""
    found = re.search(r": ([\d,]+) files?,", done.stderr.splitlines()[-1])
    assert found, done.stderr
    return int(found[1].replace(",", ""))


def test_django_arrives_byte_for_byte_then_nothing_then_three_files(
    tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory, django: Path
) -> None:
    root = tmp_path / "django"
    shutil.copytree(django, root)
    (root / "latest").symlink_to("django/__init__.py")
    project = Project(root, tmp_path / "home", ssh_server, ssh_directory.path)
    files = sum(kind == "file" for kind, _, _ in described(root).values())
    assert files == 6869

    first = project.push()
    assert first.returncode == 0, first.stderr
    release = ssh_directory.local / "releases" / first.stdout.strip()
    (root / "Pushfile").unlink()
    assert described(release) == described(root)

    second = project.push()
    assert (second.returncode, second.stdout) == (0, first.stdout), second.stderr
    assert "nothing to do" in second.stderr

    for name in ("README.rst", "django/__init__.py", "docs/index.txt"):
        with (root / name).open("a") as file:
            file.write("\nchanged\n")
    third = project.push()
    assert third.returncode == 0, third.stderr
    assert sent(third) == 3
    (root / "Pushfile").unlink()
    assert described(ssh_directory.local / "current") == described(root)

    back = project.push("rollback")
    assert back.returncode == 0, back.stderr
    assert (ssh_directory.local / "current").readlink().name == first.stdout.strip()


def test_an_unknown_host_key_is_refused_before_anything_is_said(project: Project, ssh_server: Sshd) -> None:
    before = ssh_server.log
    done = project.push(known_hosts=str(project.home / "none"), password="hunter2!", key=None)
    assert done.returncode == 7
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=ssh_server.host_key, capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert fingerprint in done.stderr
    assert f"push trust --known-hosts {project.home}/none " in done.stderr
    assert "hunter2" not in done.stderr
    said = ssh_server.log[len(before) :]
    assert "Accepted" not in said
    assert "Failed" not in said
    assert "userauth" not in said


def accepting_command(said: str) -> str:
    """The command in the message about an unknown host key, as a script has it that knows the fingerprint."""
    command, shown = re.search(r"push trust .*", said), re.search(r"SHA256:\S{43}", said)
    return f"{command[0]} --fingerprint {shown[0]}" if command and shown else ""


def test_a_host_key_that_was_compared_and_accepted_lets_the_push_go_on(
    project: Project, ssh_directory: ServerDirectory
) -> None:
    refused = project.push(known_hosts=None)
    assert refused.returncode == 7
    accepting = accepting_command(refused.stderr)
    assert accepting, refused.stderr
    environment = project.environment | {**recorded(), "PATH": f"{Path(PUSH).parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", accepting], check=True, env=environment, capture_output=True)
    done = project.push(known_hosts=None)
    assert done.returncode == 0, done.stderr
    assert (ssh_directory.local / "current/index.html").read_text() == "one"


def test_a_changed_host_key_is_refused_and_said_to_have_changed(
    project: Project, ssh_server: Sshd, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    key = other.with_suffix(".pub").read_text().rsplit(" ", 1)[0]
    known = tmp_path / "known_hosts"
    known.write_text(f"[{ssh_server.host}]:{ssh_server.port} {key}\n")
    done = project.push(known_hosts=str(known))
    assert done.returncode == 7
    assert "changed" in done.stderr.lower()
    assert "ssh-keygen -R" in done.stderr


def test_a_wrong_password_is_told_without_it(project: Project, password_account: Sshd) -> None:
    done = project.push(key=None, agent=False, password="wrong-pass-word")
    assert done.returncode == 7
    assert password_account.user in done.stderr
    assert "wrong-pass-word" not in done.stderr


def test_the_password_comes_from_the_environment_and_is_never_shown(
    project: Project, password_account: Sshd, ssh_directory: ServerDirectory
) -> None:
    project.environment["DEPLOY_PASSWORD"] = password_account.password
    done = project.push("-v", "--json", key=None, agent=False, password="${env:DEPLOY_PASSWORD}")
    assert done.returncode == 0, done.stderr
    assert password_account.password not in done.stdout + done.stderr
    assert (ssh_directory.local / "current/index.html").read_text() == "one"


def test_an_unreachable_host_is_told_in_one_line(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = project.push(host=f"deploy@127.0.0.1:{port}")
    assert done.returncode == 7
    assert f"127.0.0.1:{port}" in done.stderr.splitlines()[-2] + done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_path_that_cannot_be_made_is_told_and_nothing_is_made(
    project: Project, ssh_directory: ServerDirectory
) -> None:
    done = project.push(path=f"{ssh_directory.path}/no/such/place")
    assert done.returncode in (7, 8)
    assert "/no/such/place" in done.stderr
    assert os.listdir(ssh_directory.local) == []
    looked = project.push("check", path=f"{ssh_directory.path}/no/such/place")
    assert looked.returncode == 7
    assert "does not exist" in looked.stdout
    (ssh_directory.local / "file").touch()
    assert "it is no directory" in project.push("check", path=f"{ssh_directory.path}/file").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="root tests with a user of lesser rights")
def test_a_read_only_path_leaves_the_old_release(
    project: Project, ssh_directory: ServerDirectory, ssh_server: Sshd
) -> None:
    first = project.push()
    assert first.returncode == 0, first.stderr
    (project.root / "index.html").write_text("two")
    shut = [ssh_directory.local, *ssh_directory.local.rglob("*")]
    modes = {path: path.lstat().st_mode & 0o777 for path in shut if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        done = project.push()
        assert done.returncode in (7, 8)
        assert "permission denied" in done.stderr.lower()
        looked = project.push("check")
        assert looked.returncode == 7
        assert "may not be written to" in looked.stdout
        assert (ssh_directory.local / "current/index.html").read_text() == "one"
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert project.push().returncode == 0


@pytest.fixture
def small_disk(ssh_directory: ServerDirectory, ssh_server: Sshd) -> Iterator[Path]:
    """A file system of 1 MB at the target directory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    owner = ssh_directory.local.stat()
    mount = ["mount", "-t", "tmpfs", "-o", f"size=1m,uid={owner.st_uid},gid={owner.st_gid},mode=755", "push-test"]
    subprocess.run([*mount, str(ssh_directory.local)], check=True)
    try:
        yield ssh_directory.local
    finally:
        subprocess.run(["umount", "--lazy", str(ssh_directory.local)], check=True)


def test_no_space_is_told_and_leaves_the_old_release(project: Project, small_disk: Path) -> None:
    first = project.push()
    assert first.returncode == 0, first.stderr
    (project.root / "index.html").write_text("two")
    (project.root / "large").write_bytes(os.urandom(3_000_000))
    done = project.push()
    assert done.returncode in (7, 8)
    assert "no space" in done.stderr.lower()
    assert (small_disk / "current/index.html").read_text() == "one"
    (project.root / "large").unlink()
    again = project.push()
    assert again.returncode == 0, again.stderr
    assert (small_disk / "current/index.html").read_text() == "two"


def test_a_disk_that_fills_in_the_middle_is_told_and_leaves_the_old_release(project: Project, small_disk: Path) -> None:
    assert project.push().returncode == 0
    (project.root / "index.html").write_text("two")
    # Each fits by its size; as files of their own, with their blocks, they do not.
    for number in range(400):
        (project.root / f"small-{number}").write_bytes(b"x" * 10)
    done = project.push()
    assert done.returncode in (7, 8)
    assert "no space" in done.stderr.lower()
    assert (small_disk / "current/index.html").read_text() == "one"
    assert os.listdir(small_disk / ".push/incoming") == []


@pytest.mark.parametrize("account", ["sftp_only", "dropbear"])
def test_other_servers_take_pushes_too(account: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server: SshServer = request.getfixturevalue(f"{account}_server")
    directory: ServerDirectory = request.getfixturevalue(f"{account}_directory")
    project = Project(tmp_path / "blog", tmp_path / "home", server, directory.path)
    for name, text in {"a": "1", "b": "2", "sub/c": "3"}.items():
        (project.root / name).parent.mkdir(exist_ok=True)
        (project.root / name).write_text(text)
    (project.root / "link").symlink_to("a")
    (project.root / "b").chmod(0o755)
    for text in ("1", "changed"):
        (project.root / "a").write_text(text)
        done = project.push()
        assert done.returncode == 0, done.stderr
        (project.root / "Pushfile").unlink()
        assert described(directory.local / "current") == described(project.root)
    assert "nothing to do" in project.push().stderr
    assert project.push("rollback").returncode == 0
    assert (directory.local / "current/a").read_text() == "1"


@pytest.mark.parametrize("hard_links", [False, True])
def test_what_is_gone_from_the_live_release_is_sent_again_without_a_shell_too(
    tmp_path: Path, sftp_only_server: SshServer, sftp_only_directory: ServerDirectory, hard_links: bool
) -> None:
    project = Project(tmp_path / "blog", tmp_path / "home", sftp_only_server, sftp_only_directory.path)
    for number in range(8):
        (project.root / f"file-{number}").write_text(f"{number}")
    assert project.push(hard_links=hard_links).returncode == 0
    live = (sftp_only_directory.local / "current").resolve()
    for number in (1, 3, 5):
        (live / f"file-{number}").unlink()
    (project.root / "file-0").write_text("changed")
    done = project.push(hard_links=hard_links)
    assert done.returncode == 0, done.stderr
    assert "3 paths of" in done.stderr
    (project.root / "Pushfile").unlink()
    assert described(sftp_only_directory.local / "current") == described(project.root)


class Limited(Sshd):
    """A server with SFTP only, without the extensions ``lacks``."""

    def __init__(self, directory: Path, lacks: str) -> None:
        self._lacks = lacks
        super().__init__(directory)

    def _configuration(self) -> list[str]:
        # The first value counts.
        return [f"ForceCommand internal-sftp {self._lacks}", *super()._configuration()]


@pytest.mark.parametrize(
    ("lacks", "options", "kept"),
    [
        ("", {}, "copied there"),
        ("", {"hard_links": True}, "linked there"),
        ("-P copy-data", {}, "this server cannot copy: sent again"),
        ("-P copy-data", {"hard_links": True}, "linked there"),
        ("-P copy-data,hardlink,limits,statvfs", {"hard_links": True}, "this server cannot copy: sent again"),
    ],
)
def test_without_a_shell_the_server_takes_what_is_unchanged_as_far_as_it_can(
    tmp_path: Path, lacks: str, options: dict[str, object], kept: str
) -> None:
    (tmp_path / "sshd").mkdir()
    with Limited(tmp_path / "sshd", lacks) as server:
        place = tmp_path / "site"
        project = Project(tmp_path / "blog", tmp_path / "home", server, str(place))
        for name in ("a", "b", "sub/c", "mode"):
            (project.root / name).parent.mkdir(exist_ok=True)
            (project.root / name).write_text(name * 1000)
        (project.root / "link").symlink_to("a")
        first = place / "releases" / project.push(**options).stdout.strip()
        os.utime(first / "b", (1_000_000_000, 1_000_000_000))
        (project.root / "a").write_text("changed")
        (project.root / "mode").chmod(0o755)
        plan = project.push("plan", "-v", **options)
        assert kept in plan.stdout, plan.stdout
        done = project.push(**options)
        assert done.returncode == 0, done.stderr
        live = (place / "current").resolve()
        assert ((live / "b").stat().st_mtime == 1_000_000_000) == (kept != "this server cannot copy: sent again")
        assert ((live / "b").stat().st_ino == (first / "b").stat().st_ino) == (kept == "linked there")
        (project.root / "Pushfile").unlink()
        assert described(live) == described(project.root)
        # Nobody notices by its size that a file was altered.
        (live / "sub/c").write_text("!" * 5000)
        mended = project.push("--repair", **options)
        assert mended.returncode == 0, mended.stderr
        (project.root / "Pushfile").unlink()
        assert described(place / "current") == described(project.root)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_the_middle_of_a_file_leaves_the_old_release_and_nothing_else(
    project: Project, ssh_directory: ServerDirectory, times: int
) -> None:
    assert project.push().returncode == 0
    (project.root / "index.html").write_text("two")
    with (project.root / "large").open("wb") as file:
        file.truncate(1024**3)
    process = subprocess.Popen(
        [PUSH],
        cwd=project.root,
        env=project.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no threads here)
    )
    incoming = ssh_directory.local / ".push/incoming"
    while process.poll() is None and not any(path.stat().st_size > 2**20 for path in incoming.glob("*/tree/large")):
        time.sleep(0.01)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert "what was live is untouched" in stderr
    assert "Traceback" not in stderr
    assert (ssh_directory.local / "current/index.html").read_text() == "one"
    (project.root / "large").unlink()
    again = project.push()
    assert again.returncode == 0, again.stderr
    assert (ssh_directory.local / "current/index.html").read_text() == "two"
    if times == 1:
        assert os.listdir(incoming) == []


def test_two_gigabytes_travel_in_constant_memory(project: Project, ssh_directory: ServerDirectory) -> None:
    small = peak_memory(project)
    with (project.root / "large").open("wb") as file:
        file.truncate(2 * 1024**3)
    large = peak_memory(project)
    arrived = (ssh_directory.local / "current/large").stat().st_size
    assert arrived == 2 * 1024**3
    assert large - small < 40 * 1024**2, f"{small:,} bytes for a small push, {large:,} for 2 GB"


def peak_memory(project: Project) -> int:
    """The peak resident memory of one push, in bytes."""
    code = (
        "import os, sys; pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]); "
        "_, status, usage = os.wait4(pid, 0); print(usage.ru_maxrss * 1024); "
        "sys.exit(os.waitstatus_to_exitcode(status))"
    )
    project.push("targets")  # writes the Pushfile
    done = subprocess.run(
        [sys.executable, "-c", code, PUSH, "-q"],
        cwd=project.root,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def test_the_five_minutes_of_the_readme(tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    section = readme.split("## Five minutes", 1)[1].split("\n## ", 1)[0]
    commands = re.findall(r"^\$ (.*)$", section, re.MULTILINE)
    assert commands[0] == "pip install pushkit"
    root = tmp_path / "blog"
    root.mkdir()
    (root / "index.html").write_text("one")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    (home / ".ssh/id_ed25519").write_bytes(ssh_server.key.read_bytes())
    (home / ".ssh/id_ed25519").chmod(0o600)
    environment = {**recorded(), "PATH": f"{Path(PUSH).parent}:{os.environ['PATH']}", "HOME": str(home)}

    def type_in(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    ids = []
    checked = 0
    for command in commands:
        typed = command.replace("deploy@web1.example.com", f"{ssh_server.user}@{ssh_server.host}:{ssh_server.port}")
        typed = typed.replace("/srv/blog", shlex.quote(ssh_directory.path))
        done = type_in(typed)
        if command == "push check":
            # The first time the host key is unknown; the command that accepts it is in what is printed.
            assert done.returncode == 7
            accepting = accepting_command(done.stderr + done.stdout)
            assert accepting, done.stderr
            assert type_in(accepting).returncode == 0
            done = type_in(typed)
            checked += 1
        if command == "push":
            ids.append(done.stdout.strip())
            (root / "index.html").write_text("two")
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert checked == 1
    assert len(ids) == len(set(ids)) == 2
    (root / "index.html").write_text("three")
    # As docs/make.md says.
    done = type_in('ID=$(push) && echo "$ID"')
    assert done.stdout.strip() == (ssh_directory.local / "current").readlink().name
    assert (ssh_directory.local / "current/index.html").read_text() == "three"
    type_in("push rollback && push rollback")
    assert (ssh_directory.local / "current").readlink().name == ids[0]
    assert (ssh_directory.local / "current/index.html").read_text() == "one"


def test_a_server_on_which_no_symlink_replaces_another_is_told_of_before_anything_is_sent(
    tmp_path: Path, proftpd_server: ProFtpd, proftpd_directory: ServerDirectory
) -> None:
    project = Project(tmp_path / "blog", tmp_path / "home", proftpd_server, proftpd_directory.path)
    (project.root / "index.html").write_text("1")
    refused = project.push()
    assert refused.returncode == 7
    assert "cannot rename one symlink over another" in refused.stderr
    assert 'layout = "mirror"' in refused.stderr
    assert not [path for path in proftpd_directory.local.rglob("*") if path.name == "index.html" or path.is_symlink()]
    # What was hinted at works right away.
    for text in "12":
        (project.root / "index.html").write_text(text)
        done = project.push(layout="mirror")
        assert done.returncode == 0, done.stderr
        assert (proftpd_directory.local / "index.html").read_text() == text
