"""Files on their way: `send` from here to the server, `take` from one place on it to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pushkit import Entry, Kind
from pushkit.files import RemoteError, RemoteExists, RemoteMissing, Transfer, pieces
from pushkit_sftp import requests
from pushkit_sftp.client import Client
from pushkit_sftp.job import Job, patient
from pushkit_sftp.requests import explained
from pushkit_sftp.trees import encoded, kind_of


def send(client: Client, directory: bytes, transfer: Transfer) -> None:
    """Make the entries of ``transfer`` below ``directory``."""

    def one(entry: Entry) -> Job[None]:
        path = directory + b"/" + encoded(entry.path)

        def make() -> Job[None]:
            match entry.kind:
                case Kind.DIRECTORY:
                    with suppress(RemoteExists):
                        yield from requests.make_directory(path, entry.mode)
                case Kind.SYMLINK:
                    yield from requests.make_symlink(encoded(entry.link), path)
                case Kind.FILE:
                    time = transfer.time(entry) if transfer.keeps_times else None
                    yield from requests.write(path, content(transfer, entry), entry.mode, client, time)

        with transfer.step(entry):
            yield from explained(patient(make, entry.path.count("/")), path, client)

    client.flow(map(one, transfer.entries))


def content(transfer: Transfer, entry: Entry) -> Iterator[bytes]:
    """The content of a file, which is opened when the first of it is asked for."""
    with transfer.open(entry) as stream:
        yield from pieces(stream)


def take(client: Client, old: bytes, new: bytes, entry: Entry, *, link: bool) -> Job[None]:
    """Copy a file or symlink from ``old`` to ``new`` on the server; with ``link`` a file becomes a hard link."""
    if entry.kind is Kind.SYMLINK:
        yield from requests.make_symlink(encoded(entry.link), new)
    elif link:
        yield from explained(requests.link(old, new), new, client)
    else:
        found = yield from requests.look(old)
        where = old.decode("utf-8", "replace")
        if found is None:
            raise RemoteMissing(f"{where}: there is no such file or directory")
        if kind_of(found.mode) is not Kind.FILE:
            raise RemoteError(f"{where}: this is no file")
        yield from explained(requests.copy(old, new, found), new, client)
