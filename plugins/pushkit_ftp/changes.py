"""`Changes`: operations on a server, the commands of many of them on their way before the first is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import accumulate, groupby
from typing import TypeVar

from pushkit import Step
from pushkit.files import (
    Absent,
    Guard,
    Independent,
    MakeDirectory,
    Operation,
    Remote,
    RemoteError,
    RemoteExists,
    RemoteLost,
    RemoteMissing,
    Remove,
    RemoveDirectory,
    Rename,
    SetMode,
    Write,
)
from pushkit_ftp.access import Access
from pushkit_ftp.control import batches
from pushkit_ftp.made import Made
from pushkit_ftp.replies import Reply

Some = TypeVar("Some", bound=Operation)
#: Reports the step of an operation.
Reported = Callable[[Step], AbstractContextManager[None]]


class Changes:
    """What is changed by ``access``; what is not done many at a time ``remote`` does. ``made`` is kept right."""

    def __init__(self, remote: Remote, access: Access, made: Made) -> None:
        self._remote = remote
        self._access = access
        self._server = access.server
        self._place = access.place
        self._made = made

    def together(self, operations: Sequence[Operation], reported: Reported) -> None:
        """Do operations that may be under way at once: as many as are alike and follow each other are."""
        for kind, run in groupby(operations, key=kind_of):
            alike = list(run)
            if kind is Guard:
                self._guard(only(Guard, alike), reported)
            elif kind is MakeDirectory:
                self._make_directories(only(MakeDirectory, alike), reported)
            elif kind is Write:
                self._write(only(Write, alike), reported)
            elif kind is RemoveDirectory:
                self._remove_directories(only(RemoveDirectory, alike), reported)
            elif issubclass(kind, Independent):
                self._access.each(batches(only(Independent, alike)), lambda batch: self._perform_batch(batch, reported))
            else:
                Remote.together(self._remote, alike, reported)

    def _guard(self, operations: Sequence[Guard], reported: Reported) -> None:
        asked = [self._place.asking(operation.path) for operation in operations]
        for operation, answers in zip(operations, self._access.answers(asked, again=True), strict=True):
            with told(operation, reported):
                full = self._place.full(operation.path)
                there = self._place.is_there(answers)
                if isinstance(operation, Absent) and there:
                    raise RemoteExists(f"{full}: there is something already")
                if not isinstance(operation, Absent) and not there:
                    raise RemoteMissing(f"{full}: there is no such file or directory")

    def _make_directories(self, operations: Sequence[MakeDirectory], reported: Reported) -> None:
        for batch in batches(operations):
            heard: list[Reply] = []
            with about(batch[0]):
                commands = [self._making(operation) for operation in batch]
                try:
                    answers = self._access.answers(commands, again=False, heard=heard)
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
        private = operation.mode & 0o077 == 0 and self._server.chmod
        return (made, self._place.chmod(operation.path, operation.mode)) if private else (made,)

    def _settle_made(self, operation: MakeDirectory, answers: Sequence[Reply]) -> None:
        made, *moded = answers
        if not made.good:
            error = self._access.do(lambda c: self._place.explained(c, made, operation.path, making=True, anew=True))
            if not (operation.may_exist and isinstance(error, RemoteExists)):
                raise error
            return
        self._made.add(operation.path)
        if moded:
            self._server.heed_mode(moded[0])
        else:
            self._remote.set_mode(operation.path, operation.mode)

    def _write(self, operations: Sequence[Write], reported: Reported) -> None:
        """Write files beside their places, one after the other; then they are renamed in one go.

        Those of which half may be there are written where they belong.
        """
        failure: RemoteError | None = None
        written: list[Write] = []
        for operation in operations:
            path = f"{operation.path}.new" if operation.whole else operation.path
            try:
                self._remote.write(path, [operation.data], operation.mode)
            except RemoteError as error:
                failure = error
                if not isinstance(error, RemoteLost):  # it would be tried over a line that is cut
                    with suppress(RemoteError):
                        self._remote.remove(path)
                break
            written.append(operation)
        for operation in written:
            if not operation.whole:
                with told(operation, reported):
                    pass
        for batch in batches([operation for operation in written if operation.whole]):
            moves = [Rename(f"{each.path}.new", each.path, f"{each.path}.old") for each in batch]
            with about(batch[0]):
                answers = self._access.answers([self._commands(move) for move in moves], again=False)
            for operation, move, answer in zip(batch, moves, answers, strict=True):
                with told(operation, reported):
                    self._settle(move, answer)
        if failure:
            with told(operations[len(written)], reported):
                raise failure

    def _remove_directories(self, operations: Sequence[RemoveDirectory], reported: Reported) -> None:
        """Remove those that are empty."""
        for operation in operations:
            with told(operation, reported), suppress(RemoteError):
                self._remote.remove_directory(operation.paths[0])

    def _perform_batch(self, batch: Sequence[Independent], reported: Reported) -> None:
        """Do operations of one class, and report each."""
        commands = [self._commands(operation) for operation in batch]
        with about(batch[0]):
            answers = self._access.answers(commands, again=not isinstance(batch[0], Rename))
        for operation, answer in zip(batch, answers, strict=True):
            with told(operation, reported):
                self._settle(operation, answer)

    def _commands(self, operation: Independent) -> Sequence[str]:
        match operation:
            case Rename(old, new):
                self._made.forget(old)
                return self._place.renaming(old, new)
            case Remove(path):
                return (self._place.command("DELE", path),)
            case SetMode(path, mode):
                return (self._place.chmod(path, mode),) if self._server.chmod else ()
        raise TypeError(f"{operation} is no operation")

    def _settle(self, operation: Independent, answers: Sequence[Reply]) -> None:
        """Raise what the answers tell. What is in the way of a rename is put aside."""
        match operation:
            case SetMode() if answers:
                self._server.heed_mode(answers[0])
            case Remove(path):
                with suppress(RemoteMissing):
                    self._access.check(answers[0], path)
            case Rename(old, new, aside) if not (answers[0].good and answers[1].good):
                refusal = answers[1] if answers[0].good else answers[0]
                error = self._access.do(lambda connection: self._place.unrenamed(connection, old, new, refusal))
                if not (aside and isinstance(error, RemoteExists)):
                    raise error
                with suppress(RemoteMissing):
                    self._remote.remove(aside)
                self._remote.rename(new, aside)
                self._remote.rename(old, new)
                self._remote.remove(aside)


def kind_of(operation: Operation) -> type[Operation]:
    """Its class, by which those that follow each other are done together."""
    return Guard if isinstance(operation, Guard) else type(operation)


def only(kind: type[Some], operations: Sequence[Operation]) -> Sequence[Some]:
    """Those of ``operations`` that are of a class: all of them."""
    return [operation for operation in operations if isinstance(operation, kind)]


@contextmanager
def told(operation: Operation, reported: Reported) -> Iterator[None]:
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
