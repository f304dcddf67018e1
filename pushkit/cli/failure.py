"""How what went wrong is told: what happened to what, what to do next, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator

import click

from pushkit import __version__
from pushkit.cli.settings import Settings
from pushkit.cli.stdout import OutputClosedError, flush
from pushkit.errors import Interrupted, PushfileError, PushkitError, ScriptFailed, UsageError
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines, discard
from pushkit.ui.text import visible

# What a shell reports for a program that SIGPIPE ended.
OUTPUT_CLOSED = 141


def told(error: BaseException, settings: Settings, program: str) -> int:
    """Tell ``error`` on stderr, and on stdout to a program that reads JSON; return the exit code.

    Each error of a group is told. The exit code is the worst of theirs: a bug's, else the highest.
    """
    if isinstance(error, SystemExit):  # how click ends a completion
        return error.code if isinstance(error.code, int) else 1
    try:
        flush()
    except (OutputClosedError, UsageError):
        discard(sys.stdout)
    write = Lines(sys.stderr)
    notes = [f"  {visible(note)}" for note in getattr(error, "__notes__", ())]
    if isinstance(error, OutputClosedError):
        # Nothing to tell in a pipeline, unless something was left undone.
        for text in [f"{program}: nobody reads stdout", *notes] if notes else ():
            write(text)
        return OUTPUT_CLOSED
    errors = [ours(each, program) for each in flattened(error)]
    for each in errors:
        for text in lines_of(each, program):
            write(settings.redact(text))
    for note in notes:
        write(settings.redact(note))
    codes = [each.code if isinstance(each, ScriptFailed) else each.exit_code for each in errors]
    code = 1 if any(type(each) is PushkitError for each in errors) else max(codes)
    if code == 1 and (settings.verbose or os.environ.get("PUSHKIT_TRACEBACK")):
        write(settings.redact("".join(traceback.format_exception(error)).rstrip()))
    # A push that began has told how it ended in its receipt.
    if settings.json and settings.receipt is None:
        message = "; ".join(each.message for each in errors)
        problems = [p for each in errors if isinstance(each, PushfileError) for p in each.problems]
        Lines(sys.stdout)(settings.redact(json_line("error", message=message, exit_code=code, problems=problems)))
    return code


def flattened(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group at any depth, each message once; ``error`` itself when it is no group."""
    if isinstance(error, BaseExceptionGroup):
        seen = set()
        for each in error.exceptions:
            for leaf in flattened(each):
                if str(leaf) not in seen:
                    seen.add(str(leaf))
                    yield leaf
    else:
        yield error


def ours(error: BaseException, program: str) -> PushkitError:
    """``error`` in the voice of this program. What is no `PushkitError` by then is a bug."""
    if isinstance(error, PushkitError):
        return error
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Interrupted("interrupted")
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        path = " ".join(context.command_path.split()) if context else program
        close = getattr(error, "possibilities", None)
        # A missing parameter has no message of its own, and lists its choices on lines of their own.
        message = " ".join(error.format_message().split()).partition(". Did you mean")[0].rstrip(".")
        hint = f"did you mean {' or '.join(close)}?" if close else f"{path} --help shows what there is"
        return UsageError(message[:1].lower() + message[1:], hint=hint)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return PushkitError(
        f"this is a bug in {distribution_of(error)}: {text}",
        hint="please report it; with PUSHKIT_TRACEBACK=1 in the environment it says where it is",
    )


def lines_of(error: PushkitError, program: str) -> Iterator[str]:
    """What people read of ``error``."""
    if isinstance(error, PushfileError):
        for problem in error.problems:
            place = error.file + (f":{problem.line}" if problem.line else "")
            parts = [place, problem.path, "; ".join(filter(None, (problem.message, problem.hint)))]
            yield visible(": ".join(filter(None, parts)))
    yield f"{program}: {visible(error.message)}"
    if error.hint:
        yield f"  hint: {visible(error.hint)}"


def distribution_of(error: BaseException) -> str:
    """The name and version of the distribution whose code raised ``error``: of the innermost frame that has one."""
    from importlib import metadata  # noqa: PLC0415  (only a bug needs it)

    # An editable distribution lists no packages; its entry points name those that are plugins.
    plugins = {
        entry.module.partition(".")[0]: distribution
        for distribution in metadata.distributions()
        for entry in distribution.entry_points
        if entry.group.startswith("pushkit.")
    }
    packages = metadata.packages_distributions()
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "pushkit":
            break
        if package in plugins:
            return f"{plugins[package].name} {plugins[package].version}"
        if package in packages:
            name = packages[package][0]
            return f"{name} {metadata.version(name)}"
    return f"pushkit {__version__}"
