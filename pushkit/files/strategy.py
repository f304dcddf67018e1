"""`FileStrategy`: a strategy that puts a tree of files on a remote. Its subclass only opens the remote."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, model_validator

from pushkit.amount import amount
from pushkit.errors import PushRefused, TimedOut
from pushkit.files.commands import Commands
from pushkit.files.errors import RemoteLost
from pushkit.files.layout import Layout
from pushkit.files.log import read_log
from pushkit.files.mirror import LOOK as MIRROR
from pushkit.files.mirror import Mirror
from pushkit.files.place import CURRENT, look_for
from pushkit.files.releases import Releases
from pushkit.files.remote import Remote
from pushkit.files.shared import Shared, validated
from pushkit.files.status import status_of
from pushkit.files.swap import Swap, looking
from pushkit.model import Entry, Finding, Hold, LogEntry, Plan, Release, Severity, Status, Step
from pushkit.options import Options, Public
from pushkit.process import Command
from pushkit.snapshot import Snapshot
from pushkit.strategy import Strategy


def runnable(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """``value``, when a shell can run it. Raises ValueError."""
    for command in (value,) if isinstance(value, str) else value:
        if "\0" in command or not command.strip():
            raise ValueError("a command that is empty, or that holds a null character, cannot be run")
    return value


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variables(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """``value``, when commands can get them. Raises ValueError."""
    for name, content in value.items():
        if not VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a variable: letters, digits and _ make one")
        if name.startswith("PUSH_"):
            raise ValueError(f"{name}: the names that begin with PUSH_ are set by push")
        if "\0" in content.get_secret_value():
            raise ValueError(f"{name}: a null character cannot be passed to a program")
    return value


# Every user of the host can read a command line while it runs.
OnHost = Annotated[
    str | tuple[str, ...],
    AfterValidator(runnable),
    Public("set a variable in `environment` to it, and read that in the command"),
]


class FileOptions(Options):
    """The options that every file strategy has."""

    path: str = Field(min_length=1, description="The directory on the target: what is pushed lies in it.")
    layout: Literal["releases", "mirror", "swap"] = Field(
        default="releases",
        description="How pushes lie on the target: `releases` gives each a directory, `current` links to the live one; "
        "`mirror` puts the files right into `path`, beside those that are there; `swap` puts another directory in the "
        "place of `live` by two renames.",
    )
    live: str = Field(default=CURRENT, description='What the live directory in `path` is called, with layout = "swap".')
    keep: int = Field(
        default=5, ge=1, description="How many good releases stay on the target, the live one among them."
    )
    shared: Annotated[tuple[str, ...], AfterValidator(validated)] = Field(
        default=(),
        description="Paths that all releases share, kept in `shared` on the target; a slash at the end: a directory.",
    )
    before_switch: OnHost = Field(
        default=(),
        description="What the host runs in a new release before it goes live; when it fails, nothing changes.",
    )
    after_switch: OnHost = Field(
        default=(),
        description="What the host runs in a release that has gone live; when it fails, what was live is live again.",
    )
    environment: Annotated[dict[str, SecretStr], AfterValidator(variables)] = Field(
        default_factory=dict,
        description="Variables of the commands on the host, which may be secrets: they travel on standard input, where "
        "nobody else on the host can see them.",
    )
    command_timeout: float = Field(
        default=300, gt=0, allow_inf_nan=False, description="Seconds after which a command on the host is ended."
    )
    hard_links: bool = Field(
        default=False, description="Unchanged files are hard links to those of the release before, in place of copies."
    )
    mtimes: bool = Field(
        default=False, description="Files get the times that they have in the project when they are sent."
    )

    @model_validator(mode="after")
    def _of_releases(self) -> Self:
        needs = ("shared", "before_switch", "after_switch", "environment", "hard_links")
        named = [name for name in needs if getattr(self, name)]
        if self.layout != "releases" and named:
            raise ValueError(f'`{"`, `".join(named)}`: only for layout = "releases"')
        if self.layout != "swap" and "live" in self.model_fields_set:
            raise ValueError('`live`: only for layout = "swap"')
        if "/" in self.live or self.live in {"", ".", ".."} or self.live.startswith((".ht", ".push")):
            raise ValueError("`live`: expected the name of a directory in `path`, such as htdocs")
        return self


def listed(commands: str | tuple[str, ...]) -> tuple[str, ...]:
    """One command or several, as several."""
    return (commands,) if isinstance(commands, str) else commands


FileOptionsT = TypeVar("FileOptionsT", bound=FileOptions)


class FileStrategy(Strategy[FileOptionsT]):
    """Pushes a tree of files to a remote: incremental, verified, switched at once, with releases to roll back to."""

    remote: Remote | None = None

    @abstractmethod
    def open_remote(self) -> Remote:
        """Reach the target and return it as a connected `Remote`. Raises `TargetError`."""

    @property
    def opening(self) -> str:
        """The shell script that will be asked for first. Who runs it with `probing` saves a round trip."""
        layout = self.options.layout
        if layout == "releases":
            return look_for(Shared(self.options.shared)).script
        return MIRROR.script if layout == "mirror" else looking(self.options.live).script

    def connect(self) -> None:
        """Open the remote."""
        self.remote = self.open_remote()
        options = self.options
        times = self._time if options.mtimes else None
        if options.layout == "mirror":
            self._layout: Layout = Mirror(self.remote, self.run, times=times)
            return
        if options.layout == "swap":
            self._layout = Swap(self.remote, self.run, options.live, times=times)
            return
        self._layout = Releases(
            self.remote,
            self.run,
            options.keep,
            hard_links=options.hard_links,
            times=times,
            shared=Shared(options.shared),
            commands=self._commands,
        )

    def close(self) -> None:
        """Give back what was not used, and close the remote."""
        if self.remote is not None:
            self._layout.close()
            self.remote.close()

    @property
    def _commands(self) -> Commands:
        options = self.options
        return Commands(
            listed(options.before_switch), listed(options.after_switch), options.command_timeout, options.environment
        )

    def _time(self, entry: Entry) -> float:
        """When a file of the project was last modified."""
        project = self.run.project
        try:
            return os.lstat(project.root / project.source / entry.path).st_mtime
        except OSError:
            # It is gone; whoever reads it next says so.
            return 0

    def plan(self, snapshot: Snapshot) -> Plan:
        """Compare the snapshot with the manifest of the live release."""
        if self.options.mtimes and self.run.project.source.startswith("git:"):
            raise PushRefused(
                "files in a commit have no times that `mtimes` could keep; nothing was sent",
                hint="leave out `mtimes`, or push the directory",
            )
        try:
            return self._layout.plan(snapshot)
        except RemoteLost as error:
            if not self._layout.regained(error):
                raise
            return self._layout.plan(snapshot)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Send what changed, verify it, make it live, remove what is old."""
        return self._layout.push(plan, snapshot)

    def ask_health(self, command: str, seconds: float) -> str:
        """Why ``command`` does not end well in the live release on the host; empty when it does."""
        assert self.remote is not None, "connected"
        if not self.remote.capabilities.commands:
            raise PushRefused(f"{self.remote.root} is reached without a shell: no health command can run there")
        asked = Command(("sh", "-c", command), Path(self.remote.root, CURRENT), {}, "health", timeout=seconds)
        try:
            code = self.remote.run(asked, self.run)
        except TimedOut as error:
            return error.message
        return f"`{command}` ended with exit code {code}" if code else ""

    def status(self) -> Status:
        """What is live, which good and prepared releases are there, who holds the target."""
        survey = self._layout.look()
        return status_of(survey, self._layout.live(survey), self._layout.history(survey))

    def log(self) -> Sequence[LogEntry]:
        """How the pushes to the target ended, the newest last."""
        assert self.remote is not None, "connected"
        entries, damaged = read_log(self.remote, self._layout.look().state)
        if damaged:
            self.run.warn(f"damaged lines of the log are left out: {damaged:,}")
        return entries

    def changes(self, snapshot: Snapshot) -> Sequence[Step]:
        """How the snapshot differs from the manifest of the live release."""
        return self._layout.changes(snapshot)

    def read_live(self, path: str, limit: int) -> bytes:
        """The content of a live file."""
        return self._layout.read_live(path, limit)

    def verify(self) -> Sequence[Finding]:
        """Compare the live release with its manifest: what is altered, missing or foreign."""
        return self._layout.verify()

    def hold(self, why: str) -> None:
        """Let nobody push."""
        self._layout.hold(why)

    def release_hold(self) -> Hold | None:
        """Let pushes go on."""
        return self._layout.queue.release_hold()

    def unlock(self, number: int, why: str) -> None:
        """End a push of the queue."""
        self._layout.queue.unlock(number, why)

    def switch(self, release: str) -> Release:
        """Make a prepared release live; nothing is sent."""
        return self._layout.switch(release)

    def rollback(self, release: str = "") -> Release:
        """Make an earlier release live again; nothing is sent."""
        return self._layout.rollback(release)

    def resume(self, number: int = 0) -> Release:
        """Run `after_switch` again for a push that died before it had ended."""
        return self._layout.resume(number)

    def check(self) -> Sequence[Finding]:
        """Look at the path, the live release and the room."""
        assert self.remote is not None, "connected"
        findings = list(self.remote.findings())
        root = self.remote.root
        if obstacle := self.remote.obstacle():
            return [*findings, Finding(Severity.ERROR, root, obstacle, "check `path`, and who may write there")]
        try:
            self._commands.check(self.remote)
        except PushRefused as error:
            findings.append(Finding(Severity.ERROR, root, error.message, error.hint))
        survey = self._layout.look()
        if not survey.exists:
            return [*findings, Finding(Severity.OK, root, "does not exist yet; the first push makes it")]
        try:
            self._layout.queue.check_hold(survey)
        except PushRefused as error:
            findings.append(Finding(Severity.ERROR, root, error.message, error.hint))
        live = self._layout.live(survey)
        gone: list[str] = []
        if live and not self._layout.is_there(live, survey, gone):
            findings.append(Finding(Severity.ERROR, root, gone[0], "push again, or push rollback"))
        else:
            findings.append(Finding(Severity.OK, root, f"live: {live}" if live else "nothing was pushed to it yet"))
        if (free := self.remote.free_space()) is not None:
            findings.append(Finding(Severity.OK, root, f"{amount(free)} free"))
        return findings
