"""A command on this machine: what it gets, what it says, how it ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pushkit.errors import Interrupted, TargetError, TimedOut
from pushkit.process import LINE_LIMIT, Command, execute

PATH = os.environ.get("PATH", os.defpath)


class Shell:
    """Runs lines of sh and keeps what they print. ``on_line`` hears each line as it comes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cancelled = threading.Event()
        self.lines: list[str] = []
        self.sources: set[str] = set()
        self.on_line: Callable[[str], None] = lambda line: None

    def __call__(self, script: str, **fields: object) -> int:
        return self.run(("sh", "-c", script), **fields)

    def run(self, argv: tuple[str, ...], **fields: object) -> int:
        values = {"environment": {"PATH": PATH}, "name": "it", "directory": self.directory, **fields}
        return execute(Command(argv, **values), self._output, self.cancelled)  # type: ignore[arg-type]

    def _output(self, source: str, line: str) -> None:
        self.sources.add(source)
        self.lines.append(line)
        self.on_line(line)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def gone(pid: int, within: float = 5) -> bool:
    """Whether a process ended; one that nobody has waited for counts as ended (proc(5), state Z)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in {"Z", "X"}:
            return True
        time.sleep(0.01)
    return False


def test_the_exit_code_is_returned(shell: Shell) -> None:
    assert [shell("exit 0"), shell("exit 7"), shell("exit 255")] == [0, 7, 255]


def test_a_signal_gives_the_exit_code_that_a_shell_gives(shell: Shell) -> None:
    assert shell("kill -s KILL $$") == 128 + signal.SIGKILL


def test_output_and_errors_come_as_lines_in_their_order(shell: Shell) -> None:
    assert shell("echo one; echo two >&2; printf 'three\\r\\n\\nlast'", name="deploy") == 0
    assert shell.lines == ["one", "two", "three", "", "last"]
    assert shell.sources == {"deploy"}


def test_lines_come_while_the_command_runs(shell: Shell, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    shell.on_line = lambda line: answer.touch() if line == "question" else None
    # Only who has read the line can let the command go on.
    assert shell("echo question; while [ ! -e answer ]; do sleep 0.01; done; echo thanks", timeout=30) == 0
    assert shell.lines == ["question", "thanks"]


def test_bytes_that_are_not_utf8_are_replaced(shell: Shell) -> None:
    shell(r"printf 'gr\303\274n \377\n'")
    assert shell.lines == ["grün \ufffd"]


@pytest.mark.parametrize("before", range(4))
def test_a_long_line_is_cut_between_characters(shell: Shell, before: int) -> None:
    text = "a" * before + "€" * (LINE_LIMIT // 2)
    (shell.directory / "text").write_text(text + "\nnext\n", encoding="utf-8")
    shell("cat text")
    assert "".join(shell.lines[:-1]) == text
    assert shell.lines[-1] == "next"
    assert max(map(len, shell.lines)) <= LINE_LIMIT


def test_a_line_without_end_takes_bounded_memory(shell: Shell) -> None:
    sizes: list[int] = []

    def measure(line: str) -> None:
        sizes.append(len(line))
        shell.lines.clear()

    shell.on_line = measure
    tracemalloc.start()
    try:
        shell("head -c 50000000 /dev/zero")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 50_000_000
    assert peak < 3_000_000


def test_arguments_arrive_as_they_are(shell: Shell) -> None:
    arguments = ("a b", "$HOME", "*", "", "'\"", "ü", "line\nend")
    code = "import sys; print(ascii(tuple(sys.argv[1:])))"
    shell.run((sys.executable, "-c", code, *arguments))
    assert shell.lines == [ascii(arguments)]


def test_the_environment_is_exactly_the_one_given(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "1")
    environment: Mapping[str, str] = {"PATH": PATH, "ONE": "1"}
    code = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"  # which Python itself sets (PEP 538)
    shell.run((sys.executable, "-c", code), environment=environment)
    assert shell.lines == ["['ONE', 'PATH']"]


def test_standard_input_is_given_whole_and_then_ends(shell: Shell) -> None:
    shell("wc -c", stdin=b"x" * 1_000_000)
    assert [line.strip() for line in shell.lines] == ["1000000"]


def test_standard_input_that_nobody_reads_does_not_matter(shell: Shell) -> None:
    assert shell("exec <&-; echo done", stdin=b"x" * 1_000_000) == 0
    assert shell.lines == ["done"]


def test_input_and_output_larger_than_a_pipe_do_not_block_each_other(shell: Shell) -> None:
    content = b"0123456789abcde\n" * 50_000
    assert shell("cat", stdin=content, timeout=60) == 0
    assert len(shell.lines) == 50_000


def test_a_command_without_input_sees_its_end(shell: Shell) -> None:
    assert shell("read line || echo nothing", timeout=30) == 0
    assert shell.lines == ["nothing"]


def test_a_command_that_closes_its_output_is_waited_for(shell: Shell, tmp_path: Path) -> None:
    assert shell("exec >&- 2>&-; sleep 0.3; touch done; exit 3") == 3
    assert (tmp_path / "done").exists()


def test_a_timeout_ends_grandchildren_too(shell: Shell) -> None:
    with pytest.raises(TimedOut, match=r"^it was ended after 1\.5 seconds$"):
        shell("sh -c 'sleep 600 & echo $!; wait' & echo $!; wait", timeout=1.5)
    assert len(shell.lines) == 2
    assert all(gone(int(pid)) for pid in shell.lines)


def test_what_ignores_being_asked_is_killed_after_its_grace(shell: Shell) -> None:
    with pytest.raises(TimedOut):
        shell("trap '' TERM; echo $$; while :; do sleep 0.1; done", timeout=1.5, grace=0.2)
    assert gone(int(shell.lines[0]))


def test_what_a_command_says_in_its_grace_is_heard(shell: Shell) -> None:
    with pytest.raises(TimedOut):
        shell("trap 'echo cleaning up; exit' TERM; echo ready; while :; do sleep 0.05; done", timeout=1.5)
    assert (shell.lines[0], shell.lines[-1]) == ("ready", "cleaning up")  # dash also says "Terminated"


def test_a_cancel_ends_the_whole_group(shell: Shell) -> None:
    shell.on_line = lambda line: shell.cancelled.set() if line == "ready" else None
    with pytest.raises(Interrupted, match="it was stopped"):
        shell("sleep 600 & echo $!; sleep 600 & echo $!; echo ready; wait", timeout=60)
    assert all(gone(int(pid)) for pid in shell.lines[:2])


def test_a_cancel_before_the_start_starts_nothing(shell: Shell, tmp_path: Path) -> None:
    shell.cancelled.set()
    with pytest.raises(Interrupted):
        shell("touch started")
    assert not (tmp_path / "started").exists()


def test_an_exception_from_the_listener_ends_the_group(shell: Shell) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    shell.on_line = stop
    with pytest.raises(KeyboardInterrupt):
        shell("echo $$; sleep 600", grace=0.5)
    assert gone(int(shell.lines[0]))


def test_a_second_interruption_cuts_the_grace_short(shell: Shell) -> None:
    def interrupt(line: str) -> None:
        if line == "ready":
            shell.cancelled.set()
        elif line == "asked":
            raise KeyboardInterrupt

    shell.on_line = interrupt
    with pytest.raises(KeyboardInterrupt):
        shell("trap 'echo asked' TERM; echo $$; echo ready; while :; do sleep 0.05; done", grace=600)
    assert gone(int(shell.lines[0]))


def test_a_background_child_may_finish_what_it_has_to_say(shell: Shell) -> None:
    assert shell("(sleep 0.2; echo late) & echo early") == 0
    assert shell.lines == ["early", "late"]


def test_a_background_child_that_holds_the_output_is_ended(shell: Shell) -> None:
    assert shell("sleep 600 & echo $!; exit 4", timeout=60) == 4
    assert gone(int(shell.lines[0]))


def test_a_background_child_that_never_stops_talking_is_ended(shell: Shell) -> None:
    assert shell("echo $$; (while :; do echo again; done) & exit 0", timeout=60) == 0


def test_a_silent_background_child_is_ended(shell: Shell) -> None:
    assert shell("sleep 600 >/dev/null 2>&1 & echo $!") == 0
    assert gone(int(shell.lines[0]))


def test_a_daemon_that_left_the_group_is_neither_waited_for_nor_ended(shell: Shell) -> None:
    code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    waiting = "while [ ! -s pid ]; do sleep 0.01; done"
    try:
        assert shell(f'{sys.executable} -c "{code}" 2>&1 >pid & {waiting}', timeout=60) == 0
    finally:
        daemon = int((shell.directory / "pid").read_text())
        os.kill(daemon, signal.SIGKILL)  # raises when it was ended
    assert gone(daemon)


def refused(shell: Shell, *argv: str, **fields: object) -> TargetError:
    with pytest.raises(TargetError) as caught:
        shell.run(argv, **fields)
    return caught.value


def test_a_program_that_is_not_there_is_named(shell: Shell) -> None:
    assert refused(shell, "no-such-program").message == "no-such-program was not found on the PATH"
    assert refused(shell, "./deploy.sh").message == f"./deploy.sh was not found in {shell.directory}"


def test_a_program_is_looked_for_on_the_path_it_is_given(shell: Shell) -> None:
    program = shell.directory / "bin" / "greet"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    assert shell.run(("greet",), environment={"PATH": str(program.parent)}) == 0
    assert shell.lines == ["hello"]


def test_a_script_that_cannot_be_executed_is_explained(shell: Shell) -> None:
    script = shell.directory / "go now"
    script.write_text("#!/no/such/interpreter\n")
    error = refused(shell, "./go now")
    assert error.message == "./go now is not executable"
    assert error.hint == "make it executable: chmod +x './go now'"
    script.chmod(0o755)
    assert "interpreter that its first line names is not there" in refused(shell, "./go now").message
    script.write_text("echo hello\n")
    assert refused(shell, "./go now").hint == "begin it with a line such as #!/bin/sh"


def test_a_directory_that_is_not_there_is_named(shell: Shell) -> None:
    error = refused(shell, "sh", directory=shell.directory / "gone")
    assert error.message == f"it cannot run in {shell.directory / 'gone'}: there is no such directory"
