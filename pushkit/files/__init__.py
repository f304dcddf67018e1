"""Pushing a tree of files to a remote, written once for every file strategy.

A strategy that pushes files implements `Remote` (about a dozen primitives) and `FileStrategy.open_remote`; it gets
incremental pushes, verification, the atomic switch, pruning and rollback for nothing. The names here are imported when
they are used: what reaches a target needs few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from pushkit.files.options import FileOptions
    from pushkit.files.procedure import Primitive, procedure_of
    from pushkit.files.remote import Capabilities, Remote, pieces
    from pushkit.files.scripts import GRACE, Shell, probing
    from pushkit.files.shell import ShellRemote, ShellResult, foreseen, shell_of
    from pushkit.files.stat import Found, Stat, safe_name
    from pushkit.files.strategy import FileStrategy
    from pushkit.files.transfer import Transfer

_MODULES = {
    "errors": (
        "RemoteDenied",
        "RemoteError",
        "RemoteExists",
        "RemoteFull",
        "RemoteLost",
        "RemoteMissing",
    ),
    "operation": (
        "Absent",
        "Guard",
        "Independent",
        "MakeDirectory",
        "Operation",
        "Put",
        "Remove",
        "RemoveDirectory",
        "Rename",
        "SetMode",
        "Write",
    ),
    "options": ("FileOptions",),
    "procedure": (
        "Primitive",
        "procedure_of",
    ),
    "remote": (
        "Capabilities",
        "Remote",
        "pieces",
    ),
    "scripts": (
        "GRACE",
        "Shell",
        "probing",
    ),
    "shell": (
        "ShellRemote",
        "ShellResult",
        "foreseen",
        "shell_of",
    ),
    "stat": (
        "Found",
        "Stat",
        "safe_name",
    ),
    "strategy": ("FileStrategy",),
    "transfer": ("Transfer",),
}

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
    "Primitive",
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
    "procedure_of",
    "safe_name",
    "shell_of",
]


if not TYPE_CHECKING:
    # Who checks types sees the names that there are, and no others.

    def __getattr__(name: str) -> Any:
        for module, names in _MODULES.items():
            if name in names:
                from importlib import import_module  # noqa: PLC0415  (only when a name is used)

                return getattr(import_module(f"pushkit.files.{module}"), name)
        if name.startswith("__"):
            raise AttributeError(f"module 'pushkit.files' has no attribute {name!r}")
        from pushkit.plugin_api import leaving  # noqa: PLC0415

        return leaving(__name__, name)
