"""The strategy `script`: what a user's script gets, where it runs, and how its end is told."""

from __future__ import annotations

import os
import re
import shlex
import signal
import stat
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pushkit import (
    Interrupted,
    Plan,
    Project,
    PushFailed,
    Release,
    Run,
    ScriptFailed,
    SnapshotChanged,
    Target,
    TargetError,
    UsageError,
)
from pushkit.events import Event, Output, StepFailed, StepFinished, StepStarted, Warned
from pushkit.process import LINE_LIMIT
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import take
from pushkit_script.options import ScriptOptions
from pushkit_script.strategy import ScriptStrategy


class Pusher:
    """A project directory whose only target is a script, pushed without an engine."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.root = root
        self.scratch = scratch
        self.events: list[Event] = []
        self.cancelled = threading.Event()
        self.environment = dict(os.environ)
        self.source = "."
        self.on_line: Callable[[str], None] = lambda line: None
        self.before_push: Callable[[], None] = lambda: None

    def write(self, path: str, text: str, mode: int = 0o755) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def strategy(self, **options: Any) -> ScriptStrategy:
        target = Target("live", "script", options)
        run = Run(
            project=Project("blog", self.root / "Pushfile", self.root, self.source, (), "live", {"live": target}),
            target=target,
            emit=self._hear,
            cancelled=self.cancelled,
            scratch=self.scratch,
            person="ann@desk",
            redact=Redactor(),
            environment=self.environment,
        )
        return ScriptStrategy(ScriptOptions.of(options), run)

    def push(self, **options: Any) -> Release:
        strategy = self.strategy(**options)
        snapshot = take(strategy.run.project, strategy.run.target, self.cancelled)
        plan = strategy.plan(snapshot)
        self.before_push()
        return strategy.push(plan, snapshot)

    def plan(self, **options: Any) -> Plan:
        strategy = self.strategy(**options)
        return strategy.plan(take(strategy.run.project, strategy.run.target, self.cancelled))

    @property
    def lines(self) -> list[str]:
        return [event.line for event in self.events if isinstance(event, Output)]

    @property
    def report(self) -> dict[str, str]:
        """Lines ``NAME=value`` of the output."""
        return dict(line.split("=", 1) for line in self.lines if "=" in line)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Output):
            self.on_line(event.line)


@pytest.fixture
def pusher(tmp_path: Path) -> Pusher:
    root, scratch = tmp_path / "my blog", tmp_path / "scratch"
    root.mkdir()
    scratch.mkdir(0o700)
    pusher = Pusher(root, scratch)
    pusher.write("index.html", "hello", 0o644)
    return pusher


def ended(pid: int) -> bool:
    """Whether a process is gone, or is a zombie that its new parent has yet to wait for."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}:
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


# What runs.


def test_a_command_line_runs_and_the_push_has_a_release(pusher: Pusher) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    release = pusher.push(run="echo 'one  two' three")
    assert pusher.lines == ["one  two three"]
    assert release.created >= before
    assert release.id == f"{release.created:%Y%m%dT%H%M%SZ}-{release.revision.short}"
    assert release.creator == "ann@desk"


def test_the_plan_is_one_step_that_says_where(pusher: Pusher) -> None:
    (step,) = pusher.plan(run="echo hello").steps
    assert (step.action, step.subject, step.reason) == ("run", "echo hello", "in a clean copy of the snapshot")
    (step,) = pusher.plan(run="echo hello", where="project").steps
    assert step.reason == f"in place, in {pusher.root}"
    assert not pusher.events
    assert not list(pusher.scratch.iterdir())


def test_the_step_is_started_and_finished_once(pusher: Pusher) -> None:
    pusher.push(run="echo hello")
    assert [type(event) for event in pusher.events] == [StepStarted, Output, StepFinished]
    assert pusher.events[1] == Output("live", "echo", "hello")


