"""Reading a directory tree: by this process, and by helpers once it is worth it.

Two threads read small files slower than one does; two processes are almost twice as fast. What has to be read is in two
queues. Directories that are expected to be walked: this process takes them from the front, as the walk goes, helpers
from the back. Files to hash, which the walk finds: helpers take them from the front, and this process, when it has
nothing left to walk, from the back. Both go on until they meet.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

from pushkit import reader
from pushkit.blocks import of_large
from pushkit.helper import Helper, Job
from pushkit.reader import FACTS, SCAN, Columns

#: The most processes that read, this one included: more would wait for the disk.
PROCESSES = 4
#: The files of a batch to hash: about one millisecond, when they are small.
FILES = 256
#: The cost of a batch of directories to scan, in files: about one millisecond.
SCANS = 400
#: What opening a directory costs, in files that could be looked at meanwhile.
ENTERING = 8
#: So many batches have to wait before one more helper is worth its start.
WORTHWHILE = 4
#: So many batches a helper has before it: enough never to wait for the next, few enough not to be waited for.
AHEAD = 3
#: How long to wait for helpers before the user is asked again, in milliseconds.
PAUSE = 50
#: How long to wait for a helper to scan a directory, in seconds, before this process does.
PATIENCE = 1


class Crew:
    """Reads the directory ``root``. `end` has to be called, whatever happened."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._directory: int | None = None
        self._expected: dict[str, tuple[Job, list[str]]] = {}
        self._scanned: dict[str, Columns | None] = {}
        self._paths: list[str] = []
        self._files: list[Job] = []
        self._waiting: dict[bytes, deque[Job]] = {SCAN: deque(), FACTS: deque()}
        self._helpers: list[Helper] = []
        self._most = processes() - 1
        #: The digests of the blocks of large files that were read here, by the digest of the whole.
        self.blocks: Mapping[bytes, Sequence[bytes]] = {}

    def expect(self, directories: Iterable[tuple[str, int]]) -> None:
        """The directories that will probably be walked, in that order, and how many files each has."""
        batch: list[str] = []
        cost = 0
        for directory, count in directories:
            batch.append(directory)
            cost += ENTERING + count
            if cost >= SCANS:
                job = Job(SCAN, os.fsencode("\0".join(batch)))
                self._waiting[SCAN].append(job)
                self._expected.update(dict.fromkeys(batch, (job, batch)))
                batch, cost = [], 0
        self._share()

    def scan(self, directory: str, *, look: bool) -> Columns:
        """The columns of ``directory``, relative to the root; see `reader.scan`. Raises OSError."""
        if directory in self._expected:
            job, batch = self._expected[directory]
            self._await(job)
            for name in batch:
                del self._expected[name]
            if job.answer is not None:
                self._scanned.update(zip(batch, reader.unpack(job.answer), strict=True))
        # What a helper could not read is read here, to know the reason.
        return self._scanned.pop(directory, None) or reader.scan(directory, self._top(), look=look)

    def add(self, paths: Sequence[str]) -> None:
        """Files to read, relative to the root. Helpers may begin at once."""
        self._paths += paths
        if len(self._paths) >= FILES:
            self._cut()
            self._share()

    def finish(self, check: Callable[[], None]) -> Generator[bytes, None, None]:
        """What `reader.Hasher.answer` says of all files, in the order in which they were added, a batch at a time.

        ``check`` is called now and then, and ends the work by raising. What the caller does between two steps, it does
        while the helpers go on.
        """

        def pause() -> None:
            check()
            self._share()

        self._cut()
        self._waiting[SCAN].clear()
        # Who has one processor would wait for them, and may not need them.
        own = reader.Hasher(self._top(), pause, of_large if self._most else None)
        self.blocks = own.blocks
        for job in self._files:
            pause()
            while job.answer is None:
                last = self._last()
                if last:
                    last.answer = own.answer(last.content)
                else:
                    self._wait()
                pause()
            yield job.answer

    def end(self) -> None:
        """End the helpers."""
        while self._helpers:
            self._helpers.pop().end()
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def _top(self) -> int:
        """The root, opened."""
        if self._directory is None:
            self._directory = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._directory

    def _await(self, job: Job) -> None:
        """Until a helper that has ``job`` has done it. A job that nobody has is nobody's from now on."""
        self._share()
        limit = time.monotonic() + PATIENCE
        while job.given and job.answer is None and time.monotonic() < limit:
            self._wait()
            self._share()
        if job in self._waiting[SCAN]:
            self._waiting[SCAN].remove(job)

    def _last(self) -> Job | None:
        """The job that would be done last: by nobody yet, or by a helper that has others to do before."""
        waiting = self._waiting[FACTS]
        if waiting:
            return waiting.pop()
        for helper in self._helpers:
            if len(helper.jobs) > 1 and helper.jobs[-1].answer is None:
                return helper.jobs[-1]
        return None

    def _cut(self) -> None:
        """Make batches of what was added."""
        for start in range(0, len(self._paths), FILES):
            job = Job(FACTS, os.fsencode("\0".join(self._paths[start : start + FILES])))
            self._files.append(job)
            self._waiting[FACTS].append(job)
        self._paths = []

    def _share(self) -> None:
        """Take what the helpers found, and give them more. Never waits for them."""
        for helper in tuple(self._helpers):
            helper.take()
            if not helper.alive:
                self._lose(helper)
        scans, files = self._waiting[SCAN], self._waiting[FACTS]
        if len(self._helpers) < self._most and len(scans) + len(files) >= WORTHWHILE:
            try:
                self._helpers.append(Helper(self._root))
            except OSError:
                self._most = 0
        for helper in self._helpers:
            while len(helper.jobs) < AHEAD and (scans or files):
                helper.give(scans.pop() if scans else files.popleft())

    def _lose(self, helper: Helper) -> None:
        """Somebody else does what a helper that ended, or that never was one, left undone."""
        self._helpers.remove(helper)
        helper.end()
        for job in helper.jobs:
            job.given = False
            self._waiting[job.kind].append(job)
        self._most -= 1

    def _wait(self) -> None:
        """Until a helper has something to say, or for a moment."""
        import select  # noqa: PLC0415  (seldom needed)

        poll = select.poll()
        for helper in self._helpers:
            poll.register(helper, select.POLLIN)
        poll.poll(PAUSE)


def processes() -> int:
    """How many processes may read at a time."""
    if not sys.executable:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, PROCESSES)
