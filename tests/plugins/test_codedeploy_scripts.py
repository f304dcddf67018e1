"""Scripts of lifecycle events: time-outs, children in the background, users, and how a failure is told."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from plugins.codedeploy_machine import Machine
from pushkit import PushFailed, TargetError
from pushkit.testing import Account, can_make_accounts
from pushkit_aws.local.hooks import first_closed
from pushkit_aws.local.script import GRACE, Code, Script, ScriptError, run_script


class Workbench:
    """Runs one script. ``lines`` are what it said, each with its stream."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lines: list[tuple[str, str]] = []
        self.seconds = 0.0

    def run(
        self,
        text: str,
        *,
        timeout: float = 20,
        grace: float = 0.5,
        mode: int = 0o755,
        name: str = "hook",
        runas: str = "",
    ) -> None:
        path = self.directory / "hook"
        path.write_text(text if text.startswith("#!") or not text else "#!/bin/sh\n" + text)
        path.chmod(mode)
        script = Script(self.directory / name, name, timeout, runas, dict(os.environ), self.directory, grace)
        begin = time.monotonic()
        try:
            run_script(script, lambda stream, line: self.lines.append((stream, line)), lambda: None)
        finally:
            self.seconds = time.monotonic() - begin

    def fails(self, text: str, code: Code, **options: object) -> str:
        with pytest.raises(ScriptError) as caught:
            self.run(text, **options)  # type: ignore[arg-type]
        assert caught.value.code is code
        return f"{caught.value.message}; {caught.value.hint}"

    def pid(self) -> int:
        """What the script wrote to the file ``pid``."""
        return int((self.directory / "pid").read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(tmp_path)
    yield made
    with suppress(OSError, ValueError):
        os.kill(made.pid(), signal.SIGKILL)


def ends(pid: int, within: float = 5) -> bool:
    """Whether a process ends, or is a zombie that nobody waits for."""
    return until(lambda: not runs(pid), within)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(true: Callable[[], bool], within: float) -> bool:
    late = time.monotonic() + within
    while time.monotonic() < late:
        if true():
            return True
        time.sleep(0.01)
    return False


def test_both_streams_are_told_apart_line_by_line_a_last_one_without_its_end_too(bench: Workbench) -> None:
    bench.run("echo one; echo two >&2; printf 'th\\377ree\\r\\nfour'")
    assert sorted(bench.lines) == [
        ("stderr", "two"),
        ("stdout", "four"),
        ("stdout", "one"),
        ("stdout", "th\ufffdree"),
    ]


def test_a_line_without_an_end_does_not_fill_the_memory(bench: Workbench) -> None:
    bench.run("head -c 100000 /dev/zero | tr '\\0' x")
    assert {len(line) for _, line in bench.lines} == {16_384, 100_000 % 16_384}


def test_a_script_without_a_first_line_is_the_shells(bench: Workbench) -> None:
    (bench.directory / "plain").write_text("echo plain\n")
    bench.run("", name="plain")
    assert bench.lines == [("stdout", "plain")]


def test_a_script_that_is_not_executable_is_made_so(bench: Workbench) -> None:
    bench.run("echo ran", mode=0o600)
    assert bench.lines == [("stdout", "ran")]
    assert stat.S_IMODE((bench.directory / "hook").stat().st_mode) == 0o711


def test_a_script_that_is_not_there_is_told_by_its_path(bench: Workbench) -> None:
    assert "does not exist at specified location: gone" in bench.fails("", Code.MISSING, name="gone")


def test_an_interpreter_that_is_not_there_is_told_with_what_may_be_the_reason(bench: Workbench) -> None:
    assert "mind line ends of Windows" in bench.fails("#!/bin/sh\r\necho\r\n", Code.UNKNOWN)


@pytest.mark.parametrize(
    ("text", "told"), [("exit 3", "failed with exit code 3"), ("kill -9 $$", "was ended by SIGKILL")]
)
def test_how_a_script_ended_is_told(bench: Workbench, text: str, told: str) -> None:
    assert told in bench.fails(text, Code.FAILED)


def test_at_its_time_out_the_group_is_asked_to_end_and_may_say_goodbye(bench: Workbench) -> None:
    text = "trap 'echo bye; exit 0' TERM\nsleep 300 & echo $! >pid\nwait"
    assert "failed to complete in 0.3 seconds" in bench.fails(text, Code.TIMED_OUT, timeout=0.3, grace=5)
    assert bench.lines == [("stdout", "bye")]
    assert bench.seconds < 3
    assert ends(bench.pid())


def test_a_group_that_does_not_listen_is_forced_to_end_after_the_grace_children_included(bench: Workbench) -> None:
    text = "trap '' TERM\n(trap '' TERM; echo $$ >/dev/null; exec sleep 300) & echo $! >pid\nwhile :; do sleep 1; done"
    bench.fails(text, Code.TIMED_OUT, timeout=0.3, grace=0.6)
    assert 0.9 <= bench.seconds < 3
    assert ends(bench.pid())


def test_the_grace_is_five_seconds_as_the_agents() -> None:
    assert GRACE == 5.0


def test_a_child_that_fled_its_group_is_ended_with_it(bench: Workbench) -> None:
    text = "setsid sh -c 'echo $$ >pid; exec sleep 300' &\nwhile [ ! -s pid ]; do sleep 0.01; done\nsleep 300"
    bench.fails(text, Code.TIMED_OUT, timeout=0.5)
    assert ends(bench.pid())


def test_a_child_in_the_background_that_holds_the_output_fails_the_script_and_is_not_waited_for(
    bench: Workbench,
) -> None:
    told = bench.fails("sleep 300 & echo $! >pid", Code.OUTPUT_OPEN)
    assert "failed to close STDOUT and STDERR" in told
    assert ">/dev/null 2>&1 </dev/null &" in told
    assert bench.seconds < 3


def test_a_child_in_the_background_that_closed_its_output_is_a_daemon_and_lives_on(bench: Workbench) -> None:
    bench.run("sleep 300 >/dev/null 2>&1 </dev/null & echo $! >pid")
    assert bench.seconds < 0.45
    assert runs(bench.pid())


def test_what_a_child_says_soon_after_the_script_ended_is_heard(bench: Workbench) -> None:
    bench.run("(sleep 0.2; echo late) &", grace=5)
    assert bench.lines == [("stdout", "late")]


# In a deployment.


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, grace=0.3)


