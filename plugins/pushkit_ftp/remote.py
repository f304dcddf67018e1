"""`FtpRemote`: many operations at once, over FTP: their commands are on their way before the first is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import accumulate, groupby
from typing import TypeVar

from pushkit import Entry, Kind, Step, TargetError
from pushkit.files import (
    Absent,
    Found,
    Guard,
    Independent,
    MakeDirectory,
    Operation,
    Put,
    RemoteDenied,
    RemoteError,
    RemoteExists,
    RemoteLost,
    RemoteMissing,
    Remove,
    RemoveDirectory,
    Rename,
    SetMode,
    Stat,
    Transfer,
    Write,
    pieces,
    safe_name,
)
from pushkit_ftp.connection import Connection
from pushkit_ftp.control import AHEAD
from pushkit_ftp.look import Look
from pushkit_ftp.place import size_in
from pushkit_ftp.primitives import Primitives, leading
from pushkit_ftp.replies import Reply
from pushkit_ftp.rotation import Rotation, silent
from pushkit_ftp.steps import Steps, through

T = TypeVar("T")
#: So many files of at most so many bytes are sent over one connection before it is given back.
SHARE, SMALL = 32, 128 * 1024


class FtpRemote(Primitives):
    """A directory on a server, and what is done to many paths of it at once."""

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

        self._each(files, read)
        if not self.server.has_facts:
            commands = [self._place.command("MDTM", path) for path in files]
            look.date(dict(zip(files, self._do(lambda connection: connection.ask(*commands)), strict=True)))
        gone = set(files) - contents.keys()
        return {path: Found(stat, contents.get(path, b"")) for path, stat in look.found.items() if path not in gone}

    def _lists(self, directories: Sequence[str]) -> dict[str, Sequence[Stat]]:
        """What directories hold, of those that are there: push's own in one go where the server answers so."""
        found: dict[str, Sequence[Stat]] = {}
        own = [path for path in directories if path.partition("/")[0] in self._own] if self.server.states else []
        left = [path for path in directories if path not in own]
        for batch in batches(own):
            answers = self._answers([self._place.listing(path) for path in batch], again=True)
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

        self._each(left, one)
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
            self._each(there, look)
        return found

    def verify(self, directory: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Compare sizes: the questions about many files are on their way at once.

        What the server said of a file when it had just arrived, it is not asked again. One that gives digests is asked
        for those.
        """
        below = {f"{directory}/{e.path}".lstrip("/"): e for e in entries if e.kind is Kind.FILE}
        arrived = {path for path, entry in below.items() if self._arrived.pop(path, None) == entry.size}
        wrong: list[Entry] = []

        def compare(batch: Sequence[str]) -> None:
            found = self._do(lambda connection: self._place.digests(connection, batch))
            for path, digest in zip(batch, found, strict=True):
                if digest:
                    arrived.add(path)
                    if digest != below[path].sha256.hex():
                        wrong.append(below[path])

        if self._tells:
            arrived.clear()
            self._each(batches(list(below)), compare)

        def ask(batch: Sequence[str]) -> None:
            commands = [self._place.command("SIZE", path) for path in batch]
            replies = self._do(lambda connection: connection.ask(*commands))
            wrong.extend(below[p] for p, reply in zip(batch, replies, strict=True) if size_in(reply) != below[p].size)

        self._each(batches([path for path in below if path not in arrived]), ask)
        return wrong

    def perform(
        self,
        operations: Sequence[Operation],
        reported: Callable[[Step], AbstractContextManager[None]],
        stage: str,
    ) -> Sequence[Entry]:
        """As any remote; connections for what is to be sent are opened meanwhile."""
        for operation in operations:
            if isinstance(operation, Put):
                self._pool.expect(self._workers(operation.transfer))
        return super().perform(operations, reported, stage)

    def guard(self, operations: Sequence[Guard], reported: Callable[[Step], AbstractContextManager[None]]) -> None:
        """Look whether all is as it must be: the questions about all paths are on their way at once."""
        asked = [self._place.asking(operation.path) for operation in operations]
        for operation, answers in zip(operations, self._answers(asked, again=True), strict=True):
            with told(operation, reported):
                full = self._place.full(operation.path)
                there = self._place.is_there(answers)
                if isinstance(operation, Absent) and there:
                    raise RemoteExists(f"{full}: there is something already")
                if not isinstance(operation, Absent) and not there:
                    raise RemoteMissing(f"{full}: there is no such file or directory")

    def make_directories(
        self, operations: Sequence[MakeDirectory], reported: Callable[[Step], AbstractContextManager[None]]
    ) -> None:
        """Make directories: the commands of many are on their way before the first is answered."""
        for batch in batches(operations):
            heard: list[Reply] = []
            with about(batch[0]):
                commands = [self._making(operation) for operation in batch]
                try:
                    answers = self._answers(commands, again=False, heard=heard)
                except RemoteLost as error:
                    ends = accumulate(map(len, commands), initial=0)
                    error.done = [
                        each for each, at in zip(batch, ends, strict=False) if at < len(heard) and heard[at].good
                    ]
                    raise
            for operation, answer in zip(batch, answers, strict=True):
                with told(operation, reported):
                    self._settle_made(operation, answer)

    def _making(self, operation: MakeDirectory) -> Sequence[str]:
        """The commands. What only its owner may enter is push's own: if it is there already, its mode is this one."""
        made = self._place.command("MKD", operation.path)
        private = operation.mode & 0o077 == 0 and self.server.chmod
        return (made, self._place.chmod(operation.path, operation.mode)) if private else (made,)

    def _settle_made(self, operation: MakeDirectory, answers: Sequence[Reply]) -> None:
        made, *moded = answers
        if not made.good:
            error = self._do(lambda c: self._place.explained(c, made, operation.path, making=True, anew=True))
            if not (operation.may_exist and isinstance(error, RemoteExists)):
                raise error
            return
        self._made.add(operation.path)
        if moded:
            self.server.heed_mode(moded[0])
        else:
            self.set_mode(operation.path, operation.mode)

    def write_all(self, operations: Sequence[Write], reported: Callable[[Step], AbstractContextManager[None]]) -> None:
        """Write files beside their places, one after the other; then they are renamed in one go.

        Those of which half may be there are written where they belong.
        """
        failure: RemoteError | None = None
        written: list[Write] = []
        for operation in operations:
            path = f"{operation.path}.new" if operation.whole else operation.path
            try:
                self.write(path, [operation.data], operation.mode)
            except RemoteError as error:
                failure = error
                if not isinstance(error, RemoteLost):  # it would be tried over a line that is cut
                    with suppress(RemoteError):
                        self.remove(path)
                break
            written.append(operation)
        for operation in written:
            if not operation.whole:
                with told(operation, reported):
                    pass
        for batch in batches([operation for operation in written if operation.whole]):
            moves = [Rename(f"{each.path}.new", each.path, f"{each.path}.old") for each in batch]
            with about(batch[0]):
                answers = self._answers([self._commands(move) for move in moves], again=False)
            for operation, move, answer in zip(batch, moves, answers, strict=True):
                with told(operation, reported):
                    self._settle(move, answer)
        if failure:
            with told(operations[len(written)], reported):
                raise failure

    def together(
        self, operations: Sequence[Independent], reported: Callable[[Step], AbstractContextManager[None]]
    ) -> None:
        """Do several operations at once: the commands of many are on their way before the first is answered."""
        for kind, run in groupby(operations, key=type):
            alike = list(run)
            if kind is RemoveDirectory:
                for operation in alike:
                    with told(operation, reported), suppress(RemoteError):
                        self.remove_directory(operation.paths[0])
            else:
                self._each(batches(alike), lambda batch: self._perform_batch(batch, reported))

    def put(self, directory: str, transfer: Transfer) -> None:
        """Make directories in one go, then send files, several at a time."""
        below = {f"{directory}/{entry.path}": entry for entry in transfer.entries}
        wanted = [(path, entry.mode) for path, entry in below.items() if entry.kind is Kind.DIRECTORY]
        waiting = dict(wanted)

        def made(path: str) -> None:
            self._made.add(path)
            if waiting.pop(path, None) is not None:
                with transfer.step(below[path]):
                    pass

        self._do(lambda connection: self._place.make(connection, wanted, made, may_exist=True))
        for path, entry in below.items():
            if entry.kind is Kind.SYMLINK:
                with transfer.step(entry):
                    self.make_symlink(entry.link, path)
        self._take_up(directory, transfer)
        files = [entry for entry in transfer.entries if entry.kind is Kind.FILE]
        large = [entry for entry in files if entry.size > SMALL]
        small = [entry for entry in files if entry.size <= SMALL]
        workers = self._workers(transfer)
        sending = [partial(self._send_small, directory, transfer, small, workers)] if small else []
        sending += [partial(self._send_large, directory, transfer, entry) for entry in large]
        try:
            transfer.at_once(sending, lambda send: send(), workers=min(workers, len(sending)) or 1)
        except ExceptionGroup as group:
            raise leading(group) from None

    def _send_small(self, directory: str, transfer: Transfer, files: Sequence[Entry], most: int) -> None:
        """Send small files, over as many connections as nobody else waits for, at most ``most``."""
        self._pool.expect(most)
        rotation = Rotation()
        left = deque(Share(part, transfer) for part in shares(files, most))

        def begin() -> Steps[None] | None:
            if not left or len(rotation) >= most:
                return None
            if (connection := self._pool.spare()) is None:
                if rotation:
                    return None
                try:
                    connection = self._pool.take()
                except RemoteError:
                    raise
                except TargetError as error:
                    raise (left[0].lost or error) from error
            return send(connection, left.popleft())

        def send(connection: Connection, share: Share) -> Steps[None]:
            try:
                with self._pool.lent(connection):
                    while share.left and not rotation.failures:
                        yield from self._storing(connection, directory, transfer, share.begin())
                        share.left.popleft()
            except RemoteLost as error:
                if share.lost or silent(error) or self._cancelled.is_set():
                    share.over(error)
                    raise
                share.lost = error
                left.appendleft(share)
                self._pool.expect(most)
            except BaseException as error:
                share.over(error)
                raise
            else:
                share.over()

        try:
            rotation.run(begin)
        except ExceptionGroup as group:
            raise leading(group) from None
        finally:
            for share in left:
                share.over()

    def _storing(self, connection: Connection, directory: str, transfer: Transfer, entry: Entry) -> Steps[None]:
        """Send one small file. There are servers that let nobody write over what is there: see `_over`."""
        path = f"{directory}/{entry.path}"
        mtime = transfer.time(entry) if transfer.keeps_times else None

        def store() -> Steps[bool]:
            return self._place.storing(
                connection, path, lambda _: transfer.passing(entry), entry.size, mode=entry.mode, mtime=mtime
            )

        try:
            yield from store()
        except RemoteDenied:
            there = self._place.look(connection, path)
            if there is None or there.kind is not Kind.FILE:
                raise
            (reply,) = connection.ask(self._place.command("DELE", path))
            if not reply.good:
                raise self._place.explained(connection, reply, path) from None
            yield from store()
        self._arrived[path] = entry.size

    def _send_large(self, directory: str, transfer: Transfer, entry: Entry) -> None:
        """Send one file, of which a beginning may be there."""
        with transfer.step(entry):
            self._send_alone(f"{directory}/{entry.path}", transfer, entry)

    def _send_alone(self, path: str, transfer: Transfer, entry: Entry) -> None:
        mtime = transfer.time(entry) if transfer.keeps_times else None
        resumes, resumed = True, False

        def store(connection: Connection) -> None:
            def content(start: int) -> Iterable[bytes]:
                return transfer.rest(entry, start) if start else transfer.content(entry)

            nonlocal resumed
            storing = self._place.storing
            resumed = through(
                storing(connection, path, content, entry.size, mode=entry.mode, mtime=mtime, resume=resumes)
            )

        self._over(path, store)
        if resumed and not self._right(path, transfer, entry):
            resumes = False
            self._over(path, store)
        self._arrived[path] = entry.size

    def _right(self, path: str, transfer: Transfer, entry: Entry) -> bool:
        """Whether a file that was gone on with is the right one, as far as the server gives a digest of it."""
        digest = self.server.digest
        if digest is None:
            return True
        (found,) = self._do(lambda connection: self._place.digests(connection, [path]))
        with transfer.look(entry) as stream:
            return found in {"", digest.of(pieces(stream))}

    def _take_up(self, directory: str, transfer: Transfer) -> None:
        """Move to their places the beginnings of files that are there. One that went away is sent whole."""
        for batch in batches([(old, f"{directory}/{path}") for path, old in transfer.begun.items()]):
            self._answers([self._commands(Rename(*each)) for each in batch], again=False)

    def remove_tree(self, path: str) -> None:
        """Remove what is there, and all in it."""
        if path in self._made:
            if self._removed([each for each in self._made if within(each, path)]):
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
        replies = self._do(lambda connection: connection.ask(*commands))
        for (_, each), reply in zip(verbs, replies, strict=True):
            with suppress(RemoteMissing):  # somebody else was at it as well
                self._check(reply, each)

    def _removed(self, made: Sequence[str]) -> bool:
        """Whether directories that this push has made are gone, since nothing was left in any."""
        deepest = sorted(made, key=depth, reverse=True)
        replies = self._do(lambda connection: connection.ask(*(self._place.command("RMD", each) for each in deepest)))
        self._made.difference_update(made)
        return all(reply.good for reply in replies)

    def rename(self, old: str, new: str) -> None:
        """As any remote; what was made lies elsewhere now."""
        self._forget(old)
        super().rename(old, new)

    def _forget(self, old: str) -> None:
        """What was made at ``old`` and below lies elsewhere now."""
        if old in self._made:
            self._made.difference_update([each for each in self._made if within(each, old)])

    def _perform_batch(
        self, batch: Sequence[Independent], reported: Callable[[Step], AbstractContextManager[None]]
    ) -> None:
        """Do operations of one class, and report each."""
        commands = [self._commands(operation) for operation in batch]
        with about(batch[0]):
            answers = self._answers(commands, again=not isinstance(batch[0], Rename))
        for operation, answer in zip(batch, answers, strict=True):
            with told(operation, reported):
                self._settle(operation, answer)

    def _answers(
        self, commands: Sequence[Sequence[str]], *, again: bool, heard: list[Reply] | None = None
    ) -> Sequence[Sequence[Reply]]:
        """The answers to the commands of several operations, which are sent in one go. See `Control.ask`."""
        flat = [command for each in commands for command in each]
        replies = iter(self._do(lambda connection: connection.ask(*flat, heard=heard), again=again))
        return [[next(replies) for _ in each] for each in commands]

    def _commands(self, operation: Independent) -> Sequence[str]:
        match operation:
            case Rename(old, new):
                self._forget(old)
                return self._place.command("RNFR", old), self._place.command("RNTO", new)
            case Remove(path):
                return (self._place.command("DELE", path),)
            case SetMode(path, mode):
                return (self._place.chmod(path, mode),) if self.server.chmod else ()
        raise TypeError(f"{operation} is no operation")

    def _settle(self, operation: Independent, answers: Sequence[Reply]) -> None:
        """Raise what the answers tell. What is in the way of a rename is put aside."""
        match operation:
            case SetMode() if answers:
                self.server.heed_mode(answers[0])
            case Remove(path):
                with suppress(RemoteMissing):
                    self._check(answers[0], path)
            case Rename(old, new, aside) if not (answers[0].good and answers[1].good):
                refusal = answers[1] if answers[0].good else answers[0]
                error = self._do(lambda connection: self._place.unrenamed(connection, old, new, refusal))
                if not (aside and isinstance(error, RemoteExists)):
                    raise error
                with suppress(RemoteMissing):
                    self.remove(aside)
                self.rename(new, aside)
                self.rename(old, new)
                self.remove(aside)


class Share:
    """Small files that are sent one after the other; those ``left`` are still to be sent.

    ``lost`` is how a connection ended over which they were sent.
    """

    def __init__(self, files: Sequence[Entry], transfer: Transfer) -> None:
        self.left = deque(files)
        self.lost: RemoteLost | None = None
        self._passage = transfer.passage()
        self._passing: Entry | None = None

    def begin(self) -> Entry:
        """The next file, which is under way from now on."""
        entry = self.left[0]
        if entry is not self._passing:  # it may be sent over another connection once more
            self._passage.go_by(entry)
            self._passing = entry
        return entry

    def over(self, error: BaseException | None = None) -> None:
        """No more of them are sent; ``error`` is why the last one was not."""
        self._passage.__exit__(type(error) if error else None, error, None)


@contextmanager
def told(operation: Operation, reported: Callable[[Step], AbstractContextManager[None]]) -> Iterator[None]:
    """Report the step of an operation, and say which it was with an error."""
    with reported(operation.step) if operation.step else nullcontext(), about(operation):
        yield


@contextmanager
def about(operation: Operation) -> Iterator[None]:
    """Say with an error which operation it was, the first of those that are asked for together."""
    try:
        yield
    except RemoteError as error:
        error.operation = operation
        raise


def depth(path: str) -> int:
    """How many directories lead to ``path``, the root's own being one more than none."""
    return path.count("/") + bool(path)


def within(path: str, directory: str) -> bool:
    """Whether a path is a directory, or lies below it."""
    return path == directory or path.startswith(f"{directory}/")


def shares(files: Sequence[Entry], workers: int) -> Iterator[Sequence[Entry]]:
    """Small ``files`` in parts that are sent one after the other.

    The parts become smaller, so that the workers are through at the same time; and no part is so large that who waits
    for a connection does not get one soon.
    """
    at = 0
    while at < len(files):
        count = max(1, min(SHARE, (len(files) - at) // (workers * 2)))
        yield files[at : at + count]
        at += count


def batches(items: Sequence[T]) -> list[Sequence[T]]:
    """``items`` in parts whose commands are sent at once."""
    return [items[start : start + AHEAD] for start in range(0, len(items), AHEAD)]
