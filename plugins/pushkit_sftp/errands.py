"""`Errands`: operations, and what they take, as jobs of a `Client`, many of which are under way at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

from pushkit import Step
from pushkit.files import (
    MakeDirectory,
    Operation,
    Primitive,
    RemoteError,
    Stat,
    Write,
    procedure_of,
)
from pushkit_sftp import requests
from pushkit_sftp.client import Client
from pushkit_sftp.job import LATER, Job, at_once, patient
from pushkit_sftp.requests import explained, replaces
from pushkit_sftp.trees import decoded, described, encoded

Reported = Callable[[Step], AbstractContextManager[None]]


class Abandoned(RemoteError):
    """Thrown into what waited for something that failed. Nobody is told of it."""


class Errands:
    """What a ``client`` does below the directory ``root``."""

    def __init__(self, client: Client, root: str) -> None:
        self._client = client
        self._root = root

    def run(self, operations: Sequence[Operation], reported: Reported) -> None:
        """Do operations that may be under way at once, each with its step ``reported``.

        Of several failures the first by the operations' order is raised.
        """
        failed: dict[int, Exception] = {}
        done: list[Operation] = []

        def one(number: int, operation: Operation) -> Job[None]:
            try:
                if isinstance(operation, (MakeDirectory, Write)) and number:
                    # What it is in may be under way.
                    make = partial(self._performing, operation, reported, failed)
                    yield from patient(make, operation.path.count("/"))
                else:
                    yield from self._performing(operation, reported, failed)
            except Exception as error:
                if isinstance(error, RemoteError):
                    error.operation = operation
                failed[number] = error
                raise
            if not (operation.waits and failed):
                done.append(operation)

        try:
            self._client.flow(one(number, operation) for number, operation in enumerate(operations))
        except (RemoteError, ExceptionGroup) as error:
            first = failed[min(failed)] if isinstance(error, ExceptionGroup) else error
            if isinstance(first, RemoteError):
                first.done = tuple(done)
            raise first from None

    def primitive(self, primitive: Primitive) -> Job[Any]:
        """The job that does a primitive."""
        client = self._client
        job: Job[Any]
        match primitive:
            case "stat", (path,):
                place, job = self._place(path), self._stat(path)
            case "read", (path, limit):
                place = self._place(path)
                job = requests.read(place, limit, client.reads)
            case "write", (path, chunks, mode):
                place = self._place(path)
                job = requests.write(place, chunks, mode, client)
            case "append", (path, data):
                place = self._place(path)
                job = requests.append(place, data)
            case "make_directory", (path, mode):
                place = self._place(path)
                job = requests.make_directory(place, mode)
            case "make_symlink", (link, path):
                place = self._place(path)
                job = requests.make_symlink(encoded(link), place)
            case "read_link", (path,):
                place, job = self._place(path), self._read_link(path)
            case "rename", (old, new):
                place = self._place(old)
                job = requests.rename(place, self._place(new), replaces=replaces(client))
            case "set_mode", (path, mode):
                place = self._place(path)
                job = requests.set_mode(place, mode)
            case "remove", (path,):
                place = self._place(path)
                job = requests.remove(place)
            case "remove_directory", (path,):
                place = self._place(path)
                job = requests.remove_directory(place)
            case _:
                raise TypeError(f"{primitive} is no primitive")
        return explained(job, place, client)

    def _performing(self, operation: Operation, reported: Reported, failed: Mapping[int, Exception]) -> Job[None]:
        """The job that performs an operation, unless something ``failed`` that it waited for."""
        steps = procedure_of(operation, self._root)
        assert steps is not None, operation
        go_on: Callable[[], Sequence[Primitive]] = partial(next, steps)
        with ExitStack() as stack:
            if operation.step and not operation.waits:
                stack.enter_context(reported(operation.step))
            while True:
                try:
                    asked = go_on()
                except (StopIteration, Abandoned):
                    return
                if asked:
                    go_on = partial(steps.send, (yield from at_once([self.primitive(each) for each in asked])))
                    continue
                yield LATER
                if failed:
                    go_on = partial(steps.throw, Abandoned("what came before it failed"))
                    continue
                if operation.step:
                    stack.enter_context(reported(operation.step))
                go_on = partial(next, steps)

    def _stat(self, path: str) -> Job[Stat | None]:
        found = yield from requests.look(self._place(path))
        return described(path.rpartition("/")[2], found) if found else None

    def _read_link(self, path: str) -> Job[str]:
        return decoded((yield from requests.read_link(self._place(path))))

    def _place(self, path: str) -> bytes:
        return encoded(f"{self._root}/{path}" if path else self._root)
