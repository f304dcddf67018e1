"""`DirStrategy`: a target that is a directory of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from pushkit import Plan, PushRefused, Snapshot
from pushkit.files import FileOptions, FileStrategy, Remote
from pushkit_dir.remote import LocalRemote


class DirOptions(FileOptions):
    """Options of the strategy ``dir``. A relative ``path`` starts at the Pushfile's directory."""


class DirStrategy(FileStrategy[DirOptions]):
    """A local directory or mount."""

    name = "dir"
    Options = DirOptions

    def plan(self, snapshot: Snapshot) -> Plan:
        """Compare with the live release. A target that is itself part of what is pushed would grow for ever."""
        project = self.run.project
        source = os.path.realpath(project.root / project.source)
        way = os.path.relpath(os.path.realpath(self._path), source)
        if any(entry.path == way for entry in snapshot.entries):
            raise PushRefused(
                f"the target {self.options.path} lies in the project and would be pushed with it; nothing was sent",
                hint=f"add /{way}/ to .pushignore, or choose a path outside of the project",
            )
        return super().plan(snapshot)

    @property
    def _path(self) -> Path:
        return self.run.project.root / Path(self.options.path).expanduser()

    def open_remote(self) -> Remote:
        """The directory, which need not exist yet."""
        return LocalRemote(self._path)
