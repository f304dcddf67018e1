"""`Sending`: a tree on its way to a server, its directories in one go, its files over several connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial

from pushkit import Entry, Kind, TargetError
from pushkit.files import RemoteDenied, RemoteError, RemoteLost, Transfer, pieces
from pushkit_ftp.access import Access, leading
from pushkit_ftp.connection import Connection
from pushkit_ftp.control import batches
from pushkit_ftp.made import Made
from pushkit_ftp.rotation import Rotation, silent
from pushkit_ftp.share import Share, shares
from pushkit_ftp.steps import Steps, through

#: Files of at most so many bytes are small: all of them are sent from one thread.
SMALL = 128 * 1024


class Sending:
    """What is sent by ``access``. ``made`` learns which directories were made on the way.

    Of the files that were sent, ``arrived`` has the sizes that the server then gave for them.
    """

    def __init__(self, access: Access, made: Made) -> None:
        self.arrived: dict[str, int] = {}
        self._access = access
        self._place = access.place
        self._made = made

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

        self._access.do(lambda connection: self._place.make(connection, wanted, made, may_exist=True))
        for path, entry in below.items():
            if entry.kind is Kind.SYMLINK:
                with transfer.step(entry):
                    self._place.refuse_symlink(path)
        self._take_up(directory, transfer)
        files = [entry for entry in transfer.entries if entry.kind is Kind.FILE]
        large = [entry for entry in files if entry.size > SMALL]
        small = [entry for entry in files if entry.size <= SMALL]
        workers = self._access.workers(transfer)
        sending = [partial(self._small, directory, transfer, small, workers)] if small else []
        sending += [partial(self._large, directory, transfer, entry) for entry in large]
        try:
            transfer.at_once(sending, lambda send: send(), workers=min(workers, len(sending)) or 1)
        except ExceptionGroup as group:
            raise leading(group) from None

    def _small(self, directory: str, transfer: Transfer, files: Sequence[Entry], most: int) -> None:
        """Send small files, over as many connections as nobody else waits for, at most ``most``."""
        self._access.pool.expect(most)
        rotation = Rotation()
        left = deque(Share(part, transfer) for part in shares(files, most))

        def begin() -> Steps[None] | None:
            if not left or len(rotation) >= most:
                return None
            if (connection := self._access.pool.spare()) is None:
                if rotation:
                    return None
                try:
                    connection = self._access.pool.take()
                except RemoteError:
                    raise
                except TargetError as error:
                    raise (left[0].lost or error) from error
            return send(connection, left.popleft())

        def send(connection: Connection, share: Share) -> Steps[None]:
            try:
                with self._access.pool.lent(connection):
                    while share.left and not rotation.failures:
                        yield from self._storing(connection, directory, transfer, share.begin())
                        share.left.popleft()
            except RemoteLost as error:
                if share.lost or silent(error) or self._access.cancelled.is_set():
                    share.over(error)
                    raise
                share.lost = error
                left.appendleft(share)
                self._access.pool.expect(most)
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
        self.arrived[path] = entry.size

    def _large(self, directory: str, transfer: Transfer, entry: Entry) -> None:
        """Send one file, of which a beginning may be there."""
        with transfer.step(entry):
            self._alone(f"{directory}/{entry.path}", transfer, entry)

    def _alone(self, path: str, transfer: Transfer, entry: Entry) -> None:
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

        self._access.over(path, store)
        if resumed and not self._right(path, transfer, entry):
            resumes = False
            self._access.over(path, store)
        self.arrived[path] = entry.size

    def _right(self, path: str, transfer: Transfer, entry: Entry) -> bool:
        """Whether a file that was gone on with is the right one, as far as the server gives a digest of it."""
        digest = self._access.server.digest
        if digest is None:
            return True
        (found,) = self._access.do(lambda connection: self._place.digests(connection, [path]))
        with transfer.look(entry) as stream:
            return found in {"", digest.of(pieces(stream))}

    def _take_up(self, directory: str, transfer: Transfer) -> None:
        """Move to their places the beginnings of files that are there. One that went away is sent whole."""
        for batch in batches([(old, f"{directory}/{path}") for path, old in transfer.begun.items()]):
            self._access.answers([self._place.renaming(*each) for each in batch], again=False)
