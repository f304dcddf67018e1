"""What the HTTP servers of the tests' own have in common: they listen in a thread, with or without TLS."""

from __future__ import annotations

import ssl
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class HttpServer(ABC):
    """A server on ``host`` and ``port``, both its own, from `start` to `stop`; without ``context`` it speaks no TLS."""

    def __init__(self, context: ssl.SSLContext | None = None, *, host: str = "localhost") -> None:
        self.host = host
        self.port = 0
        self._context = context
        self._server: Listener | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def _handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers a request."""

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"{'https' if self._context else 'http'}://{self.host}:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._server = Listener(("127.0.0.1", 0), self._handler())
        self._server.context = self._context
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


class Listener(ThreadingHTTPServer):
    """Greets each client in its own thread: one that says nothing keeps nobody else out."""

    context: ssl.SSLContext | None = None
    daemon_threads = True
    block_on_close = False

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Speak TLS first, where there is a context."""
        with suppress(OSError):
            if self.context:
                request = self.context.wrap_socket(request, server_side=True)
            try:
                super().finish_request(request, client_address)
            finally:
                request.close()