def test_output_comes_while_the_script_runs(pusher: Pusher, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    pusher.on_line = lambda line: answer.touch() if line == "question" else None
    waiting = f"echo question; while [ ! -e {shlex.quote(str(answer))} ]; do sleep 0.01; done; echo thanks"
    pusher.push(run=waiting, shell=True, timeout=30)
    assert pusher.lines == ["question", "thanks"]


def test_without_a_shell_nothing_is_expanded(pusher: Pusher) -> None:
    pusher.push(run="echo $HOME '*' | cat")
    assert pusher.lines == ["$HOME * | cat"]


def test_with_a_shell_everything_is(pusher: Pusher) -> None:
    pusher.push(run="echo $PUSH_TARGET | tr a-z A-Z", shell=True)
    assert pusher.lines == ["LIVE"]


def test_arguments_of_a_script_are_passed_as_they_are(pusher: Pusher) -> None:
    pusher.write("bin/show", '#!/bin/sh\nfor each; do echo "[$each]"; done\n')
    pusher.push(script="bin/show", args=["a b", "$HOME", "*", "", "--all", "'\""])
    assert pusher.lines == ["[a b]", "[$HOME]", "[*]", "[]", "[--all]", "['\"]"]


def test_a_script_without_the_executable_bit_runs_by_its_first_line_untouched(pusher: Pusher) -> None:
    script = pusher.write("deploy", '#!/bin/sh -u\necho "$-" | tr -cd u; echo ":$*"\n', 0o644)
    pusher.push(script="deploy", args=["x y"])
    pusher.push(script="./deploy", where="project")
    pusher.push(run="./deploy", where="project")
    assert pusher.lines == ["u:x y", "u:", "u:"]
    assert stat.S_IMODE(script.stat().st_mode) == 0o644


def test_a_script_that_names_no_interpreter_is_explained_and_not_changed(pusher: Pusher) -> None:
    script = pusher.write("deploy.sh", "echo hello\n", 0o644)
    with pytest.raises(TargetError, match=r"\./deploy\.sh is not executable") as caught:
        pusher.push(script="deploy.sh")
    assert "chmod +x ./deploy.sh" in caught.value.hint
    assert 'run = "sh ./deploy.sh"' in caught.value.hint
    assert stat.S_IMODE(script.stat().st_mode) == 0o644
    pusher.push(run="sh ./deploy.sh")
    assert pusher.lines == ["hello"]


def test_an_executable_script_without_a_first_line_is_explained(pusher: Pusher) -> None:
    pusher.write("deploy.sh", "echo hello\n")
    with pytest.raises(TargetError, match="begins with #!"):
        pusher.push(script="deploy.sh")


def test_a_program_that_is_not_installed_is_named(pusher: Pusher) -> None:
    with pytest.raises(TargetError, match="no-such-program was not found on the PATH"):
        pusher.push(run="no-such-program --all")
    assert isinstance(pusher.events[-1], StepFailed)


def test_a_relative_place_on_the_path_is_below_the_directory_it_runs_in(pusher: Pusher) -> None:
    pusher.write("node_modules/.bin/build", "#!/bin/sh\necho built\n")
    pusher.environment["PATH"] = f"node_modules/.bin:{pusher.environment['PATH']}"
    pusher.push(run="build")
    assert pusher.lines == ["built"]


# Where it runs.


def test_the_clean_copy_is_the_snapshot_and_nothing_beside_it(pusher: Pusher) -> None:
    pusher.write(".gitignore", "*.log\nbuild/\n", 0o644)
    pusher.write("noise.log", "", 0o644)
    pusher.write("build/out", "", 0o644)
    pusher.write("bin/tool", "#!/bin/sh\n", 0o750)
    pusher.write("Pushfile", "", 0o644)
    (pusher.root / "empty").mkdir(0o700)
    (pusher.root / "link").symlink_to("bin/tool")
    (pusher.root / "bin").chmod(0o555)
    pusher.push(run="find . -mindepth 1 -printf '%P %y %m %l\\n'")
    assert sorted(line.rstrip() for line in pusher.lines) == [
        ".gitignore f 644",
        "bin d 555",
        "bin/tool f 750",
        "empty d 700",
        "index.html f 644",
        "link l 777 bin/tool",
    ]


def test_the_copy_is_removed_whatever_the_script_did_to_it(pusher: Pusher, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(0o500)
    script = 'mkdir -p a/b && touch a/b/c && ln -s "$OUTSIDE" a/link && chmod 0 a/b a && chmod 500 .'
    pusher.push(run=script, shell=True, environment={"OUTSIDE": str(outside)})
    assert not list(pusher.scratch.iterdir())
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
    assert not [event for event in pusher.events if isinstance(event, Warned)]


def test_the_copy_is_removed_when_the_script_fails(pusher: Pusher) -> None:
    with pytest.raises(PushFailed):
        pusher.push(run="false")
    assert not list(pusher.scratch.iterdir())


def test_the_copy_bears_the_name_of_the_projects_directory(pusher: Pusher) -> None:
    pusher.push(run='basename "$PWD"', shell=True)
    assert pusher.lines == ["my blog"]


def test_a_copy_that_cannot_be_written_is_told(pusher: Pusher) -> None:
    pusher.before_push = pusher.scratch.rmdir
    with pytest.raises(TargetError) as caught:
        pusher.push(run="true")
    assert re.fullmatch(
        rf"the copy of the snapshot cannot be written to {pusher.scratch}\S*.*: No such file or directory",
        caught.value.message,
    )
    assert caught.value.hint == 'set TMPDIR to a directory with room, or run in place: where = "project"'


def test_what_a_script_writes_in_the_copy_does_not_reach_the_project(pusher: Pusher) -> None:
    pusher.push(run="echo changed > index.html; rm -f Pushfile", shell=True)
    assert (pusher.root / "index.html").read_text() == "hello"


def test_in_place_it_runs_in_the_projects_directory(pusher: Pusher) -> None:
    pusher.write(".gitignore", "ignored\n", 0o644)
    pusher.write("ignored", "seen", 0o644)
    pusher.push(run="cat ignored; pwd -P; touch made", shell=True, where="project")
    assert pusher.lines == ["seen" + str(pusher.root.resolve())]
    assert (pusher.root / "made").exists()
    assert not list(pusher.scratch.iterdir())


def test_a_file_that_changed_since_the_snapshot_never_reaches_the_script(pusher: Pusher) -> None:
    def change() -> None:
        (pusher.root / "index.html").write_text("HELLO")

    pusher.before_push = change
    with pytest.raises(SnapshotChanged):
        pusher.push(run="echo ran")
    assert pusher.lines == []
    assert not list(pusher.scratch.iterdir())


def test_an_ignored_script_is_refused_by_the_plan(pusher: Pusher) -> None:
    pusher.write(".gitignore", "bin/\n", 0o644)
    pusher.write("bin/deploy", "#!/bin/sh\n")
    for options in ({"script": "bin/deploy"}, {"run": "./bin/deploy --all"}):
        with pytest.raises(TargetError, match="bin/deploy is not in the snapshot: the ignore rules") as caught:
            pusher.plan(**options)
        assert "push files --why bin/deploy" in caught.value.hint
    assert pusher.plan(script="bin/deploy", where="project").steps


def test_a_script_that_is_nowhere_is_refused_by_the_plan(pusher: Pusher) -> None:
    with pytest.raises(TargetError, match=r"^bin/deploy is not in the snapshot$"):
        pusher.plan(script="bin/deploy")
    (pusher.root / "bin").mkdir()
    with pytest.raises(TargetError, match="bin is a directory"):
        pusher.plan(script="bin")


def test_a_script_beside_the_source_is_explained(pusher: Pusher) -> None:
    pusher.write("bin/deploy", "#!/bin/sh\n")
    pusher.write("public/index.html", "", 0o644)
    pusher.source = "public"
    with pytest.raises(TargetError, match="which is of public only"):
        pusher.plan(script="bin/deploy")


def test_a_script_behind_a_symlink_is_found(pusher: Pusher) -> None:
    pusher.write("tools/deploy", "#!/bin/sh\necho $0\n")
    (pusher.root / "bin").symlink_to("tools")
    pusher.push(script="bin/deploy")
    assert pusher.lines == ["./bin/deploy"]


# What it gets.


def test_the_variables_describe_the_push(pusher: Pusher) -> None:
    pusher.write("a", "12345", 0o644)
    release = pusher.push(run="env", where="project")
    assert {name: value for name, value in pusher.report.items() if name.startswith("PUSH_")} == {
        "PUSH_TARGET": "live",
        "PUSH_PROJECT": "blog",
        "PUSH_RELEASE": release.id,
        "PUSH_REVISION": release.revision.short,
        "PUSH_COMMIT": "",
        "PUSH_DIRTY": "1" if release.revision.dirty else "",
        "PUSH_DIGEST": release.revision.digest,
        "PUSH_DIRECTORY": str(pusher.root),
        "PUSH_PERSON": "ann@desk",
        "PUSH_FILES": "2",
        "PUSH_SIZE": "10",
    }


def test_every_variable_is_documented(pusher: Pusher) -> None:
    page = (Path(__file__).parents[2] / "docs/strategies/script.md").read_text()
    pusher.environment = {"PATH": os.environ["PATH"]}
    pusher.push(run="env")
    given = {name for name in pusher.report if name.startswith("PUSH_")}
    assert given == set(re.findall(r"^\| `(PUSH_\w+)`", page, re.MULTILINE))


def test_the_directory_is_where_it_runs(pusher: Pusher) -> None:
    pusher.push(run='[ "$PUSH_DIRECTORY" = "$PWD" ] && cat "$PUSH_DIRECTORY/index.html"', shell=True)
    assert pusher.lines == ["hello"]


def test_the_environment_is_that_of_push_and_the_targets(pusher: Pusher) -> None:
    pusher.environment = {"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": "/tmp/agent", "STAGE": "old"}
    pusher.push(run="env", environment={"STAGE": "new", "TOKEN": "a b=c"})
    report = pusher.report
    assert (report["SSH_AUTH_SOCK"], report["STAGE"], report["TOKEN"]) == ("/tmp/agent", "new", "a b=c")
    assert set(report) - {"PATH", "SSH_AUTH_SOCK", "STAGE", "TOKEN", "PWD"} == {
        name for name in report if name.startswith("PUSH_")
    }


def test_a_secret_variable_is_in_no_event_and_no_argument(pusher: Pusher) -> None:
    options = {
        "run": "printf %s \"$TOKEN\" | wc -c; tr '\\0' '\\n' < /proc/$$/cmdline",
        "shell": True,
        "environment": {"TOKEN": "s3cr3t-value"},
    }
    strategy = pusher.strategy(**options)
    pusher.push(**options)
    assert pusher.lines[0].strip() == "12"
    assert len(pusher.lines) > 2
    assert "s3cr3t-value" not in repr((pusher.events, pusher.plan(**options), strategy.options))


# How it ends.


def test_a_failing_script_is_a_failed_push(pusher: Pusher) -> None:
    pusher.write("deploy", "#!/bin/sh\necho broken >&2\nexit 3\n")
    with pytest.raises(PushFailed, match=r"^deploy ended with exit code 3$") as caught:
        pusher.push(script="deploy")
    assert not isinstance(caught.value, ScriptFailed)
    assert caught.value.exit_code == 8
    assert pusher.lines == ["broken"]
    assert isinstance(pusher.events[-1], StepFailed)


def test_the_exit_code_of_a_script_is_passed_on_when_asked_for(pusher: Pusher) -> None:
    with pytest.raises(ScriptFailed) as caught:
        pusher.push(run="exit 42", shell=True, exit="script")
    assert caught.value.code == 42


def test_a_timeout_ends_what_the_script_started(pusher: Pusher) -> None:
    with pytest.raises(PushFailed, match=r"sh was ended after 1\.5 seconds; what it did until then stays done"):
        pusher.push(run="sh -c 'sleep 600 & echo $!; wait'", timeout=1.5)
    assert ended(int(pusher.lines[0]))
    assert not list(pusher.scratch.iterdir())


def test_a_cancel_ends_what_the_script_started(pusher: Pusher) -> None:
    pusher.on_line = lambda line: pusher.cancelled.set()
    with pytest.raises(Interrupted):
        pusher.push(run="sh -c 'sleep 600 & echo $!; wait'")
    assert ended(int(pusher.lines[0]))
    assert not list(pusher.scratch.iterdir())


def test_a_child_left_in_the_background_does_not_hold_the_push(pusher: Pusher) -> None:
    pusher.push(run="sh -c 'sleep 600 & echo $!'", timeout=60)
    assert ended(int(pusher.lines[0]))


def test_a_script_killed_by_a_signal_fails(pusher: Pusher) -> None:
    with pytest.raises(PushFailed, match=f"exit code {128 + signal.SIGKILL}"):
        pusher.push(run="kill -9 $$", shell=True)


# Several commands.


def test_several_commands_run_in_order_in_one_copy(pusher: Pusher) -> None:
    pusher.push(run=["touch made", "ls made", "echo 'the end'"])
    assert pusher.lines == ["made", "the end"]
    assert [type(event) for event in pusher.events if not isinstance(event, Output)] == [StepStarted, StepFinished] * 3
    assert [step.subject for step in pusher.plan(run=["a b", "c"], where="project").steps] == ["a b", "c"]


def test_the_first_that_fails_is_the_last(pusher: Pusher) -> None:
    with pytest.raises(ScriptFailed, match=r"^sh ended with exit code 3$") as caught:
        pusher.push(run=["echo one", "sh -c 'exit 3'", "echo two"], exit="script")
    assert caught.value.code == 3
    assert pusher.lines == ["one"]


def test_a_later_program_that_is_missing_is_a_failed_push(pusher: Pusher) -> None:
    with pytest.raises(PushFailed, match="not found on the PATH; what ran before it stays done"):
        pusher.push(run=["echo one", "no-such-program"])


def test_what_one_command_makes_the_next_can_run(pusher: Pusher) -> None:
    options = {"run": ["cp bin/source built", "./built"]}
    pusher.write("bin/source", "#!/bin/sh\necho built\n")
    assert [finding.severity for finding in pusher.strategy(**options).check()] == ["ok", "warning"]
    pusher.push(**options)
    assert pusher.lines == ["built"]


# What `push rollback` runs.


def test_a_rollback_runs_its_commands_in_the_projects_directory(pusher: Pusher) -> None:
    options = {"run": "true", "rollback": ["pwd -P", 'echo "to $PUSH_RELEASE by $PUSH_PERSON, $TOKEN"'], "shell": True}
    release = pusher.strategy(**options, environment={"TOKEN": "t0k3n"}).rollback("20261122T193012Z-4f2a91c")
    assert release.id == "20261122T193012Z-4f2a91c"
    assert pusher.lines == [str(pusher.root.resolve()), "to 20261122T193012Z-4f2a91c by ann@desk, t0k3n"]
    assert pusher.strategy(run="true", rollback="sh -c 'test -z \"$PUSH_RELEASE\"'").rollback().id == "previous"


def test_a_rollback_that_fails_or_is_not_there_is_told(pusher: Pusher) -> None:
    with pytest.raises(ScriptFailed) as caught:
        pusher.strategy(run="true", rollback="sh -c 'exit 7'", exit="script").rollback()
    assert caught.value.code == 7
    with pytest.raises(UsageError, match="the target live does not say how to roll back") as usage:
        pusher.strategy(run="true").rollback()
    assert "rollback = " in usage.value.hint


# What `push check` says.


def test_check_finds_what_can_be_started(pusher: Pusher) -> None:
    pusher.write("bin/deploy", "#!/bin/sh\n")
    for options in ({"script": "bin/deploy"}, {"run": "sh -c true"}, {"run": "true | cat", "shell": True}):
        (finding,) = pusher.strategy(**options).check()
        assert finding.severity == "ok", options


def test_check_names_what_cannot(pusher: Pusher) -> None:
    pusher.write("deploy", "echo\n", 0o644)
    for options, words in (
        ({"script": "bin/deploy"}, "was not found in"),
        ({"script": "deploy"}, "is not executable"),
        ({"run": "no-such-program"}, "was not found on the PATH"),
    ):
        (finding,) = pusher.strategy(**options).check()
        assert finding.severity == "error"
        assert words in finding.message
        assert finding.hint


def test_check_leaves_a_commit_to_the_plan(pusher: Pusher) -> None:
    pusher.source = "git:v1"
    (finding,) = pusher.strategy(script="bin/deploy").check()
    assert finding.message == "will be looked for in git:v1"


def test_a_secret_in_a_very_long_line_is_not_shown_in_two_halves(pusher: Pusher) -> None:
    pusher.write("deploy", f"#!/bin/sh\nhead -c {LINE_LIMIT - 4} /dev/zero | tr '\\0' x; echo $TOKEN\n")
    strategy = pusher.strategy(script="deploy", environment={"TOKEN": "hunter2-hunter3"})
    strategy.run.redact.add("TOKEN", "hunter2-hunter3")
    snapshot = take(strategy.run.project, strategy.run.target, pusher.cancelled)
    strategy.push(strategy.plan(snapshot), snapshot)
    lines = [event.line for event in pusher.events if isinstance(event, Output)]
    assert [strategy.run.redact(line) for line in lines] == ["x" * (LINE_LIMIT - 4), "[secret:TOKEN]"]
