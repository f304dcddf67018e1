"""pushkit: one command that gets a project from a directory to the place where it runs.

The names here are the plugin API. They are imported when first used, so that ``push --help`` pays for none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pushkit.capture import Captured
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
        SnapshotChanged,
        SnapshotError,
        TargetError,
        TimedOut,
        UsageError,
    )
    from pushkit.events import (
        Event,
        HostChanged,
        Note,
        Output,
        PlanReady,
        PushFinished,
        SnapshotTaken,
        StepFailed,
        StepFinished,
        StepProgress,
        StepStarted,
        Warned,
    )
    from pushkit.hookspecs import hookimpl
    from pushkit.model import (
        Action,
        Entry,
        Finding,
        Hold,
        Kind,
        LogEntry,
        Outcome,
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
    from pushkit.options import Options, Public
    from pushkit.packing import Archive, pack
    from pushkit.process import Command
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
        "SnapshotChanged",
        "SnapshotError",
        "TargetError",
        "TimedOut",
        "UsageError",
    ),
    "events": (
        "Event",
        "HostChanged",
        "Note",
        "Output",
        "PlanReady",
        "PushFinished",
        "SnapshotTaken",
        "StepFailed",
        "StepFinished",
        "StepProgress",
        "StepStarted",
        "Warned",
    ),
    "hookspecs": ("hookimpl",),
    "model": (
        "Action",
        "Entry",
        "Finding",
        "Hold",
        "Kind",
        "LogEntry",
        "Outcome",
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
    "options": ("Options", "Public"),
    "packing": ("Archive", "pack"),
    "process": ("Command",),
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
    "Comparable",
    "Entry",
    "Event",
    "Finding",
    "Hold",
    "HostChanged",
    "Inspectable",
    "Interrupted",
    "Joinable",
    "Kind",
    "Lockable",
    "LogEntry",
    "Note",
    "Observer",
    "Options",
    "Outcome",
    "Output",
    "Place",
    "Plan",
    "PlanReady",
    "PluginError",
    "Preparable",
    "Problem",
    "Project",
    "Public",
    "PushFailed",
    "PushFinished",
    "PushRefused",
    "PushfileError",
    "PushkitError",
    "Receipt",
    "Release",
    "Resumable",
    "Revertible",
    "Revision",
    "Run",
    "ScriptFailed",
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
    "Target",
    "TargetError",
    "TimedOut",
    "UsageError",
    "Verifiable",
    "Warned",
    "__version__",
    "command_options",
    "command_run",
    "command_target",
    "hookimpl",
    "pack",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415  (only when a name is used)

            return getattr(import_module(f"pushkit.{module}"), name)
    raise AttributeError(f"module 'pushkit' has no attribute {name!r}")
