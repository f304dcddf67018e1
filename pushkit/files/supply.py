"""`Supply`: what many hosts get that lack the same, made once for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from msgspec import Struct

from pushkit.errors import PushkitError, TargetError
from pushkit.once import Once

ResultT = TypeVar("ResultT")
#: Bytes that are read at once.
PIECE = 1 << 18


class Parcel(Struct, frozen=True):
    """Some of a tar stream as it travels, maybe compressed: ``size`` bytes in the file ``path``.

    ``length`` is how many bytes it becomes. ``sha256`` is that of the file, in hex.
    """

    path: Path
    size: int
    length: int
    sha256: str

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, in constant memory."""
        with self.path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


class Same:
    """A key that is equal to that of the same object, which it keeps: what is equal by value may be long to compare."""

    __slots__ = ("_thing",)

    def __init__(self, thing: object) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other._thing is self._thing

    def __hash__(self) -> int:
        return id(self._thing)


class Supply:
    """Makes things once for all hosts of a rollout. What failed for one has failed for all.

    What is to be sent is kept in files of the directory ``place``. Safe to use from threads.
    """

    #: Whether hosts fetch it.
    fetched = False

    def __init__(self, place: Path) -> None:
        self._place = place
        self._once = Once()
        #: Tells what one rollout leaves on its way from what another one does.
        self.token = token_hex(4)

    def once(self, key: Hashable, make: Callable[[], ResultT]) -> ResultT:
        """What ``make`` returned the first time for ``key``, or raises the error that it raised."""

        def made() -> tuple[Any, PushkitError | None]:
            try:
                return make(), None
            except PushkitError as error:
                return None, error

        result, error = self._once(key, made)
        if error is not None:
            raise error
        found: ResultT = result
        return found

    def parcel(
        self,
        key: Hashable,
        stream: Callable[[], Iterable[bytes]],
        compressed: Callable[[Iterable[bytes]], Iterable[bytes]],
    ) -> Parcel:
        """What ``stream`` gives, made shorter by ``compressed``, in a file: one for each ``key``."""
        return self.once(("parcel", key), lambda: self._packed(stream, compressed))

    def url(self, parcel: Parcel) -> str:
        """Where hosts fetch it, which is a secret; empty where it is sent to them."""
        del parcel
        return ""

    def _packed(
        self, stream: Callable[[], Iterable[bytes]], compressed: Callable[[Iterable[bytes]], Iterable[bytes]]
    ) -> Parcel:
        path = self._place / f"parcel-{token_hex(8)}"
        digest, size, length = hashlib.sha256(), 0, 0

        def counted() -> Iterator[bytes]:
            nonlocal length
            for piece in stream():
                length += len(piece)
                yield piece

        try:
            with path.open("xb") as file:
                for piece in compressed(counted()):
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
        except OSError as error:
            raise TargetError(
                f"what the hosts lack cannot be written to {path}: {error.strerror}",
                hint="set TMPDIR to a directory with room",
            ) from error
        return Parcel(path, size, length, digest.hexdigest())
