"""pushkit: one command that gets a project from a directory to the place where it runs.

The names here are the plugin API. They are imported when first used, so that ``push --help`` pays for none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
"""The version of pushkit, as `push --version` says it."""

if TYPE_CHECKING:
    from pushkit.capture import Captured
    from pushkit.cli.command_group import CommandGroup
    from pushkit.cli.plugin import command_options, command_run, command_target
    from pushkit.errors import (
        Busy,
        Interrupted,
        PluginError,
        Problem,
        PushFailed,
        PushfileError,
        PushkitError,
        PushRefused,
        ScriptFailed,
        SecretError,
        SnapshotChanged,
        SnapshotError,
        TargetError,
        TimedOut,
        UsageError,
    )
    from pushkit.events import (
        CommandFailed,
        Event,
        Held,
        HostChanged,
        Joined,
        Note,
        Output,
        PlanReady,
        PushFinished,
        PushStarted,
        Released,
        Resumed,
        RolledBack,
        SnapshotTaken,
        StepFailed,
        StepFinished,
        StepProgress,
        StepStarted,
        Switched,
        Warned,
    )
    from pushkit.hookspecs import hookimpl
    from pushkit.model import (
        Action,
        Commit,
        Entry,
        Finding,
        Hold,
        Kind,
        LogEntry,
        Outcome,
        Phase,
        Place,
        Plan,
        Project,
        Receipt,
        Release,
        Revision,
        Severity,
        Status,
        Step,
        Target,
    )
    from pushkit.observer import Observer
    from pushkit.options import Options, checks, public
    from pushkit.packing import Archive, pack
    from pushkit.process import Command
    from pushkit.quotation import excerpt
    from pushkit.secret import Secret
    from pushkit.secrets.source import Lookup, SecretSource
    from pushkit.snapshot import Snapshot
    from pushkit.strategy import (
        Checkable,
        Comparable,
        Inspectable,
        Joinable,
        Lockable,
        Preparable,
        Resumable,
        Revertible,
        Run,
        Strategy,
        Verifiable,
    )

_MODULES = {
    "capture": ("Captured",),
    "cli.command_group": ("CommandGroup",),
    "cli.plugin": ("command_options", "command_run", "command_target"),
    "errors": (
        "Busy",
        "Interrupted",
        "PluginError",
        "Problem",
        "PushFailed",
        "PushRefused",
        "PushfileError",
        "PushkitError",
        "ScriptFailed",
        "SecretError",
        "SnapshotChanged",
        "SnapshotError",
        "TargetError",
        "TimedOut",
        "UsageError",
    ),
    "events": (
        "Event",
        "Held",
        "HostChanged",
        "Joined",
        "Note",
        "Output",
        "PlanReady",
        "PushFinished",
        "PushStarted",
        "Released",
        "CommandFailed",
        "Resumed",
        "RolledBack",
        "SnapshotTaken",
        "StepFailed",
        "StepFinished",
        "StepProgress",
        "StepStarted",
        "Switched",
        "Warned",
    ),
    "quotation": ("excerpt",),
    "hookspecs": ("hookimpl",),
    "model": (
        "Action",
        "Commit",
        "Entry",
        "Finding",
        "Hold",
        "Kind",
        "LogEntry",
        "Outcome",
        "Phase",
        "Place",
        "Plan",
        "Project",
        "Receipt",
        "Release",
        "Revision",
        "Severity",
        "Status",
        "Step",
        "Target",
    ),
    "observer": ("Observer",),
    "options": ("Options", "checks", "public"),
    "packing": ("Archive", "pack"),
    "process": ("Command",),
    "secret": ("Secret",),
    "secrets.source": ("Lookup", "SecretSource"),
    "snapshot": ("Snapshot",),
    "strategy": (
        "Checkable",
        "Comparable",
        "Inspectable",
        "Joinable",
        "Lockable",
        "Preparable",
        "Resumable",
        "Revertible",
        "Run",
        "Strategy",
        "Verifiable",
    ),
}

__all__ = [
    "Action",
    "Archive",
    "Busy",
    "Captured",
    "Checkable",
    "Command",
    "CommandFailed",
    "CommandGroup",
    "Commit",
    "Comparable",
    "Entry",
    "Event",
    "Finding",
    "Held",
    "Hold",
    "HostChanged",
    "Inspectable",
    "Interrupted",
    "Joinable",
    "Joined",
    "Kind",
    "Lockable",
    "LogEntry",
    "Lookup",
    "Note",
    "Observer",
    "Options",
    "Outcome",
    "Output",
    "Phase",
    "Place",
    "Plan",
    "PlanReady",
    "PluginError",
    "Preparable",
    "Problem",
    "Project",
    "PushFailed",
    "PushFinished",
    "PushRefused",
    "PushStarted",
    "PushfileError",
    "PushkitError",
    "Receipt",
    "Release",
    "Released",
    "Resumable",
    "Resumed",
    "Revertible",
    "Revision",
    "RolledBack",
    "Run",
    "ScriptFailed",
    "Secret",
    "SecretError",
    "SecretSource",
    "Severity",
    "Snapshot",
    "SnapshotChanged",
    "SnapshotError",
    "SnapshotTaken",
    "Status",
    "Step",
    "StepFailed",
    "StepFinished",
    "StepProgress",
    "StepStarted",
    "Strategy",
    "Switched",
    "Target",
    "TargetError",
    "TimedOut",
    "UsageError",
    "Verifiable",
    "Warned",
    "__version__",
    "checks",
    "command_options",
    "command_run",
    "command_target",
    "excerpt",
    "hookimpl",
    "pack",
    "public",
]


if not TYPE_CHECKING:
    # Who checks types sees the names that there are, and no others.

    def __getattr__(name: str) -> Any:
        for module, names in _MODULES.items():
            if name in names:
                from importlib import import_module  # noqa: PLC0415  (only when a name is used)

                return getattr(import_module(f"pushkit.{module}"), name)
        if name.startswith("__"):
            raise AttributeError(f"module 'pushkit' has no attribute {name!r}")
        from pushkit.plugin_api import leaving  # noqa: PLC0415

        return leaving(__name__, name)
