"""Hashing many files while a directory is still being walked: by this process, and by helpers once it is worth it.

Two threads hash small files slower than one does; two processes are almost twice as fast. Helpers take batches from
the front of one queue, and this process, when it has nothing left to walk, from the back, until they meet.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from pushkit import hasher
from pushkit.hasher import LENGTH, READY, SIZE

#: The most processes that hash, this one included: more would wait for the disk.
PROCESSES = 4
#: What opening a file costs, in bytes that could be hashed meanwhile.
OPENING = 6000
#: The cost of a batch: one or two milliseconds.
BATCH = 1 << 21
#: So many batches have to wait before one more helper is worth its start.
WORTHWHILE = 10
#: So many batches a helper has before it: enough never to wait for the next, few enough not to be waited for.
AHEAD = 3
#: How long to wait for helpers before the user is asked again, in milliseconds.
PAUSE = 50


@dataclass(slots=True)
class Batch:
    """Files that are hashed together: their paths as a hasher takes them, how many they are, and their digests."""

    paths: bytes
    count: int
    digests: bytes = b""


class Helper:
    """A process that hashes batches in the order in which it is given them. Never blocks but to start and to end.

    Raises OSError when it cannot start.
    """

    def __init__(self, root: str) -> None:
        import subprocess  # noqa: PLC0415  (seldom needed, and slow to import)

        self._process = subprocess.Popen(
            (sys.executable, "-I", "-S", hasher.__file__),
            cwd=root,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout
        for stream in (self._stdin, self._stdout):
            os.set_blocking(stream.fileno(), False)
        self._unsent = bytearray()
        self._answers = bytearray()
        self._ready = False
        self.alive = True
        self.batches: deque[Batch] = deque()

    def fileno(self) -> int:
        """The descriptor that has something to read when there is an answer."""
        return self._stdout.fileno()

    def give(self, batch: Batch) -> None:
        """One more batch to hash."""
        self._unsent += len(batch.paths).to_bytes(LENGTH, "little") + batch.paths
        self.batches.append(batch)
        self._send()

    def take(self) -> None:
        """Give each batch that is done its digests. Afterwards ``alive`` says whether there may be more."""
        self._send()
        self._receive()
        while self._ready and self.batches and len(self._answers) >= SIZE * self.batches[0].count:
            batch = self.batches.popleft()
            batch.digests = bytes(self._answers[: SIZE * batch.count])
            del self._answers[: SIZE * batch.count]

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._stdin.fileno(), self._unsent)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # Its answers end as well, which says the same.
            self._unsent.clear()

    def _receive(self) -> None:
        try:
            while data := os.read(self._stdout.fileno(), 1 << 16):
                self._answers += data
            self.alive = False
        except BlockingIOError:
            pass
        if not self._ready and len(self._answers) >= len(READY):
            self._ready = self._answers.startswith(READY)
            self.alive = self.alive and self._ready
            del self._answers[: len(READY)]


class Crew:
    """Hashes files of the directory ``root``. `end` has to be called, whatever happened."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._paths: list[str] = []
        self._cost = 0
        self._batches: list[Batch] = []
        self._waiting: deque[Batch] = deque()
        self._helpers: list[Helper] = []
        self._most = processes() - 1

    def add(self, paths: Sequence[str], sizes: Sequence[int]) -> None:
        """Files to hash, relative to the root, and their sizes in bytes. Helpers may begin at once."""
        self._paths += paths
        self._cost += sum(sizes) + OPENING * len(paths)
        if self._cost >= BATCH:
            self._cut()
            self._share()

    def finish(self, check: Callable[[], None]) -> Generator[bytes, None, None]:
        """The digests of all files, some at a time, in the order in which they were added.

        `hasher.NONE` stands for a file that cannot be read. ``check`` is called now and then, and ends the work by
        raising. What the caller does between two steps, it does while the helpers go on.
        """

        def pause() -> None:
            check()
            self._share()

        self._cut()
        directory = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            own = hasher.Hasher(directory, pause)
            for batch in self._batches:
                pause()
                while not batch.digests:
                    if self._waiting:
                        last = self._waiting.pop()
                        last.digests = own.answer(last.paths)
                    else:
                        self._wait()
                    pause()
                yield batch.digests
        finally:
            os.close(directory)

    def end(self) -> None:
        """End the helpers."""
        while self._helpers:
            self._helpers.pop().end()

    def _cut(self) -> None:
        """Make batches of what was added: many in a directory of many or large files, which comes as one."""
        if self._paths:
            size = -(-len(self._paths) // max(1, self._cost // BATCH))
            for start in range(0, len(self._paths), size):
                paths = self._paths[start : start + size]
                batch = Batch(os.fsencode("\0".join(paths)), len(paths))
                self._batches.append(batch)
                self._waiting.append(batch)
            self._paths, self._cost = [], 0

    def _share(self) -> None:
        """Take what the helpers found, and give them more. Never waits for them."""
        for helper in tuple(self._helpers):
            helper.take()
            if not helper.alive:
                self._lose(helper)
        if len(self._helpers) < self._most and len(self._waiting) >= WORTHWHILE:
            try:
                self._helpers.append(Helper(self._root))
            except OSError:
                self._most = 0
        for helper in self._helpers:
            while self._waiting and len(helper.batches) < AHEAD:
                helper.give(self._waiting.popleft())

    def _lose(self, helper: Helper) -> None:
        """Somebody else does what a helper that ended, or that never was one, left undone."""
        self._helpers.remove(helper)
        helper.end()
        self._waiting.extend(helper.batches)
        self._most -= 1

    def _wait(self) -> None:
        """Until a helper has something to say, or for a moment."""
        import select  # noqa: PLC0415  (seldom needed)

        poll = select.poll()
        for helper in self._helpers:
            poll.register(helper, select.POLLIN)
        poll.poll(PAUSE)


def processes() -> int:
    """How many processes may hash at a time."""
    if not sys.executable:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, PROCESSES)
