"""`read_ahead`: what comes next is read, and verified, while what came before is on its way."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue

#: So many pieces wait, at most.
DEPTH = 4
#: Seconds until who reads ahead sees that nobody wants any more.
PAUSE = 0.1


def read_ahead(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same ``pieces``, which a thread reads. What they raise is raised here, after all that came before."""
    waiting: Queue[bytes | BaseException | None] = Queue(DEPTH)
    enough = threading.Event()

    def hand_over(piece: bytes | BaseException | None) -> None:
        while not enough.is_set():
            try:
                waiting.put(piece, timeout=PAUSE)
            except Full:
                continue
            break

    def read() -> None:
        try:
            for piece in pieces:
                hand_over(piece)
                if enough.is_set():
                    return
            hand_over(None)
        except BaseException as error:  # raised again by who waits for it
            hand_over(error)

    reader = threading.Thread(target=read, name="ahead", daemon=True)
    reader.start()
    try:
        while (piece := waiting.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        enough.set()
        try:
            while True:
                waiting.get_nowait()
        except Empty:
            reader.join()
