"""`Client`: an SFTP session that keeps many requests in flight.

A job is a generator: it yields requests and is sent the answers. Many jobs run at once in one thread, so that no file
waits for the answers about another; which of them comes when is the server's affair.
"""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from pushkit import Interrupted
from pushkit.files import RemoteError
from pushkit_sftp.job import LATER, Answer, Job, abandon
from pushkit_sftp.packets import (
    DATA,
    DONE,
    END,
    END_OF_FILE,
    EXTENDED,
    EXTENDED_REPLY,
    INIT,
    NAME,
    OK,
    STATUS,
    VERSION,
    Body,
    Broken,
    Request,
    error_of,
    text,
)
from pushkit_sftp.transport import Channel

T = TypeVar("T")
#: Jobs at a time, and bytes of requests that are not answered: enough for a long fat line.
WIDTH, UNANSWERED = 400, 4 * 1024 * 1024
#: Bytes that are queued before they are sent, and that are asked for.
PIECE, BUFFER = 128 * 1024, 1024 * 1024
#: Bytes of the longest packet: 256 KiB of content, as OpenSSH has it, and what belongs to it.
LONGEST = 320 * 1024
#: Bytes in one READ or WRITE that every server takes.
SAFE = 32 * 1024
#: Seconds for the answers that are on their way when somebody wants to stop.
GRACE = 5.0
HEAD = struct.Struct(">IBI")


class Running:
    """A job under way: how many answers are still to come, and those that it waits for."""

    __slots__ = ("awaited", "failure", "job", "left")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.left = 0
        self.awaited: list[Answer] | None = None
        self.failure: RemoteError | None = None


