"""What a remote is asked for at once, done by its primitives one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pushkit.files.errors import RemoteError, RemoteExists, RemoteMissing
from pushkit.files.operation import Copy, Operation, Put, RemoveTree, Still, Verify
from pushkit.files.procedure import Primitive, Procedure, procedure_of
from pushkit.files.procedure import write as written
from pushkit.files.stat import Found, safe_name
from pushkit.files.stretch import stretches
from pushkit.model import Entry, Kind, Step

if TYPE_CHECKING:
    from pushkit.files.remote import Remote


def collect(
    remote: Remote,
    trees: Sequence[str],
    *,
    listed: Sequence[str],
    looked: Sequence[str],
    pointed: tuple[str, str] | None,
    limit: int,
) -> dict[str, Found]:
    """See `Remote.collect`."""
    found = {path: Found(stat) for path in (*looked, *listed) if (stat := remote.stat(path)) is not None}
    for path in listed:
        if path in found and found[path].stat.kind is Kind.DIRECTORY:
            below = [child for child in remote.list(path) if child.kind is Kind.DIRECTORY]
            found |= {f"{path}/{safe_name(child.name)}": Found(child) for child in below}
    trees = list(trees)
    if pointed and (stat := remote.stat(pointed[0])) is not None:
        link = remote.read_link(pointed[0]) if stat.kind is Kind.SYMLINK else ""
        found[pointed[0]] = Found(stat, link=link)
        with suppress(RemoteError):
            trees.append(f"{pointed[1]}/{safe_name(link.rpartition('/')[2])}")
    waiting = [(path, remote.stat(path)) for path in trees]
    while waiting:
        path, stat = waiting.pop()
        with suppress(RemoteMissing):
            if stat is not None:
                children = remote.list(path) if stat.kind is Kind.DIRECTORY else []
                waiting += [(f"{path}/{safe_name(child.name)}", child) for child in children]
                content = remote.read(path, limit) if stat.kind is Kind.FILE else b""
                link = remote.read_link(path) if stat.kind is Kind.SYMLINK else ""
                found[path] = Found(stat, content, link)
    return found


def kinds(remote: Remote, paths: Sequence[str]) -> dict[str, Kind | None]:
    """See `Remote.kinds`. Lists each parent once, in place of a question for each path."""
    found: dict[str, Kind | None] = {}
    asked = set(paths)
    for parent, below in groupby(sorted(paths, key=parted), key=lambda path: parted(path)[0]):
        wanted = {path.rpartition("/")[2] for path in below}
        if parent in asked and found.get(parent) is not Kind.DIRECTORY:
            continue
        with suppress(RemoteMissing):
            for child in remote.list(parent):
                if child.name in wanted:
                    found[f"{parent}/{child.name}" if parent else child.name] = child.kind
    return found


def parted(path: str) -> tuple[str, str]:
    """The directory of ``path``, and its name in it."""
    parent, _, name = path.rpartition("/")
    return parent, name


def perform(
    remote: Remote,
    operations: Sequence[Operation],
    reported: Callable[[Step], AbstractContextManager[None]],
    stage: str,
) -> Sequence[Entry]:
    """See `Remote.perform`."""
    for stretch in stretches(operations, stage):
        if procedure_of(stretch[0], remote.root):
            remote.together(stretch, reported)
            continue
        # What takes more than primitives is alone.
        for operation in stretch:
            if wrong := perform_reported(remote, operation, reported):
                return wrong
    return ()


def perform_reported(
    remote: Remote, operation: Operation, reported: Callable[[Step], AbstractContextManager[None]]
) -> Sequence[Entry]:
    """Do one operation, its step ``reported``."""
    with reported(operation.step) if operation.step else nullcontext():
        try:
            return perform_one(remote, operation)
        except RemoteError as error:
            error.operation = operation
            raise


def perform_one(remote: Remote, operation: Operation) -> Sequence[Entry]:
    match operation:
        case Still(paths, known):
            there = remote.kinds(paths)
            if changed := next((path for path in paths if there.get(path, "") != known.get(path, "")), None):
                raise RemoteExists(f"{remote.root}/{changed}: it is not what it was when it was looked at")
        case RemoveTree(path):
            remote.remove_tree(path)
        case Put(directory, transfer):
            remote.put(directory, transfer)
        case Copy(source, directory, entries, link):
            remote.copy(source, directory, entries, link=link)
        case Verify(directory, entries):
            return remote.verify(directory, entries)
        case _:
            steps = procedure_of(operation, remote.root)
            if steps is None:
                raise TypeError(f"{operation} is no operation")
            follow(remote, steps)
    return ()


def follow(remote: Remote, steps: Procedure) -> None:
    """Do what a procedure asks for, one after the other."""
    answers: Sequence[Any] = ()
    with suppress(StopIteration):
        while True:
            asked = steps.send(answers) if answers else next(steps)
            answers = [answer(remote, each) for each in asked]


def answer(remote: Remote, primitive: Primitive) -> Any:
    """The result of a primitive, or the error that it raised."""
    try:
        return getattr(remote, primitive.name)(*primitive.arguments)
    except RemoteError as error:
        return error


def write(remote: Remote, path: str, data: bytes, mode: int) -> None:
    """Write a file beside and rename it, so that no reader sees half of it."""
    follow(remote, written(path, data, mode))
