"""What an SFTP server is asked of many paths at once: a few round trips for each level of directories."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain, groupby

from pushkit import Kind
from pushkit.files import Found, RemoteError, RemoteMissing, Stat, safe_name
from pushkit_sftp import requests
from pushkit_sftp.client import Client
from pushkit_sftp.job import Job, ask_all, at_once
from pushkit_sftp.packets import REMOVE, STATUS, Attributes, Request, text
from pushkit_sftp.requests import explained

KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
OWNER = 0o700
# Files that are removed by one job at a time.
AT_ONCE = 1000

#: From a path as in `Remote` to the absolute path on the server.
Full = Callable[[str], bytes]


def listing(path: bytes) -> Job[Sequence[Stat]]:
    """What a directory holds."""
    found = yield from requests.names(path)
    # A server may leave attributes out of a listing.
    for number, each in enumerate(found):
        if not each.attributes.mode:
            name = safe_name(decoded(each.name))
            attributes = yield from requests.look(path + b"/" + encoded(name))
            if attributes is not None:
                found[number] = each._replace(attributes=attributes)
    return [described(decoded(each.name), each.attributes) for each in found]


def collect(
    client: Client,
    full: Full,
    trees: Sequence[str],
    *,
    listed: Sequence[str],
    looked: Sequence[str],
    pointed: tuple[str, str] | None,
    limit: int,
) -> dict[str, Found]:
    """See `Remote.collect`."""
    found: dict[str, Found] = {}

    def look(path: str) -> Job[Stat | None]:
        attributes = yield from requests.look(full(path))
        if attributes is None:
            return None
        known = described(path.rpartition("/")[2], attributes)
        found[path] = Found(known)
        return known

    def directories(path: str) -> Job[list[tuple[str, Stat]]]:
        known = yield from look(path)
        if known and known.kind is Kind.DIRECTORY:
            below = yield from listing(full(path))
            found.update({f"{path}/{safe_name(c.name)}": Found(c) for c in below if c.kind is Kind.DIRECTORY})
        return []

    def fetch(path: str, known: Stat | None) -> Job[list[tuple[str, Stat]]]:
        children: Sequence[Stat] = ()
        with suppress(RemoteMissing):
            known = known or (yield from look(path))
            content, link = b"", ""
            match known and known.kind:
                case Kind.DIRECTORY:
                    children = yield from listing(full(path))
                case Kind.FILE:
                    content = yield from requests.read(full(path), limit, client.reads)
                case Kind.SYMLINK:
                    link = decoded((yield from requests.read_link(full(path))))
            if known:
                found[path] = Found(known, content, link)
        return [(f"{path}/{safe_name(child.name)}", child) for child in children]

    def follow(path: str, directory: str) -> Job[list[tuple[str, Stat]]]:
        yield from fetch(path, None)
        name = found[path].link.rpartition("/")[2] if path in found else ""
        with suppress(RemoteError):
            yield from fetch(f"{directory}/{safe_name(name)}", None)
        return []

    def only(path: str) -> Job[list[tuple[str, Stat]]]:
        yield from look(path)
        return []

    jobs = [*map(only, looked), *map(directories, listed), *(fetch(path, None) for path in trees)]
    if pointed:
        jobs.append(follow(*pointed))
    while jobs:
        jobs = [fetch(path, known) for path, known in chain.from_iterable(client.gather(jobs))]
    return found


def kinds(client: Client, full: Full, paths: Sequence[str]) -> dict[str, Kind | None]:
    """See `Remote.kinds`. Lists each parent once, in place of a question for each path; those of one depth together."""
    wanted: dict[str, set[str]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        wanted.setdefault(parent, set()).add(name)
    found: dict[str, Kind | None] = {}
    asked = set(paths)

    def list_one(parent: str) -> Job[None]:
        with suppress(RemoteMissing):
            for child in (yield from listing(full(parent))):
                if child.name in wanted[parent]:
                    found[f"{parent}/{child.name}" if parent else child.name] = child.kind

    for _depth, parents in groupby(sorted(wanted, key=depth), key=depth):
        client.flow(list_one(p) for p in parents if p not in asked or found.get(p) is Kind.DIRECTORY)
    return found


def depth(path: str) -> int:
    """How many directories lead to what is in the directory ``path``."""
    return path.count("/") + 1 if path else 0


def sizes(client: Client, full: Full, directory: str, paths: Iterable[str]) -> dict[str, int]:
    """The sizes of those of ``paths`` below ``directory`` that are files, by path."""
    found: dict[str, int] = {}

    def list_one(parent: str) -> Job[None]:
        place = f"{parent}/" if parent else ""
        with suppress(RemoteMissing):
            below = yield from listing(full(f"{directory}/{parent}" if parent else directory))
            found.update({place + child.name: child.size for child in below if child.kind is Kind.FILE})

    client.flow(map(list_one, sorted({path.rpartition("/")[0] for path in paths})))
    return found


def remove_tree(client: Client, path: bytes) -> None:
    """See `Remote.remove_tree`."""
    # Mostly it is empty.
    gone, found = client.run(at_once([requests.remove_directory(path), requests.look(path)]))
    if gone is None or found is None:
        return
    if isinstance(found, RemoteError):
        raise found
    top: Attributes = found
    if kind_of(top.mode) is not Kind.DIRECTORY:
        client.run(explained(requests.remove(path), path, client))
        return

    def clear(directory: bytes, mode: int) -> Job[list[tuple[bytes, int]]]:
        if mode & OWNER != OWNER:
            yield from requests.set_mode(directory, OWNER)
        below = [(directory + b"/" + encoded(safe_name(c.name)), c) for c in (yield from listing(directory))]
        files = [place for place, child in below if child.kind is not Kind.DIRECTORY]
        for start in range(0, len(files), AT_ONCE):
            yield from ask_all([Request(REMOVE, text(f), STATUS, f) for f in files[start : start + AT_ONCE]])
        return [(place, child.mode) for place, child in below if child.kind is Kind.DIRECTORY]

    levels = [[(path, top.mode)]]
    while levels[-1]:
        levels.append(
            list(chain.from_iterable(client.gather([explained(clear(*each), each[0], client) for each in levels[-1]])))
        )
    for level in reversed(levels):
        client.flow(explained(requests.remove_directory(path), path, client) for path, _mode in level)


def described(name: str, found: Attributes) -> Stat:
    """What the server says of a path, in a remote's words."""
    return Stat(name, kind_of(found.mode), found.mode & 0o777, found.size, found.mtime)


def kind_of(mode: int) -> Kind | None:
    """The kind that ``st_mode`` says; None for devices and the like."""
    return KINDS.get(stat.S_IFMT(mode))


def encoded(path: str) -> bytes:
    """A path as the bytes that it is on the server."""
    return path.encode("utf-8", "surrogateescape")


def decoded(path: bytes) -> str:
    """A path of the server's, bytes that are not UTF-8 as surrogate escapes."""
    return path.decode("utf-8", "surrogateescape")