class Client:
    """An SFTP session on ``channel``, for one thread at a time.

    ``patience`` is how many seconds the server may leave all requests without an answer. When ``cancelled`` is set it
    has `GRACE` seconds; what is begun after that cleans up, and is let run. ``told`` turns what the channel raises into
    a `RemoteError`.
    """

    def __init__(
        self,
        channel: Channel,
        told: Callable[[], Any],
        patience: float,
        cancelled: threading.Event,
    ) -> None:
        self._channel = channel
        self._told = told
        self._patience = patience
        self._cancelled = cancelled
        self._may_stop = True
        self._number = 0
        self._out = bytearray()
        self._in = bytearray()
        #: By number: whose request it is, which of those that its job waits for, the type of a good answer, about what,
        #: and how many bytes.
        self._asked: dict[int, tuple[Running | None, int, int, bytes, int]] = {}
        self._bytes = 0
        self._heard = time.monotonic()
        self._ready: deque[tuple[Running, Sequence[Answer]]] = deque()
        #: Whether the session has come to its end, by a failure or by the server.
        self.ended = False
        self.extensions: frozenset[bytes] = frozenset()
        #: Bytes in one READ, bytes in one WRITE, and files open at a time, as the server would have them.
        self.reads = self.writes = SAFE
        self.width = WIDTH
        with self._broken():
            self._introduce()

    def run(self, job: Job[T]) -> T:
        """The result of one job."""
        return self.gather([job])[0]

    def gather(self, jobs: Sequence[Job[T]]) -> list[T]:
        """The results of several jobs, in their order."""
        results: dict[int, T] = {}

        def keep(number: int, job: Job[T]) -> Job[None]:
            results[number] = yield from job

        self.flow(keep(number, job) for number, job in enumerate(jobs))
        return [results[number] for number in range(len(jobs))]

    def flow(self, jobs: Iterable[Job[None]]) -> None:
        """Do ``jobs``, `WIDTH` at a time, in the order in which they come.

        After a failure nothing new is begun, and what is under way ends. Raises the failure, or an `ExceptionGroup` of
        all when there are several; that somebody asked to stop only where nothing else went wrong.
        """
        todo = iter(jobs)
        live: set[Running] = set()
        later: list[Running] = []
        failures: list[Exception] = []
        self._may_stop = not self._cancelled.is_set()
        self._heard = time.monotonic()
        try:
            while True:
                while self._ready and self._bytes < UNANSWERED:
                    running, answers = self._ready.popleft()
                    self._go_on(running, answers, live, later, failures)
                if not self._ready:
                    if len(live) < self.width and not failures and (job := next(todo, None)) is not None:
                        # What was all begun is done, and is not called stopped.
                        if self._may_stop and self._cancelled.is_set():
                            failures.append(Interrupted("stopped"))
                            continue
                        running = Running(job)
                        live.add(running)
                        self._ready.append((running, ()))
                        continue
                    if len(later) == len(live):
                        if not live:
                            break
                        self._ready += [(running, ()) for running in later]
                        later.clear()
                        continue
                self._receive()
        except BaseException as error:
            self.close()
            self._ready.clear()
            for running in live:
                abandon(running.job, error)
            raise
        if self._out and not self.ended:
            self._send()
        real = [error for error in failures if not isinstance(error, Interrupted)]
        if len(real) > 1:
            raise ExceptionGroup(f"{len(real)} failed", real)
        if failures:
            raise (real or failures)[0]

    def close(self) -> None:
        """End the session."""
        self.ended = True
        with suppress(Exception):  # a connection that is gone cannot be told so
            self._channel.close()

    def _go_on(
        self,
        running: Running,
        answers: Sequence[Answer],
        live: set[Running],
        later: list[Running],
        failures: list[Exception],
    ) -> None:
        """Let a job run up to where it waits, or to its end."""
        try:
            while True:
                if running.failure is not None:
                    failure, running.failure = running.failure, None
                    asked = running.job.throw(failure)
                else:
                    asked = running.job.send(answers) if answers else next(running.job)
                if asked is LATER:
                    later.append(running)
                    return
                running.awaited = [DONE] * len(asked.requests) if asked.wait else None
                for index, request in enumerate(asked.requests):
                    self._queue(request, running, index if asked.wait else -1)
                if asked.wait:
                    return
                if self._bytes >= UNANSWERED:
                    self._ready.append((running, ()))
                    return
                answers = ()
        except StopIteration:
            live.discard(running)
        except Exception as error:  # all of them are raised in the end
            live.discard(running)
            failures.append(error)

    def _queue(self, request: Request, running: Running | None, index: int) -> None:
        """Put a request among those that are sent next."""
        self._number = number = (self._number + 1) & 0xFFFFFFFF
        self._out += HEAD.pack(len(request.body) + 5, request.kind, number)
        self._out += request.body
        self._bytes += len(request.body)
        self._asked[number] = (running, index, request.answer, request.path, len(request.body))
        if running is not None:
            running.left += 1
        if len(self._out) >= PIECE:
            self._send()

    def _send(self) -> None:
        """Send what is queued."""
        data, self._out = self._out, bytearray()
        at = 0
        with self._broken(), memoryview(data) as view:
            while at < len(data):
                try:
                    at += self._sent(self._channel.send(view[at:]))
                except TimeoutError:
                    self._wait()

    def _sent(self, size: int) -> int:
        if not size:
            raise EOFError("the server ended the SFTP session")
        self._heard = time.monotonic()
        return size

    def _receive(self) -> None:
        """Send what is queued, wait for answers, and hand out all that have come."""
        self._send()
        with self._broken():
            self._more()
            buffer, at = self._in, 0
            while len(buffer) - at >= 4:
                (size,) = struct.unpack_from(">I", buffer, at)
                if not 4 < size <= LONGEST:
                    raise Broken("the SFTP server sent a packet of an impossible size")
                if len(buffer) - at < size + 4:
                    break
                _size, kind, number = HEAD.unpack_from(buffer, at)
                self._answered(kind, number, buffer[at + 9 : at + 4 + size])
                at += size + 4
            del buffer[:at]

    def _answered(self, kind: int, number: int, content: bytearray) -> None:
        """Give an answer to whom it belongs."""
        try:
            running, index, good, path, size = self._asked.pop(number)
        except KeyError:
            raise Broken("the SFTP server answered what was not asked") from None
        self._bytes -= size
        answer: Answer = DONE
        if kind == good == STATUS and content[:4] == b"\0\0\0\0":
            pass
        elif kind == STATUS:
            status = int.from_bytes(content[:4], "big")
            if status == END_OF_FILE and good in {DATA, NAME}:
                answer = END
            elif status == OK:
                raise Broken("the SFTP server gave an answer of the wrong kind")
            else:
                answer = error_of(Body(bytes(content)), path)
        elif kind == good:
            answer = Body(bytes(content))
        else:
            raise Broken("the SFTP server gave an answer of the wrong kind")
        if running is None:
            self._limited(answer)
            return
        running.left -= 1
        if index >= 0 and running.awaited is not None:
            running.awaited[index] = answer
        elif isinstance(answer, RemoteError):
            running.failure = running.failure or answer
        if not running.left and running.awaited is not None:
            answers, running.awaited = running.awaited, None
            self._ready.append((running, answers))

    def _more(self) -> None:
        """Wait for bytes."""
        while True:
            try:
                piece = self._channel.recv(BUFFER)
            except TimeoutError:
                self._wait()
                continue
            if not piece:
                raise EOFError("the server ended the SFTP session")
            self._heard = time.monotonic()
            self._in += piece
            return

    def _wait(self) -> None:
        """Another `TICK` has passed in which nothing happened."""
        silent = time.monotonic() - self._heard
        if self._may_stop and self._cancelled.is_set() and silent > GRACE:
            raise Interrupted("stopped while the server did not answer")
        if silent > self._patience:
            raise TimeoutError

    @contextmanager
    def _broken(self) -> Iterator[None]:
        """What fails in here ends the session."""
        try:
            with self._told():
                yield
        except BaseException:
            self.close()
            raise

    def _introduce(self) -> None:
        """Say hello, and learn what the server can do beyond the protocol."""
        hello = struct.pack(">IBI", 5, INIT, 3)
        while hello:
            try:
                hello = hello[self._sent(self._channel.send(hello)) :]
            except TimeoutError:
                self._wait()
        while len(self._in) < 4 or len(self._in) < 4 + int.from_bytes(self._in[:4], "big"):
            if len(self._in) >= 4 and int.from_bytes(self._in[:4], "big") > LONGEST:
                raise Broken("the SFTP server sent a packet of an impossible size")
            self._more()
        size = int.from_bytes(self._in[:4], "big")
        body = Body(bytes(self._in[4 : 4 + size]))
        del self._in[: 4 + size]
        if body.number(1) != VERSION:
            raise Broken("the SFTP server did not introduce itself")
        body.number()
        extensions = set()
        while body.left:
            extensions.add(body.text())
            body.text()
        self.extensions = frozenset(extensions)
        if b"limits@openssh.com" in extensions:
            # The answer comes with those of what is asked first.
            self._queue(Request(EXTENDED, text(b"limits@openssh.com"), EXTENDED_REPLY, b""), None, -1)

    def _limited(self, answer: Answer) -> None:
        """Take the server's limits; 0 is none."""
        if isinstance(answer, Body) and answer.left >= 32:
            longest, reads, writes, handles = (answer.number(8) for _ in range(4))
            room = min(longest or LONGEST, LONGEST) - 4096
            self.reads = max(SAFE, min(reads or SAFE, room))
            self.writes = max(SAFE, min(writes or SAFE, room))
            self.width = max(1, min(WIDTH, handles // 2)) if handles else WIDTH
