"""`Reader`: what a script writes to its two streams, line by line."""

from __future__ import annotations

import codecs
import os
import selectors
import time
from collections.abc import Callable
from typing import IO

TICK = 0.1  # seconds between two looks at what no file descriptor tells
LINE_LIMIT = 16_384  # characters; a longer line is passed on in pieces
CHUNK = 65_536  # bytes; what a pipe of Linux holds (pipe(7))


class Reader:
    """Reads the streams of a script and passes on their lines."""

    def __init__(self, output: Callable[[str, str], None]) -> None:
        self._output = output
        self._selector = selectors.DefaultSelector()
        self._rest: dict[str, str] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            self._close(key.fileobj, key.data)  # type: ignore[arg-type]
        self._selector.close()

    @property
    def open(self) -> tuple[str, ...]:
        """The streams that have not ended."""
        return tuple(key.data for key in self._selector.get_map().values())

    def add(self, stream: IO[bytes], name: str) -> None:
        """Read ``stream`` too."""
        self._decoders[name] = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest[name] = ""
        self._selector.register(stream, selectors.EVENT_READ, name)

    def pump(self, seconds: float) -> None:
        """Pass on what there is, waiting up to ``seconds`` for it."""
        if not self._selector.get_map():
            time.sleep(min(seconds, TICK / 10))
            return
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, CHUNK)
            if data:
                self._feed(key.data, self._decoders[key.data].decode(data))
            else:
                self._close(key.fileobj, key.data)  # type: ignore[arg-type]

    def _feed(self, name: str, text: str) -> None:
        *lines, rest = (self._rest[name] + text).split("\n")
        while len(rest) > LINE_LIMIT:
            lines.append(rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
        self._rest[name] = rest
        for line in lines:
            self._output(name, line.removesuffix("\r"))

    def _close(self, stream: IO[bytes], name: str) -> None:
        self._selector.unregister(stream)
        stream.close()
        if rest := self._rest[name] + self._decoders[name].decode(b"", final=True):
            self._output(name, rest)
