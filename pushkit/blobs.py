"""The contents of a git repository's blobs, and what is known of them: size, sha256, whether it is an LFS pointer."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import threading
import weakref
from contextlib import suppress
from typing import IO, Any, BinaryIO, NamedTuple, cast

from pushkit.errors import SnapshotError
from pushkit.git import command, environment
from pushkit.index import cache_file, read, write

MAGIC = b"pushkit-blobs 1\n"
RECORD = struct.Struct("<Q?32s")
PIECE = 1 << 18
#: A larger blob is streamed by a process of its own; a smaller one is held in memory.
SMALL = 1 << 22
LFS = b"version https://git-lfs.github.com/spec/"


class Blob(NamedTuple):
    """What a blob holds."""

    size: int
    pointer: bool
    sha256: bytes


class Blobs:
    """Reads the blobs of the repository at ``directory``. May be used by several threads.

    What is found of a blob never changes, so it is kept in a file beside the stat cache.
    """

    def __init__(self, directory: str, repository: bytes) -> None:
        self._directory = directory
        self._file = cache_file("blobs", repository)
        self._known = unpack(read(self._file, MAGIC))
        self._used: dict[bytes, Blob] = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

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
                    data = self._exactly(stream, min(PIECE, size - start), name)
                    pointer = pointer or (start == 0 and data.startswith(LFS))
                    digest.update(data)
                self._exactly(stream, 1, name)
            blob = Blob(size, pointer, digest.digest())
        self._used[key] = blob
        return blob

    def content(self, name: str) -> bytes:
        """The whole content of a small blob."""
        with self._lock:
            stream, size = self._ask(name)
            return self._exactly(stream, size + 1, name)[:size]

    def open(self, name: str, size: int) -> BinaryIO:
        """The content of a blob of ``size`` bytes."""
        if size <= SMALL:
            return io.BytesIO(self.content(name))
        process = subprocess.Popen(
            command(self._directory, "cat-file", "blob", name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(),
            bufsize=0,
            start_new_session=True,
        )
        return cast("BinaryIO", Piped(process))

    def save(self) -> None:
        """Keep what is known of the blobs that were looked at."""
        if self._used.keys() != self._known.keys():
            write(self._file, MAGIC, pack(self._used))

    def _ask(self, name: str) -> tuple[IO[bytes], int]:
        """Ask the one process that stays for a blob: the stream, and how many bytes to read from it, plus one."""
        if self._process is None:
            self._process = subprocess.Popen(
                command(self._directory, "cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for push, which stops in its own time
            )
            weakref.finalize(self, end, self._process)
        questions, answers = self._process.stdin, self._process.stdout
        assert questions
        assert answers
        try:
            questions.write(name.encode() + b"\n")
            questions.flush()
        except BrokenPipeError as error:
            raise self._ended(name) from error
        line = answers.readline()
        if not line.endswith(b"\n"):
            raise self._ended(name)
        head = line.split()
        if len(head) != 3 or head[1] != b"blob":
            raise SnapshotError(
                f"git has no blob {name}", hint="fetch what is missing, and look at the repository with `git fsck`"
            )
        return answers, int(head[2])

    def _exactly(self, stream: IO[bytes], size: int, name: str) -> bytes:
        """``size`` bytes of an answer. What a git that was ended left unsaid must not be taken for the whole."""
        data = stream.read(size)
        if len(data) != size:
            raise self._ended(name)
        return data

    def _ended(self, name: str) -> SnapshotError:
        self._process = None  # the next question goes to a new one
        return SnapshotError(f"git ended while blob {name} was read", hint="push again")


class Piped(io.RawIOBase):
    """What a process prints; closing it ends the process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is."""
        assert self._process.stdout
        return cast("io.RawIOBase", self._process.stdout).readinto(buffer)

    def close(self) -> None:
        """End the process."""
        if not self.closed:
            self._process.kill()
            end(self._process)
        super().close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Let a process end, and wait for it."""
    for stream in (process.stdin, process.stdout):
        if stream:
            with suppress(BrokenPipeError):  # it ended before it read all that it was asked
                stream.close()
    process.wait()


def pack(blobs: dict[bytes, Blob]) -> bytes:
    """The body of the cache file: the length of a name, then name and record of each blob."""
    length = max(map(len, blobs), default=20)
    return bytes([length]) + b"".join([name + RECORD.pack(*blob) for name, blob in blobs.items()])


def unpack(body: bytes) -> dict[bytes, Blob]:
    """The blobs by name."""
    length = body[0] if body else 0
    size = length + RECORD.size
    return {body[at : at + length]: Blob(*RECORD.unpack_from(body, at + length)) for at in range(1, len(body), size)}
