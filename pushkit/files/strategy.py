"""`FileStrategy`: a strategy that puts a tree of files on a remote. Its subclass only opens the remote."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import Field

from pushkit.amount import amount
from pushkit.files.releases import LOOK, Releases, ReleasesPlan
from pushkit.files.remote import Remote
from pushkit.model import Finding, Plan, Release, Severity
from pushkit.options import Options
from pushkit.snapshot import Snapshot
from pushkit.strategy import Strategy


class FileOptions(Options):
    """The options that every file strategy has."""

    path: str = Field(min_length=1, description="The directory on the target that holds the releases.")
    layout: Literal["releases"] = Field(
        default="releases",
        description="How pushes lie on the target: `releases` gives each a directory; `current` links to the live one.",
    )
    keep: int = Field(
        default=5, ge=1, description="How many good releases stay on the target, the live one among them."
    )


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
        return LOOK.script

    def connect(self) -> None:
        """Open the remote."""
        self.remote = self.open_remote()
        self._releases = Releases(self.remote, self.run, self.options.keep)

    def close(self) -> None:
        """Give back what was not used, and close the remote."""
        if self.remote is not None:
            self._releases.close()
            self.remote.close()

    def plan(self, snapshot: Snapshot) -> Plan:
        """Compare the snapshot with the manifest of the live release."""
        return self._releases.plan(snapshot)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Send what changed, verify it, make it live, remove what is old."""
        assert isinstance(plan, ReleasesPlan), "a plan of this strategy"
        return self._releases.push(plan, snapshot)

    def live(self) -> str:
        """The id of the live release, empty before the first push."""
        return self._releases.live()

    def history(self) -> Sequence[Release]:
        """The good releases on the target, the oldest first."""
        return self._releases.history()

    def rollback(self, release: str = "") -> Release:
        """Make an earlier release live again; nothing is sent."""
        return self._releases.rollback(release)

    def check(self) -> Sequence[Finding]:
        """Look at the path, the live release and the room."""
        assert self.remote is not None, "connected"
        findings = list(self.remote.findings())
        root = self.remote.root
        if obstacle := self.remote.obstacle():
            return [*findings, Finding(Severity.ERROR, root, obstacle, "check `path`, and who may write there")]
        survey = self._releases.look()
        if not survey.exists:
            return [*findings, Finding(Severity.OK, root, "does not exist yet; the first push makes it")]
        live = self._releases.live(survey)
        gone: list[str] = []
        if live and not self._releases.is_there(live, survey, gone):
            findings.append(Finding(Severity.ERROR, root, gone[0], "push again, or push rollback"))
        else:
            findings.append(Finding(Severity.OK, root, f"live: {live}" if live else "nothing was pushed to it yet"))
        if (free := self.remote.free_space()) is not None:
            findings.append(Finding(Severity.OK, root, f"{amount(free)} free"))
        return findings
