"""``push files``: what a push would send, and why not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click

from pushkit import pushfile
from pushkit.amount import amount, counted
from pushkit.cli.context import complete_target, engine
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say, say_bytes
from pushkit.errors import UsageError
from pushkit.model import Entry, Kind, Project
from pushkit.snapshot import Snapshot
from pushkit.source import explain
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.jsonl import plain
from pushkit.ui.reporter import Lines
from pushkit.ui.text import quoted, visible


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--why", metavar="PATH", help="Say whether PATH is sent, and which rule decides.")
@click.option("-0", "nul", is_flag=True, help="End each path with a NUL and escape nothing, for xargs -0.")
@click.option("--du", is_flag=True, help="Sum up each directory, the largest first.")
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, target: str | None, why: str | None, nul: bool, du: bool) -> None:
    """List what a push to TARGET would send, a path a line. No target is contacted.

    Directories end in a slash, and are listed when they are empty. A path that holds a control character or
    bytes that are not UTF-8 stands in double quotes, escaped.
    """
    if sum((nul, du, bool(why))) > 1 or (nul and settings.json):
        raise UsageError("only one of --why, -0 and --du makes sense at a time, and -0 not with --json")
    path = pushfile.find(settings.pushfile)
    project = pushfile.load(path, select=None)
    name = target or project.default or None
    if name and name not in project.targets:
        # One place knows the words for it.
        pushfile.load(path, select=(name,))
    if why:
        answer = explain(project, project.targets[name] if name else None, in_source(project, why))
        say(json_line("why", **answer._asdict()) if settings.json else visible(str(answer)))
        return
    with engine(settings, project, quiet=True) as made:
        snapshot = made.snapshot(name)
    write = Lines(sys.stderr)
    for warning in snapshot.warnings:
        write(f"push: warning: {visible(warning)}")
    for text in lines(snapshot, du=du, nul=nul, json=settings.json):
        if nul:
            say_bytes(os.fsencode(text) + b"\0")
        else:
            say(text)
    if not settings.quiet and not settings.json:
        write(f"{counted(snapshot.files, 'file')}, {amount(snapshot.size)}")


def in_source(project: Project, path: str) -> str:
    """``path``, which is relative to the current directory, as one relative to the project's source.

    In a commit there is no current directory: there, ``path`` stays what it is.
    """
    if project.source.startswith("git:"):
        return path
    directory, name = os.path.split(os.path.abspath(path))
    # A symlink is a path of its own; those on the way to it are not.
    return os.path.relpath(
        os.path.join(os.path.realpath(directory), name), os.path.realpath(project.root / project.source)
    )


def lines(snapshot: Snapshot, *, du: bool, nul: bool, json: bool) -> Iterator[str]:
    """What is written to stdout, without line ends."""
    if json:
        if du:
            for path, files, size in totals(snapshot):
                yield json_line("directory", path=path, files=files, size=size)
        else:
            for entry in snapshot.entries:
                yield json_line("entry", **plain(entry))
        yield json_line("snapshot", files=snapshot.files, size=snapshot.size, digest=snapshot.digest)
    elif du:
        for path, files, size in totals(snapshot):
            yield f"{amount(size):>8}  {counted(files, 'file'):>14}  {quoted(path)}/"
    else:
        for path in paths(snapshot):
            yield path if nul else quoted(path)


def paths(snapshot: Snapshot) -> Iterator[str]:
    """The paths of files and symlinks, and of empty directories with a slash at the end."""
    filled = {entry.path.rpartition("/")[0] for entry in snapshot.entries}
    for entry in snapshot.entries:
        if entry.kind is not Kind.DIRECTORY:
            yield entry.path
        elif entry.path not in filled:
            yield entry.path + "/"


def totals(snapshot: Snapshot) -> list[tuple[str, int, int]]:
    """Each directory with the files and bytes at any depth below it, the largest first; ``.`` is the whole."""
    sums: dict[str, list[int]] = {".": [0, 0]}
    for entry in snapshot.entries:
        for directory in above(entry):
            each = sums.setdefault(directory, [0, 0])
            each[0] += entry.kind is Kind.FILE
            each[1] += entry.size
    return sorted(((path, *each) for path, each in sums.items()), key=lambda row: (-row[2], -row[1], row[0]))  # type: ignore[misc]


def above(entry: Entry) -> Iterator[str]:
    """Every directory that ``entry`` lies in, the outermost first."""
    yield "."
    parts = entry.path.split("/")
    for depth in range(1, len(parts)):
        yield "/".join(parts[:depth])
