"""`DirStrategy`: a target that is a directory of this machine."""

from __future__ import annotations

from pathlib import Path

from pushkit.files import FileOptions, FileStrategy, Remote
from pushkit_dir.remote import LocalRemote


class DirOptions(FileOptions):
    """Options of the strategy ``dir``. A relative ``path`` starts at the Pushfile's directory."""


class DirStrategy(FileStrategy[DirOptions]):
    """A local directory or mount."""

    name = "dir"
    Options = DirOptions

    def open_remote(self) -> Remote:
        """The directory, which need not exist yet."""
        return LocalRemote(self.run.project.root / Path(self.options.path).expanduser())
