"""Commands, shared paths, hard links and times, by the whole command against real SSH servers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.project import PUSH, hear_ctrl_c
from pushkit.testing import ServerDirectory
from servers.test_push import Project


class Host(Project):
    """A project with one target, and the target's directory as this machine sees it."""

    def __init__(self, request: pytest.FixtureRequest, tmp_path: Path, account: str) -> None:
        directory: ServerDirectory = request.getfixturevalue(f"{account}_directory")
        super().__init__(
            tmp_path / "blog", tmp_path / "home", request.getfixturevalue(f"{account}_server"), directory.path
        )
        self.target = directory.local
        self.write("one")

    def write(self, text: str) -> None:
        (self.root / "index.html").write_text(text)

    @property
    def live(self) -> str:
        return (self.target / "current/index.html").read_text()

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PUSH],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no threads here)
        )


@pytest.fixture(params=["ssh", "dropbear"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """With a shell."""
    return Host(request, tmp_path, request.param)


@pytest.fixture
def sftp_only(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    return Host(request, tmp_path, "sftp_only")


def until(true: Callable[[], object], within: float = 30.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def runs(pid: str) -> bool:
    return os.path.exists(f"/proc/{pid}")


def test_commands_run_around_the_switch_and_their_output_comes_back(host: Host) -> None:
    first = host.push().stdout.strip()
    host.write("two")
    done = host.push(
        shared=["uploads/"],
        before_switch="cat ../../current/index.html; echo; ls -d uploads/",
        after_switch=["cat ../../current/index.html; echo", "echo $PUSH_PREVIOUS {release}"],
    )
    assert done.returncode == 0, done.stderr
    assert "before_switch | one\n" in done.stderr
    assert "before_switch | uploads/\n" in done.stderr
    assert "after_switch | two\n" in done.stderr
    assert f"after_switch | {first} {host.options['path']}/releases/{done.stdout.strip()}\n" in done.stderr
    assert os.readlink(host.target / "current/uploads") == "../../shared/uploads"


def test_a_failing_before_switch_changes_nothing(host: Host) -> None:
    first = host.push().stdout.strip()
    host.write("two")
    done = host.push(before_switch="echo no >&2; exit 3")
    assert done.returncode == 8
    assert "before_switch | no" in done.stderr
    assert "before_switch ended with exit code 3" in done.stderr
    assert host.live == "one"
    assert os.listdir(host.target / "releases") == [first]


def test_a_failing_after_switch_brings_back_what_was_live(host: Host) -> None:
    first = host.push().stdout.strip()
    host.write("two")
    done = host.push(after_switch="grep -q one index.html")
    assert done.returncode == 8
    assert f"{first} is live again" in done.stderr
    assert host.live == "one"
    assert host.push().returncode == 0
    assert host.live == "two"


@pytest.mark.parametrize("when", ["before_switch", "after_switch"])
def test_ctrl_c_ends_the_command_on_the_host_and_leaves_live_what_was(host: Host, when: str) -> None:
    host.push()
    host.write("two")
    host.push("plan", **{when: "echo $$ >pid.new; mv pid.new pid; sleep 300"})
    process = host.start()
    assert until(lambda: list(host.target.glob("releases/*/pid")))
    pid = next(host.target.glob("releases/*/pid")).read_text().strip()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "the new release is live" not in stderr
    assert until(lambda: not runs(pid))
    assert host.live == "one"


def test_a_command_that_takes_too_long_ends_on_the_host(host: Host) -> None:
    done = host.push(before_switch="echo $$ >{release}/../../pid; sleep 300", command_timeout=1)
    assert done.returncode == 8
    assert "before_switch was ended after 1 second;" in done.stderr
    assert until(lambda: not runs((host.target / "pid").read_text().strip()))
    assert not os.path.lexists(host.target / "current")


def test_a_push_killed_in_after_switch_is_told_of_until_somebody_decides(host: Host) -> None:
    host.push()
    host.write("two")
    host.push("plan", after_switch="echo $$ >pid.new; mv pid.new pid; sleep 300")
    process = host.start()
    assert until(lambda: list(host.target.glob("releases/*/pid")))
    process.kill()
    process.communicate(timeout=60)
    pid = next(host.target.glob("releases/*/pid")).read_text().strip()
    # Nobody listens to it any more.
    assert until(lambda: not runs(pid))
    assert host.live == "two"
    host.write("three")
    refused = host.push()
    assert refused.returncode == 6
    assert "after_switch has not ended; nothing was changed" in refused.stderr
    assert "push resume" in refused.stderr
    assert host.live == "two"
    assert host.push("rollback").returncode == 0
    assert host.live == "one"
    assert host.push().returncode == 0
    assert host.live == "three"


def test_a_rollback_whose_after_switch_fails_says_what_is_live_and_is_resumed(host: Host) -> None:
    host.push()
    host.write("two")
    host.push()
    failed = host.push("rollback", after_switch="test -e ../../mended")
    assert failed.returncode == 8
    assert "is live, and waits for after_switch" in failed.stderr
    assert "push resume; or take it as it is: push unlock 3 --why TEXT" in failed.stderr
    assert host.live == "one"
    assert host.push("resume", after_switch="test -e ../../mended").returncode == 8
    (host.target / "mended").touch()
    assert host.push("resume", after_switch="test -e ../../mended").returncode == 0
    assert host.live == "one"
    log = host.push("log").stdout
    assert "rollback" in log
    host.write("three")
    assert host.push().returncode == 0


def test_commands_are_refused_where_there_is_no_shell(sftp_only: Host) -> None:
    for verb in (["plan"], []):
        done = sftp_only.push(*verb, after_switch="true")
        assert done.returncode == 6
        assert "is reached without a shell, so that after_switch cannot run; nothing was sent" in done.stderr
    assert os.listdir(sftp_only.target) == []
    checked = sftp_only.push("check", after_switch="true")
    assert "after_switch cannot run" in checked.stdout + checked.stderr


def test_shared_paths_work_without_a_shell(sftp_only: Host) -> None:
    for text in ("one", "two"):
        sftp_only.write(text)
        done = sftp_only.push(shared=["var/uploads/"])
        assert done.returncode == 0, done.stderr
        if text == "one":
            (sftp_only.target / "shared/var/uploads/visitor").write_text("v")
    assert (sftp_only.target / "current/var/uploads/visitor").read_text() == "v"


@pytest.mark.parametrize("account", ["ssh", "dropbear", "sftp_only"])
def test_hard_links_are_made_on_the_server_and_a_new_mode_makes_a_copy(
    request: pytest.FixtureRequest, tmp_path: Path, account: str
) -> None:
    host = Host(request, tmp_path, account)
    for name in ("same", "run"):
        (host.root / name).write_text(name)
        (host.root / name).chmod(0o644)
    (host.root / "link").symlink_to("nowhere")
    first = host.target / "releases" / host.push().stdout.strip()
    host.write("two")
    (host.root / "run").chmod(0o755)
    done = host.push(hard_links=True)
    assert done.returncode == 0, done.stderr
    current = host.target / "current"
    assert (current / "same").stat().st_ino == (first / "same").stat().st_ino
    assert (current / "run").stat().st_mode & 0o777 == 0o755
    assert (first / "run").stat().st_mode & 0o777 == 0o644
    assert os.readlink(current / "link") == "nowhere"


@pytest.mark.parametrize("account", ["ssh", "dropbear", "sftp_only"])
def test_files_keep_their_times_when_asked(request: pytest.FixtureRequest, tmp_path: Path, account: str) -> None:
    host = Host(request, tmp_path, account)
    os.utime(host.root / "index.html", (1_000_000_000, 1_000_000_000))
    done = host.push(mtimes=True)
    assert done.returncode == 0, done.stderr
    assert (host.target / "current/index.html").stat().st_mtime == 1_000_000_000
    (host.root / "other").write_text("x")
    os.utime(host.root / "other", (1_000_000_000, 1_000_000_000))
    assert host.push().returncode == 0
    assert (host.target / "current/other").stat().st_mtime > 1_600_000_000


def test_commands_get_secrets_as_variables_and_no_command_line_shows_them(host: Host) -> None:
    secret = 'it\'s a "secret"\n$HOME `id` \\ of two lines'
    host.environment["HOOK_TOKEN"] = secret
    done = host.push(
        before_switch='printf "%s" "$TOKEN" >got; cat /proc/[0-9]*/cmdline 2>/dev/null >lines; echo "token=$TOKEN"',
        after_switch='test "$(cat got)" = "$TOKEN"',
        **{"environment.TOKEN": "${env:HOOK_TOKEN}"},
    )
    assert "two lines" not in done.stdout + done.stderr
    assert "before_switch | token=[secret:env:HOOK_TOKEN]\n" in done.stderr
    (got,) = host.target.glob("releases/*/got")
    assert got.read_text() == secret
    lines = got.with_name("lines").read_bytes()
    assert b"setsid" in lines or b"sh" in lines
    assert b"two lines" not in lines


def test_a_secret_in_a_command_is_an_error_of_the_pushfile(sftp_only: Host) -> None:
    done = sftp_only.push(before_switch="curl -u ${env:TOKEN} localhost")
    assert done.returncode == 3
    assert "set a variable in `environment` to it" in done.stderr
