"""The contents of a git repository's blobs, and what is known of them: size, sha256, whether it is an LFS pointer."""

from __future__ import annotations

import hashlib
import io
import select
import struct
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from typing import IO, Any, BinaryIO, NamedTuple, cast

from pushkit.capture import NEVER, end
from pushkit.errors import Interrupted, SnapshotError
from pushkit.git import command, environment, no_git, said
from pushkit.index import cache_file, read, write
from pushkit.process import TICK

MAGIC = b"pushkit-blobs 1\n"
RECORD = struct.Struct("<Q?32s")
PIECE = 1 << 18
#: A larger blob is streamed by a process of its own; a smaller one is held in memory.
SMALL = 1 << 22
#: Seconds that a git may be silent while it is read.
PATIENCE = 60.0
#: Bytes of what a git said of its failure that are passed on.
LONGEST = 4096
LFS = b"version https://git-lfs.github.com/spec/"


class Blob(NamedTuple):
    """What a blob holds."""

    size: int
    pointer: bool
    sha256: bytes


class Blobs:
    """Reads the blobs of the repository at ``directory``. May be used by several threads.

    What is found of a blob never changes, so it is kept in a file beside the stat cache. Once ``cancelled`` is set,
    what waits for git raises `Interrupted`.
    """

    def __init__(self, directory: str, repository: bytes, cancelled: threading.Event = NEVER) -> None:
        self._directory = directory
        self._cancelled = cancelled
        self._file = cache_file("blobs", repository)
        self._known = unpack(read(self._file, MAGIC))
        self._used: dict[bytes, Blob] = {}
        self._lock = threading.Lock()
        self._answers: io.BufferedReader | None = None

    def look(self, name: str) -> Blob:
        """What the blob ``name`` holds; it is read only when it was never looked at before."""
        key = bytes.fromhex(name)
        blob = self._known.get(key)
        if blob is None:
            digest = hashlib.sha256()
            with self._lock:
                stream, size = self._ask(name)
                pointer = False
                for start in range(0, size, PIECE):
                    data = self._exactly(stream, min(PIECE, size - start))
                    pointer = pointer or (start == 0 and data.startswith(LFS))
                    digest.update(data)
                self._exactly(stream, 1)
            blob = Blob(size, pointer, digest.digest())
        self._used[key] = blob
        return blob

    def content(self, name: str) -> bytes:
        """The whole content of a small blob."""
        with self._lock:
            stream, size = self._ask(name)
            return self._exactly(stream, size + 1)[:size]

    def open(self, name: str, size: int) -> BinaryIO:
        """The content of a blob of ``size`` bytes."""
        if size <= SMALL:
            return io.BytesIO(self.content(name))
        return cast("BinaryIO", self._git("cat-file", "blob", name, subject=f"blob {name}", asks=False))

    def save(self) -> None:
        """Keep what is known of the blobs that were looked at."""
        if self._used.keys() != self._known.keys():
            write(self._file, MAGIC, pack(self._used))

    def _ask(self, name: str) -> tuple[IO[bytes], int]:
        """Ask the one process that stays for a blob: the stream, and how many bytes to read from it, plus one."""
        if self._answers is None:
            self._answers = io.BufferedReader(self._git("cat-file", "--batch", asks=True), PIECE)
            weakref.finalize(self, self._answers.close)
        git = cast("Piped", self._answers.raw)
        git.subject = f"blob {name}"
        try:
            cast("IO[bytes]", git.process.stdin).write(name.encode() + b"\n")
        except BrokenPipeError as error:
            raise self._ended() from error
        line = self._read(self._answers.readline)
        if not line.endswith(b"\n"):
            raise self._ended()
        head = line.split()
        if len(head) != 3 or head[1] != b"blob":
            raise SnapshotError(
                f"git has no blob {name}", hint="fetch what is missing, and look at the repository with `git fsck`"
            )
        return self._answers, int(head[2])

    def _exactly(self, stream: IO[bytes], size: int) -> bytes:
        """``size`` bytes of an answer. What a git that was ended left unsaid must not be taken for the whole."""
        data = self._read(stream.read, size)
        if len(data) != size:
            raise self._ended()
        return data

    def _read(self, read: Callable[..., bytes], *size: int) -> bytes:
        """What ``read`` gives. After a failure no answer can be told from the rest of another."""
        try:
            return read(*size)
        except BaseException:
            self._forget()
            raise

    def _ended(self) -> SnapshotError:
        assert self._answers
        error = cast("Piped", self._answers.raw).ended()
        self._forget()
        return error

    def _forget(self) -> None:
        """End the process; the next question goes to a new one."""
        if self._answers:
            self._answers.close()
        self._answers = None

    def _git(self, *arguments: str, asks: bool, subject: str = "") -> Piped:
        return Piped(command(self._directory, *arguments), subject, asks=asks, cancelled=self._cancelled)


class Piped(io.RawIOBase):
    """What a git prints about ``subject``, waited for no longer than `PATIENCE`; closing it ends the git.

    Raises `SnapshotError` when it is silent or its end is not a good one, `Interrupted` once ``cancelled`` is set.
    """

    def __init__(self, argv: tuple[str, ...], subject: str, *, asks: bool, cancelled: threading.Event) -> None:
        # Not a pipe, which would have to be read while the answers are.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self.subject = subject
        self._cancelled = cancelled
        try:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if asks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment(),
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for push, which stops in its own time
            )
        except FileNotFoundError as error:
            self._stderr.close()
            raise no_git() from error
        self._poll = select.poll()
        self._poll.register(cast("IO[bytes]", self.process.stdout), select.POLLIN)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is. The end of a git that failed is an error."""
        deadline = time.monotonic() + PATIENCE
        while not self._poll.poll(TICK * 1000):
            if self._cancelled.is_set():
                raise Interrupted("stopped while git was read")
            if time.monotonic() >= deadline:
                raise SnapshotError(
                    f"git was silent for {PATIENCE:g} seconds while {self.subject} was read, and was ended",
                    hint="does the disk of the repository answer? Then push again",
                )
        size = cast("io.RawIOBase", self.process.stdout).readinto(buffer)
        if size == 0 and self._code():
            raise self.ended()
        return size

    def ended(self) -> SnapshotError:
        """The error of a git that ended before it had said all."""
        code = self._code()
        self._stderr.seek(0)
        why = f": {said(self._stderr.read(LONGEST), code)}" if code else ""
        return SnapshotError(
            f"git ended while {self.subject} was read{why}",
            hint="push again; if it stays so, look at the repository with `git fsck`",
        )

    def close(self) -> None:
        """End the process."""
        if not self.closed:
            end(self.process)
            self._stderr.close()
        super().close()

    def _code(self) -> int:
        """How the process ended, which closed its output. One that lingers all the same is ended."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            end(self.process)
            return self.process.returncode or 0


def pack(blobs: dict[bytes, Blob]) -> bytes:
    """The body of the cache file: the length of a name, then name and record of each blob."""
    length = max(map(len, blobs), default=20)
    return bytes([length]) + b"".join([name + RECORD.pack(*blob) for name, blob in blobs.items()])


def unpack(body: bytes) -> dict[bytes, Blob]:
    """The blobs by name; none when the body is no whole number of them."""
    length = body[0] if body else 0
    size = length + RECORD.size
    if (len(body) - 1) % size or not length:
        return {}
    return {body[at : at + length]: Blob(*RECORD.unpack_from(body, at + length)) for at in range(1, len(body), size)}
