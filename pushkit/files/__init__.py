"""Pushing a tree of files to a remote, written once for every file strategy.

A strategy that pushes files implements `Remote` (about a dozen primitives) and `FileStrategy.open_remote`; it gets
incremental pushes, verification, the atomic switch, pruning and rollback for nothing.
"""

from pushkit.files.errors import RemoteDenied, RemoteError, RemoteExists, RemoteFull, RemoteLost, RemoteMissing
from pushkit.files.operation import (
    Absent,
    Guard,
    Independent,
    MakeDirectory,
    Operation,
    Put,
    Remove,
    RemoveDirectory,
    Rename,
    SetMode,
    Write,
)
from pushkit.files.remote import Capabilities, Remote, pieces
from pushkit.files.scripts import GRACE, Shell, probing
from pushkit.files.shell import ShellRemote, ShellResult, foreseen, shell_of
from pushkit.files.stat import Found, Stat, safe_name
from pushkit.files.strategy import FileOptions, FileStrategy
from pushkit.files.transfer import Transfer

__all__ = [
    "GRACE",
    "Absent",
    "Capabilities",
    "FileOptions",
    "FileStrategy",
    "Found",
    "Guard",
    "Independent",
    "MakeDirectory",
    "Operation",
    "Put",
    "Remote",
    "RemoteDenied",
    "RemoteError",
    "RemoteExists",
    "RemoteFull",
    "RemoteLost",
    "RemoteMissing",
    "Remove",
    "RemoveDirectory",
    "Rename",
    "SetMode",
    "Shell",
    "ShellRemote",
    "ShellResult",
    "Stat",
    "Transfer",
    "Write",
    "foreseen",
    "pieces",
    "probing",
    "safe_name",
    "shell_of",
]
