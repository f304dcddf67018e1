"""`FtpRemote`: many operations at once, over FTP: their commands are on their way before the first is answered."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import groupby

from pushkit import Entry, Kind
from pushkit.files import (
    Found,
    Operation,
    Put,
    RemoteMissing,
    Stat,
    Transfer,
    safe_name,
)
from pushkit_ftp.changes import Changes, Reported
from pushkit_ftp.control import batches
from pushkit_ftp.look import Look
from pushkit_ftp.made import Made, depth
from pushkit_ftp.place import size_in
from pushkit_ftp.primitives import Primitives
from pushkit_ftp.sending import Sending
from pushkit_ftp.server import Server


class FtpRemote(Primitives):
    """A directory on a server, and what is done to many paths of it at once."""

    def __init__(self, server: Server, cancelled: threading.Event) -> None:
        super().__init__(server, cancelled)
        self._made = Made()
        self._sending = Sending(self._access, self._made)
        self._changes = Changes(self, self._access, self._made)
        #: The directories right below the root in which nobody but push keeps anything.
        self._own: set[str] = set()

    def collect(
        self,
        trees: Sequence[str],
        *,
        listed: Sequence[str] = (),
        looked: Sequence[str] = (),
        pointed: tuple[str, str] | None = None,
        known: tuple[str, Collection[str]] = ("", ()),
        limit: int,
    ) -> dict[str, Found]:
        """What lies at several paths: each directory is listed once, and files are read several at a time.

        There is nothing ``pointed`` without symlinks.
        """
        self._own |= {path.partition("/")[0] for path in trees} - {""}
        look = Look(self, self._lists)
        for path in (*looked, *listed, *trees):
            look.at(path)
        for path in listed:
            look.below(path, Kind.DIRECTORY)
        files = look.trees(trees)
        contents: dict[str, bytes] = {}

        def read(path: str) -> None:
            with suppress(RemoteMissing):  # it went away meanwhile
                contents[path] = self.read(path, limit)

        self._access.each(files, read)
        if not self.server.has_facts:
            commands = [self._place.command("MDTM", path) for path in files]
            look.date(dict(zip(files, self._access.do(lambda connection: connection.ask(*commands)), strict=True)))
        gone = set(files) - contents.keys()
        return {path: Found(stat, contents.get(path, b"")) for path, stat in look.found.items() if path not in gone}

    def _lists(self, directories: Sequence[str]) -> dict[str, Sequence[Stat]]:
        """What directories hold, of those that are there: push's own in one go where the server answers so."""
        found: dict[str, Sequence[Stat]] = {}
        own = [path for path in directories if path.partition("/")[0] in self._own] if self.server.states else []
        left = [path for path in directories if path not in own]
        for batch in batches(own):
            answers = self._access.answers([self._place.listing(path) for path in batch], again=True)
            for path, answer in zip(batch, answers, strict=True):
                with suppress(RemoteMissing):
                    listed = self._place.listed(answer, path)
                    if listed is None:
                        self.server.tells = False
                        left.append(path)
                    else:
                        found[path] = listed

        def one(path: str) -> None:
            with suppress(RemoteMissing):
                found[path] = self.list(path)

        self._access.each(left, one)
        return found

    def kinds(self, paths: Sequence[str]) -> dict[str, Kind | None]:
        """What lies at ``paths``: each directory above them is listed once, several at a time."""
        below: dict[str, set[str]] = {}
        for path in paths:
            parent, _, name = path.rpartition("/")
            below.setdefault(parent, set()).add(name)
        found: dict[str, Kind | None] = {}
        asked = set(paths)

        def look(parent: str) -> None:
            with suppress(RemoteMissing):
                for child in self.list(parent):
                    if child.name in below[parent]:
                        found[f"{parent}/{child.name}".lstrip("/")] = child.kind

        for _, level in groupby(sorted(below, key=depth), key=depth):
            there = [each for each in level if each not in asked or found.get(each) is Kind.DIRECTORY]
            self._access.each(there, look)
        return found

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare sizes: the questions about many files are on their way at once.

        What the server said of a file when it had just arrived, it is not asked again. One that gives digests is asked
        for those.
        """
        below = {f"{directory}/{e.path}".lstrip("/"): e for e in entries if e.kind is Kind.FILE}
        arrived = {path for path, entry in below.items() if self._sending.arrived.pop(path, None) == entry.size}
        wrong: list[Entry] = []

        def compare(batch: Sequence[str]) -> None:
            found = self._access.do(lambda connection: self._place.digests(connection, batch))
            for path, digest in zip(batch, found, strict=True):
                if digest:
                    arrived.add(path)
                    if digest != below[path].sha256.hex():
                        wrong.append(below[path])

        if self._tells:
            arrived.clear()
            self._access.each(batches(list(below)), compare)

        def ask(batch: Sequence[str]) -> None:
            commands = [self._place.command("SIZE", path) for path in batch]
            replies = self._access.do(lambda connection: connection.ask(*commands))
            wrong.extend(below[p] for p, reply in zip(batch, replies, strict=True) if size_in(reply) != below[p].size)

        self._access.each(batches([path for path in below if path not in arrived]), ask)
        return wrong

    def perform(
        self,
        operations: Sequence[Operation],
        reported: Reported,
        stage: str,
    ) -> Sequence[Entry]:
        """As any remote; connections for what is to be sent are opened meanwhile."""
        for operation in operations:
            if isinstance(operation, Put):
                self._access.pool.expect(self._access.workers(operation.transfer))
        return super().perform(operations, reported, stage)

    def together(self, operations: Sequence[Operation], reported: Reported) -> None:
        """Do several operations at once: the commands of many are on their way before the first is answered."""
        self._changes.together(operations, reported)

    def put(self, directory: str, transfer: Transfer) -> None:
        """Make directories in one go, then send files, several at a time."""
        self._sending.put(directory, transfer)

    def remove_tree(self, path: str) -> None:
        """Remove what is there, and all in it."""
        if path in self._made:
            if self._removed(self._made.forget(path)):
                return
        elif (stat := self.stat(path)) is None:
            return
        elif stat.kind is not Kind.DIRECTORY:
            self.remove(path)
            return
        directories, files = [path], []
        level = [path]
        while level:  # a tree may be deeper than Python's stack
            listed, level = self._lists(level), []
            if path not in listed and directories == [path]:
                return
            for directory, children in listed.items():
                for child in children:
                    below = f"{directory}/{safe_name(child.name)}"
                    if child.kind is Kind.DIRECTORY:
                        if child.mode & 0o700 != 0o700:
                            self.set_mode(below, 0o700)
                        level.append(below)
                    else:
                        files.append(below)
            directories += level
        verbs = [*(("DELE", each) for each in files), *(("RMD", each) for each in reversed(directories))]
        commands = [self._place.command(*each) for each in verbs]
        replies = self._access.do(lambda connection: connection.ask(*commands))
        for (_, each), reply in zip(verbs, replies, strict=True):
            with suppress(RemoteMissing):  # somebody else was at it as well
                self._access.check(reply, each)

    def _removed(self, made: Sequence[str]) -> bool:
        """Whether directories that this push has made, the deepest first, are gone, since nothing was left in any."""
        commands = [self._place.command("RMD", each) for each in made]
        return all(reply.good for reply in self._access.do(lambda connection: connection.ask(*commands)))

    def rename(self, old: str, new: str) -> None:
        """As any remote; what was made lies elsewhere now."""
        self._made.forget(old)
        super().rename(old, new)
