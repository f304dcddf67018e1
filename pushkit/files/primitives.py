"""What a remote is asked for at once, done by its primitives one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import groupby
from typing import TYPE_CHECKING

from pushkit.files.errors import RemoteError, RemoteExists, RemoteFull, RemoteMissing, not_switchable
from pushkit.files.operation import (
    Absent,
    Append,
    Copy,
    Fence,
    Guard,
    Independent,
    Log,
    MakeDirectory,
    Operation,
    Point,
    Pointing,
    Present,
    Put,
    Remove,
    RemoveDirectory,
    RemoveTree,
    Rename,
    SetMode,
    Still,
    Switchable,
    Verify,
    Write,
)
from pushkit.files.stat import Found, above, number_in, safe_name
from pushkit.files.ticket import encoded
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
    remote: Remote, operations: Sequence[Operation], reported: Callable[[Step], AbstractContextManager[None]]
) -> Sequence[Entry]:
    """See `Remote.perform`."""
    for kind, run in groupby(operations, key=kind_of):
        if issubclass(kind, Independent):
            for wave in waves([each for each in run if isinstance(each, Independent)]):
                remote.together(wave, reported)
            continue
        if kind is Guard:
            remote.guard([each for each in run if isinstance(each, Guard)], reported)
            continue
        if kind is MakeDirectory:
            remote.make_directories([each for each in run if isinstance(each, MakeDirectory)], reported)
            continue
        if kind is Write:
            remote.write_all([each for each in run if isinstance(each, Write)], reported)
            continue
        for operation in run:
            if wrong := perform_reported(remote, operation, reported):
                return wrong
    return ()


def kind_of(operation: Operation) -> type[Operation]:
    """Its class, by which those that follow each other may be done together."""
    return Guard if isinstance(operation, Guard) else type(operation)


def waves(operations: Sequence[Independent]) -> list[list[Independent]]:
    """``operations`` in as few parts as can be, so that in no part two are about one path, or one below another.

    Of two that are, the one that comes first is in the earlier part.
    """
    found: list[list[Independent]] = []
    # The last part in which anything touches a path; and in which anything touches what is below it.
    touched: dict[str, int] = {}
    below: dict[str, int] = {}
    for operation in operations:
        part = 0
        for path in operation.paths:
            part = max(part, touched.get(path, 0), below.get(path, 0), *(touched.get(way, 0) for way in above(path)))
        for path in operation.paths:
            touched[path] = part + 1
            for way in above(path):
                below[way] = max(below.get(way, 0), part + 1)
        if part == len(found):
            found.append([])
        found[part].append(operation)
    return found


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


def perform_one(remote: Remote, operation: Operation) -> Sequence[Entry]:  # noqa: PLR0912, PLR0915  (one case each)
    match operation:
        case Absent(path) | Pointing(path, ""):
            if remote.stat(path) is not None:
                raise RemoteExists(f"{remote.root}/{path}: there is something already")
        case Present(path):
            if remote.stat(path) is None:
                raise RemoteMissing(f"{remote.root}/{path}: there is no such file or directory")
        case Pointing(path, link):
            stat = remote.stat(path)
            if stat is None or stat.kind is not Kind.SYMLINK or remote.read_link(path) != link:
                raise RemoteExists(f"{remote.root}/{path}: it does not lead where it did")
        case Fence(path, number):
            with suppress(RemoteMissing):
                if number_in(remote.read(path, 64)) > number:
                    raise RemoteExists(f"{remote.root}/{path}: a later push was here")
            write(remote, path, b"%06d\n" % number, 0o600)
        case Still(paths, known):
            there = remote.kinds(paths)
            if changed := next((path for path in paths if there.get(path, "") != known.get(path, "")), None):
                raise RemoteExists(f"{remote.root}/{changed}: it is not what it was when it was looked at")
        case MakeDirectory(path, mode, may_exist):
            try:
                remote.make_directory(path, mode)
            except RemoteExists:
                if not may_exist:
                    raise
        case Write(path, data, mode):
            write(remote, path, data, mode)
        case Append(path, data):
            remote.append(path, data)
        case Log(path, tell):
            remote.append(path, encoded(tell()))
        case Point(path, link):
            with suppress(RemoteMissing):
                remote.remove(f"{path}.new")
            remote.make_symlink(link, f"{path}.new")
            remote.rename(f"{path}.new", path)
        case Switchable(path):
            check_switchable(remote, path)
        case Rename(old, new, aside):
            rename(remote, old, new, aside)
        case Remove(path):
            with suppress(RemoteMissing):
                remote.remove(path)
        case RemoveDirectory(path):
            with suppress(RemoteError):
                remote.remove_directory(path)
        case RemoveTree(path):
            remote.remove_tree(path)
        case SetMode(path, mode):
            remote.set_mode(path, mode)
        case Put(directory, transfer):
            remote.put(directory, transfer)
        case Copy(source, directory, entries, link):
            remote.copy(source, directory, entries, link=link)
        case Verify(directory, entries):
            return remote.verify(directory, entries)
        case _:
            raise TypeError(f"{operation} is no operation")
    return ()


def check_switchable(remote: Remote, path: str) -> None:
    """Raise `RemoteError` unless a symlink can be renamed in place of another."""
    other = f"{path}.new"
    for each in (path, other):
        with suppress(RemoteMissing):
            remote.remove(each)
    try:
        remote.make_symlink("old", path)
        remote.make_symlink("new", other)
        remote.rename(other, path)
    except RemoteFull:
        raise
    except RemoteError:
        # Why the server refuses, its words do not tell; what it did does.
        pass
    stat = remote.stat(path)
    able = stat is not None and stat.kind is Kind.SYMLINK and remote.read_link(path) == "new"
    for each in (path, other):
        with suppress(RemoteMissing):
            remote.remove(each)
    if not able:
        raise not_switchable(remote.root)


def write(remote: Remote, path: str, data: bytes, mode: int) -> None:
    """Write a file beside and rename it, so that no reader sees half of it."""
    try:
        remote.write(f"{path}.new", [data], mode)
    except RemoteError:
        with suppress(RemoteError):
            remote.remove(f"{path}.new")
        raise
    rename(remote, f"{path}.new", path, f"{path}.old")


def rename(remote: Remote, old: str, new: str, aside: str) -> None:
    """Rename in place of what is at ``new``, which goes ``aside`` where the remote cannot replace."""
    try:
        remote.rename(old, new)
    except RemoteExists:
        # This remote cannot rename over what is there.
        if not aside:
            raise
        with suppress(RemoteMissing):
            remote.remove(aside)
        remote.rename(new, aside)
        remote.rename(old, new)
        remote.remove(aside)
