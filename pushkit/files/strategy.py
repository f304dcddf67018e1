"""`FileStrategy`: a strategy that puts a tree of files on a remote. Its subclass only opens the remote."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pushkit.amount import amount
from pushkit.errors import PushRefused, TimedOut
from pushkit.files.commands import Commands
from pushkit.files.errors import RemoteLost
from pushkit.files.options import FileOptions
from pushkit.files.supply import Supply
from pushkit.model import Entry, Finding, Hold, LogEntry, Plan, Release, Severity, Status, Step
from pushkit.process import Command
from pushkit.snapshot import Snapshot
from pushkit.strategy import Strategy

if TYPE_CHECKING:
    # What is needed once the target answers is imported while it is waited for.
    from pushkit.files.layout import Layout
    from pushkit.files.remote import Remote


def listed(commands: str | tuple[str, ...]) -> tuple[str, ...]:
    """One command or several, as several."""
    return (commands,) if isinstance(commands, str) else commands


FileOptionsT = TypeVar("FileOptionsT", bound=FileOptions)


class FileStrategy(Strategy[FileOptionsT]):
    """Pushes a tree of files to a remote: incremental, verified, switched at once, with releases to roll back to."""

    remote: Remote | None = None
    #: What a fleet's hosts get that lack the same, made once for all; None for who is no host of one.
    supply: Supply | None = None

    @abstractmethod
    def open_remote(self) -> Remote:
        """Reach the target and return it as a connected `Remote`. Raises `TargetError`."""

    @property
    def opening(self) -> str:
        """The shell script that will be asked for first. Who runs it with `probing` saves a round trip."""
        from pushkit.files.known import Known  # noqa: PLC0415
        from pushkit.files.mirror import LOOK as MIRROR  # noqa: PLC0415
        from pushkit.files.place import look_for  # noqa: PLC0415
        from pushkit.files.shared import Shared  # noqa: PLC0415
        from pushkit.files.swap import looking  # noqa: PLC0415

        known = Known(self.run)
        match self.options.layout:
            case "releases":
                return look_for(Shared(self.options.shared)).script(known)
            case "mirror":
                return MIRROR.script(known)
            case "swap":
                return looking(self.options.live).script(known)

    def connect(self) -> None:
        """Open the remote."""
        self.remote = self.open_remote()
        from pushkit.files.mirror import Mirror  # noqa: PLC0415
        from pushkit.files.releases import Releases  # noqa: PLC0415
        from pushkit.files.shared import Shared  # noqa: PLC0415

        options = self.options
        times = self._time if options.mtimes else None
        if options.layout == "mirror":
            self._layout: Layout = Mirror(self.remote, self.run, times=times)
            return
        if options.layout == "swap":
            from pushkit.files.swap import Swap  # noqa: PLC0415

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
            supply=self.supply,
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
        from pushkit.files.place import CURRENT  # noqa: PLC0415

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
        from pushkit.files.status import status_of  # noqa: PLC0415

        survey = self._layout.look()
        return status_of(survey, self._layout.live(survey), self._layout.history(survey))

    def log(self) -> Sequence[LogEntry]:
        """How the pushes to the target ended, the newest last."""
        from pushkit.files.log import read_log  # noqa: PLC0415

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
