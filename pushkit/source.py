"""Where a snapshot is taken from: the project's source, opened, with the ignore rules that hold at its top."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from msgspec import Struct

from pushkit.errors import SnapshotError, UsageError
from pushkit.ignore import GITIGNORE, PROTECTED, Rule, Rules, State, parse, patterns
from pushkit.index import Index
from pushkit.model import Entry, Project, Target
from pushkit.suggestion import did_you_mean
from pushkit.walk import Tree, verdict
from pushkit.worktree import Worktree, open_file, read_file, read_ignore_file

GIT = re.compile(r"git:([^:]*)(?::(.*))?", re.DOTALL).fullmatch


class Source(Struct, frozen=True):
    """What a walk needs, and what a snapshot needs after it.

    ``settle`` is called after a whole walk, with what raises when the user asks to stop: it completes the entries and
    keeps what was learnt of the files. ``close`` is called at the end, whatever happened. ``warnings`` grows during
    the walk. ``blocks`` gives those of `Snapshot`, after it.
    """

    tree: Tree[Any]
    rules: Rules
    reader: Callable[[Entry], BinaryIO]
    origin: Callable[[], tuple[str, bool]]
    settle: Callable[[Callable[[], None]], None]
    close: Callable[[], None]
    warnings: list[str]
    whole: Callable[[Entry], bytes] | None = None
    blocks: Callable[[], Mapping[bytes, Sequence[bytes]]] = dict


def open_source(project: Project, target: Target | None, cancelled: threading.Event | None = None) -> Source:
    """The project's source as ``target`` sees it. Raises `SnapshotError` when there is none.

    Once ``cancelled`` is set, what waits for git raises `Interrupted`.
    """
    cancelled = cancelled or threading.Event()
    found = GIT(project.source)
    if found:
        return git_source(project, target, found[1], (found[2] or "").strip("/"), cancelled)
    directory = os.path.realpath(project.root / project.source)
    if not os.path.isdir(directory):
        raise SnapshotError(
            f"the source {project.source} is no directory",
            hint=f"set source in the Pushfile to one below {project.root}",
        )
    parents = up_to_git(directory)
    prefix, above = rules_above(parents)
    worktree = Worktree(directory, Index(directory))
    return Source(
        worktree,
        rules_of(project, target, directory, prefix, above),
        partial(open_file, directory),
        partial(origin, directory, cancelled) if parents else lambda: ("", False),
        worktree.finish,
        worktree.close,
        [],
        partial(read_file, directory),
        lambda: worktree.blocks,
    )


def git_source(
    project: Project, target: Target | None, name: str, directory: str, cancelled: threading.Event
) -> Source:
    """The tree of the commit ``name``, or ``directory`` of it."""
    from pushkit.gittree import Gittree, find_top  # noqa: PLC0415  (most sources are directories)

    root = str(project.root)
    warnings: list[str] = []
    tree = Gittree(root, name, directory, warnings, cancelled)

    top = os.path.join(find_top(root, cancelled), directory)
    rules = rules_of(project, target, top, b"", [])
    return Source(tree, rules, tree.open, lambda: (tree.commit, False), lambda _: tree.save(), lambda: None, warnings)


def origin(directory: str, cancelled: threading.Event) -> tuple[str, bool]:
    """The commit that ``directory`` is at, and whether its files differ from it."""
    from pushkit import revision  # noqa: PLC0415  (not every command asks)

    return revision.origin(directory, cancelled)


def up_to_git(directory: str) -> list[str]:
    """``directory`` and those above it, up to the top of the git work tree that it lies in; empty outside git."""
    parents = [directory]
    while not os.path.lexists(os.path.join(parents[-1], ".git")):
        parent = os.path.dirname(parents[-1])
        if parent == parents[-1]:
            return []
        parents.append(parent)
    return parents


def rules_above(parents: list[str]) -> tuple[bytes, list[Rule]]:
    """The rules of the ``.gitignore`` files above a directory, whose `up_to_git` are ``parents``.

    With the way from the top of the git work tree to it, which paths have to be prefixed with; empty outside git.
    """
    if not parents:
        return b"", []
    top = parents[-1]
    rules = []
    for parent in reversed(parents[1:]):
        path = os.path.join(parent, GITIGNORE)
        rules += parse(read_ignore_file(path), base_of(top, parent), path)
    return base_of(top, parents[0]), rules


def base_of(top: str, directory: str) -> bytes:
    """The way from ``top`` down to ``directory``, with a slash at its end; empty when they are the same."""
    return b"" if top == directory else os.fsencode(os.path.relpath(directory, top)) + b"/"


def rules_of(project: Project, target: Target | None, directory: str, prefix: bytes, above: list[Rule]) -> Rules:
    """The rules at the top of the source, which is ``directory``, before its own ignore files."""
    pushfile = project.pushfile.name
    own = patterns(project.ignore, prefix, f"ignore of [project] in {pushfile}")
    include: list[Rule] = []
    if target:
        own += patterns(target.ignore, prefix, f"ignore of [target.{target.name}] in {pushfile}")
        include = patterns(target.include, prefix, f"include of [target.{target.name}] in {pushfile}")
    protected = [Rule(os.fsencode(name), prefix, "names that never travel", 0) for name in PROTECTED]
    for file in (project.pushfile, *(project.root / name for name in project.private)):
        way = os.path.relpath(os.path.join(os.path.realpath(file.parent), file.name), directory)
        escaped = re.sub(rb"([*?\[\\])", rb"\\\1", os.fsencode(way))
        protected.append(Rule(b"/" + escaped, prefix, "names that never travel", 0))
    return Rules(prefix, include=include, protected=protected, own=own, gitignore=above)


class Answer(NamedTuple):
    """Whether ``path`` is sent, and why: as text, one line.

    ``rule`` is what decides, with its ``origin``, a file or a setting, and its ``line`` there, 0 where there are no
    lines; empty when no rule does. It speaks of ``decided``: of the path, or of a directory above it.
    """

    path: str
    sent: bool
    decided: str
    rule: str
    origin: str
    line: int

    def __str__(self) -> str:
        answer = f"{self.path} {'is' if self.sent else 'is not'} sent: "
        if self.rule:
            through = "" if self.decided == self.path else f"its directory {self.decided} is excluded by "
            place = f"{self.origin}:{self.line}" if self.line else self.origin
            return f"{answer}{through}{place}: {self.rule}"
        if self.sent:
            return answer + "no rule excludes it"
        return answer + "its directory is excluded, and include does not name it"


def explain(project: Project, target: Target | None, path: str) -> Answer:
    """Whether ``path``, relative to the source, would travel, and which rule decides.

    Raises `UsageError` when the source has no such path.
    """
    source = open_source(project, target)
    path = os.path.normpath(path)
    if path in {".", ".."} or path.startswith(("../", "/")):
        raise UsageError(f"{path} is not a path in the source", hint=f"name one relative to {project.source}")
    try:
        where, found = verdict(source.tree, source.rules, path)
    except KeyError as error:
        missing, names = error.args
        directory = missing[: missing.rfind("/") + 1]
        where = "this project" if project.source == "." else project.source
        raise UsageError(
            f'there is no "{missing}" in {where}',
            hint=did_you_mean(missing, [directory + name for name in names]) or "`push files` lists what would be sent",
        ) from error
    travels = found.state in (State.KEPT, State.INCLUDED)
    if not (rule := found.rule):
        return Answer(path, travels, where, "", "", 0)
    return Answer(path, travels, where, os.fsdecode(rule.text), rule.origin, rule.line)
