"""`procedure_of`: an operation as the primitives that it takes, for whoever does them one by one, or many at once.

A procedure is a generator. It yields primitives that are to be done in their order, and may be under way together, and
is sent what came of each: its result, or the `RemoteError` that it raised. When it yields none, what it did up to then
changed nothing that counts, and it waits until all operations before it have gone well; whoever drives it throws a
`RemoteError` into it when they have not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from pushkit.files.errors import RemoteDenied, RemoteError, RemoteExists, RemoteFull, RemoteMissing, not_switchable
from pushkit.files.operation import (
    Absent,
    Append,
    Fence,
    Log,
    MakeDirectory,
    Operation,
    Point,
    Pointing,
    Present,
    Remove,
    RemoveDirectory,
    Rename,
    SetMode,
    Switchable,
    Write,
)
from pushkit.files.stat import number_in
from pushkit.files.ticket import encoded
from pushkit.model import Kind

#: The most that a file is added to by reading and writing it, in bytes.
LOG = 64 * 1024 * 1024


class Primitive(NamedTuple):
    """A primitive of a `Remote`: the name of the method, and what it is called with."""

    name: str
    arguments: tuple[Any, ...]


#: What is sent are the results of what was yielded last.
Procedure = Generator[Sequence[Primitive], Sequence[Any], None]
#: Yielded to wait for all that came before.
WAIT: Sequence[Primitive] = ()


def call(name: str, *arguments: object) -> Primitive:
    """A primitive."""
    return Primitive(name, arguments)


def procedure_of(operation: Operation, root: str) -> Procedure | None:  # noqa: PLR0911, PLR0912  (one case each)
    """What carries out ``operation`` on a remote with this ``root``; None where it takes more than primitives."""
    match operation:
        case Absent(path) | Pointing(path, ""):
            return absent(path, root)
        case Present(path):
            return present(path, root)
        case Pointing(path, link):
            return pointing(path, link, root)
        case Fence(path, number):
            return fence(path, number, root)
        case MakeDirectory(path, mode, may_exist):
            return plain(call("make_directory", path, mode), *([RemoteExists] if may_exist else []))
        case Write(path, data, mode):
            return write(path, data, mode)
        case Append(path, data):
            return append(path, data)
        case Log(path, tell):
            return log(path, tell)
        case Point(path, link):
            return point(path, link)
        case Switchable(path):
            return switchable(path, root)
        case Rename(old, new, aside):
            return rename(old, new, aside)
        case Remove(path):
            return plain(call("remove", path), RemoteMissing)
        case RemoveDirectory(path):
            return plain(call("remove_directory", path), RemoteError)
        case SetMode(path, mode):
            return plain(call("set_mode", path, mode))
        case _:
            return None


def good(answer: Any) -> Any:
    """A result; raises it where it is an error."""
    if isinstance(answer, RemoteError):
        raise answer
    return answer


def plain(primitive: Primitive, *accepted: type[RemoteError]) -> Procedure:
    """One primitive, which may fail as ``accepted``."""
    (answer,) = yield (primitive,)
    if not isinstance(answer, accepted):
        good(answer)


def log(path: str, tell: Callable[[], Mapping[str, object]]) -> Procedure:
    """See `Log`."""
    yield from append(path, encoded(tell()))


def append(path: str, data: bytes) -> Procedure:
    """See `Append`. Some servers (ProFTPD) let nobody add to a file, and it is written anew."""
    (done,) = yield (call("append", path, data),)
    if not isinstance(done, RemoteDenied):
        good(done)
        return
    (before,) = yield (call("read", path, LOG),)
    if not isinstance(before, RemoteMissing):
        data = good(before) + data
    yield from write(path, data, 0o600)


def absent(path: str, root: str) -> Procedure:
    """See `Absent`."""
    (found,) = yield (call("stat", path),)
    if good(found) is not None:
        raise RemoteExists(f"{root}/{path}: there is something already")


def present(path: str, root: str) -> Procedure:
    """See `Present`."""
    (found,) = yield (call("stat", path),)
    if good(found) is None:
        raise RemoteMissing(f"{root}/{path}: there is no such file or directory")


def pointing(path: str, link: str, root: str) -> Procedure:
    """See `Pointing`."""
    found, text = yield (call("stat", path), call("read_link", path))
    good(found)
    if found is None or found.kind is not Kind.SYMLINK or good(text) != link:
        raise RemoteExists(f"{root}/{path}: it does not lead where it did")


def fence(path: str, number: int, root: str) -> Procedure:
    """See `Fence`."""
    new = f"{path}.new"
    found, made = yield (call("read", path, 64), call("write", new, [b"%06d\n" % number], 0o600))
    try:
        good(made)
        if not isinstance(found, RemoteMissing) and number_in(good(found)) > number:
            raise RemoteExists(f"{root}/{path}: a later push was here")
        yield WAIT
    except RemoteError:
        yield (call("remove", new),)
        raise
    yield from rename(new, path, f"{path}.old")


def write(path: str, data: bytes, mode: int) -> Procedure:
    """See `Write`: beside and renamed, so that no reader sees half of it."""
    (made,) = yield (call("write", f"{path}.new", [data], mode),)
    try:
        good(made)
        yield WAIT
    except RemoteError:
        yield (call("remove", f"{path}.new"),)
        raise
    yield from rename(f"{path}.new", path, f"{path}.old")


def point(path: str, link: str) -> Procedure:
    """See `Point`."""
    new = f"{path}.new"
    removed, made = yield (call("remove", new), call("make_symlink", link, new))
    if not isinstance(removed, RemoteMissing):
        good(removed)
    good(made)
    try:
        yield WAIT
    except RemoteError:
        yield (call("remove", new),)
        raise
    (renamed,) = yield (call("rename", new, path),)
    good(renamed)


def switchable(path: str, root: str) -> Procedure:
    """See `Switchable`."""
    other = f"{path}.new"
    gone = (call("remove", path), call("remove", other))
    *_, one, two = yield (*gone, call("make_symlink", "old", path), call("make_symlink", "new", other))
    # Why a server refuses, its words do not tell; what it did does.
    (three,) = yield (call("rename", other, path),)
    stat, text, *_ = yield (call("stat", path), call("read_link", path), *gone)
    for answer in (one, two, three):
        if isinstance(answer, RemoteFull):
            raise answer
    if good(stat) is None or stat.kind is not Kind.SYMLINK or good(text) != "new":
        raise not_switchable(root)


def rename(old: str, new: str, aside: str) -> Procedure:
    """See `Rename`."""
    (renamed,) = yield (call("rename", old, new),)
    if not isinstance(renamed, RemoteExists) or not aside:
        good(renamed)
        return
    # This remote cannot rename over what is there.
    (removed,) = yield (call("remove", aside),)
    if not isinstance(removed, RemoteMissing):
        good(removed)
    for step in (call("rename", new, aside), call("rename", old, new), call("remove", aside)):
        (done,) = yield (step,)
        good(done)
