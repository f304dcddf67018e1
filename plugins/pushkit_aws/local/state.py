"""`State`: where revisions lie and what is remembered of each deployment group, laid out as codedeploy-agent does it.

::

    GROUP/DEPLOYMENT-ID/deployment-archive/       the revision
    GROUP/DEPLOYMENT-ID/logs/scripts.log          what its scripts said
    deployment-instructions/GROUP-install.json    what the last Install did
    deployment-instructions/GROUP-cleanup         what the next one removes first
    deployment-instructions/GROUP_last_successful_install, GROUP_most_recent_install
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import string
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pushkit import Busy, TargetError

#: Revisions that are kept for a group, the newest ones.
KEPT = 5

_LETTERS = string.ascii_uppercase + string.digits


class State:
    """The state of ``group`` below ``top``."""

    def __init__(self, top: Path, group: str) -> None:
        self.top = top
        self.group = top / group
        self._notes = top / "deployment-instructions"
        self.cleanup = self._notes / f"{group}-cleanup"
        self.instructions = self._notes / f"{group}-install.json"
        self._root = self._notes / f"{group}-root"
        self._lock = self._notes / f"{group}-lock"
        self._last = self._notes / f"{group}_last_successful_install"
        self._recent = self._notes / f"{group}_most_recent_install"

    @contextmanager
    def held(self, root: str) -> Iterator[None]:
        """Hold the group. Raises `Busy` when somebody else does, `TargetError` when it is another root's.

        The lock ends with the process.
        """
        try:
            self.group.mkdir(parents=True, exist_ok=True)
            self._notes.mkdir(exist_ok=True)
            file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"the state in {self.top} cannot be written: {error.strerror}"
            raise TargetError(message, hint="name a directory for it: --state DIR") from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"another deployment to the group {self.group.name} is under way on this machine"
                raise Busy(message, hint="try again when it has ended, or name another group: -g") from error
            self.check_root(root)
            self._root.write_text(root + "\n")
            yield
        finally:
            os.close(file)

    def check_root(self, root: str) -> None:
        """Raise `TargetError` when the group was last installed into another root, whose files it remembers."""
        before = self._read(self._root)
        if before and before != root:
            raise TargetError(
                f"the group {self.group.name} was installed into {before} before, and now into {root}",
                hint="give each its own group (-g) or its own state (--state)",
            )

    def new(self) -> Path:
        """A directory for a deployment, named by its id."""
        name = "d-" + "".join(secrets.choice(_LETTERS) for _ in range(9)) + "-local"
        path = self.group / name
        path.mkdir()
        (path / "logs").mkdir()
        return path

    def made(self) -> str:
        """The cleanup file, empty when there is none."""
        try:
            return self.cleanup.read_bytes().decode(errors="surrogateescape")
        except FileNotFoundError:
            return ""

    @property
    def last(self) -> Path | None:
        """The deployment that was installed last, None when there was none."""
        text = self._read(self._last)
        return Path(text) if text else None

    def installed(self, deployment: Path) -> None:
        """Remember the deployment that was installed well."""
        self._write(self._last, deployment)

    def begun(self, deployment: Path) -> None:
        """Remember the deployment that was unpacked."""
        self._write(self._recent, deployment)

    def prune(self, current: Path) -> None:
        """Remove old revisions: never ``current``, nor the one that was installed last."""
        spared = {current, self.last}
        found = [(path.stat().st_mtime, path) for path in self.group.iterdir() if path.name.startswith("d-")]
        for _, path in sorted(found, reverse=True)[KEPT:]:
            if path not in spared:
                shutil.rmtree(path, ignore_errors=True)

    def discard(self, deployment: Path) -> None:
        """Remove a deployment of which nothing came."""
        shutil.rmtree(deployment, ignore_errors=True)

    def _read(self, path: Path) -> str:
        with suppress(FileNotFoundError):
            return path.read_text(errors="surrogateescape").strip()
        return ""

    def _write(self, path: Path, deployment: Path) -> None:
        new = path.with_name(path.name + ".new")
        new.write_bytes(os.fsencode(deployment) + b"\n")
        new.replace(path)