def test_a_failing_script_is_told_with_its_code_its_last_lines_and_its_log_and_ends_the_deployment(
    machine: Machine,
) -> None:
    machine.appspec("hooks:\n  AfterInstall:\n    - location: fail\n    - location: never\n")
    machine.script("fail", "seq 1 30\necho 'no \x1b[2Jroom' >&2\nexit 7")
    machine.script("never", "echo never")
    with pytest.raises(PushFailed) as caught:
        machine.deploy()
    assert caught.value.exit_code == 8
    assert "AfterInstall: script at specified location: fail failed with exit code 7 (code 4)" in caught.value.message
    notes = caught.value.__notes__
    assert len(notes) == 12
    assert "fail | 30" in notes
    assert "\x1b" not in "".join(notes)
    (name,) = (path.name for path in (machine.state / "web").iterdir())
    log = machine.log(name)
    assert log[:3] == ["LifecycleEvent - AfterInstall", "Script - fail", "[stdout]1"]
    assert "[stderr]no \x1b[2Jroom" in log
    assert "never" not in "".join(log)


def test_a_time_out_of_the_appspec_is_kept(machine: Machine) -> None:
    machine.appspec("hooks:\n  ValidateService:\n    - {location: wait, timeout: 1}\n")
    machine.script("wait", "exec sleep 300")
    begin = time.monotonic()
    with pytest.raises(PushFailed, match=r"failed to complete in 1 seconds \(code 3\)"):
        machine.deploy()
    assert 0.9 < time.monotonic() - begin < 4


@pytest.fixture
def account() -> Iterator[Account]:
    if not can_make_accounts():
        pytest.skip("only root makes accounts")
    made = Account()
    yield made
    made.remove()


@pytest.fixture
def open_machine() -> Iterator[Machine]:
    """A machine in a directory that every user may enter."""
    top = Path(tempfile.mkdtemp(prefix="push-machine-"))
    top.chmod(0o755)
    yield Machine(top, grace=0.5)
    shutil.rmtree(top)


def test_a_script_runs_as_the_user_that_it_names(open_machine: Machine, account: Account) -> None:
    machine = open_machine
    machine.appspec(f"hooks:\n  AfterInstall:\n    - {{location: dir/who am i, runas: {account.user}}}\n")
    machine.script("dir/who am i", "id -un; echo $HOME; echo $DEPLOYMENT_GROUP_ID")
    machine.deploy()
    assert machine.output == [account.user, str(account.home), "web"]


def test_a_script_of_another_user_is_ended_at_its_time_out_with_its_children(
    open_machine: Machine, account: Account
) -> None:
    machine = open_machine
    machine.appspec(f"hooks:\n  AfterInstall:\n    - {{location: wait, runas: {account.user}, timeout: 1}}\n")
    machine.script("wait", f"trap '' TERM; echo $$ >{account.home}/pid; while :; do sleep 1; done")
    with pytest.raises(PushFailed, match="wait failed to complete in 1 seconds"):
        machine.deploy()
    assert ends(int((account.home / "pid").read_text()))


def test_a_failure_as_another_user_names_the_user(open_machine: Machine, account: Account) -> None:
    machine = open_machine
    machine.appspec(f"hooks:\n  AfterInstall:\n    - {{location: fail, runas: {account.user}}}\n")
    machine.script("fail", "exit 3")
    with pytest.raises(PushFailed, match=f"fail run as user {account.user} failed with exit code 3"):
        machine.deploy()


def test_a_user_who_may_not_enter_the_state_is_told_before_anything_runs(machine: Machine, account: Account) -> None:
    machine.state.mkdir(mode=0o700)
    machine.appspec(f"hooks:\n  AfterInstall:\n    - {{location: a, runas: {account.user}}}\n")
    machine.script("a", "true")
    with pytest.raises(TargetError, match=f"runs as {account.user}, who may not enter /"):
        machine.deploy()


def test_an_unknown_user_is_told_before_anything_runs(machine: Machine) -> None:
    machine.appspec("hooks:\n  AfterInstall:\n    - {location: a, runas: nobody-here}\n")
    machine.script("a", "true")
    with pytest.raises(TargetError, match="there is no such user on this machine"):
        machine.deploy()


def test_the_first_directory_that_a_user_may_not_enter_is_found(tmp_path: Path, account: Account) -> None:
    import pwd

    top = account.home / "a"
    (top / "b").mkdir(parents=True)
    (top / "b").chmod(0o700)
    assert first_closed(top / "b", pwd.getpwnam(account.user)) == str(top / "b")
    account.own(top / "b")
    assert first_closed(top / "b", pwd.getpwnam(account.user)) == ""
