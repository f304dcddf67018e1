"""An HTTPS server in the test's own process: it keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from msgspec import Struct, field

from pushkit.testing.listener import HttpServer


class Received(Struct, frozen=True):
    """One request. The names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(Struct, frozen=True):
    """What is answered. ``before`` is called first; ``unread``: before the body of the request.

    ``reason`` is what stands behind the status, None for what is usual.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    before: Callable[[], object] | None = None
    unread: bool = False
    reason: str | None = None


class HttpsServer(HttpServer):
    """A server on ``host`` and ``port``, both its own, from `start` to `stop`; without ``context`` it speaks no TLS.

    ``files`` are what it has by path: PUT puts one there, GET and HEAD look. ``replies`` are what is answered instead,
    by method and path, the first to the first request. ``received`` are the requests in their order. ``respond``
    answers in place of the files, and may keep what it takes there.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        host: str = "localhost",
        respond: Callable[[Received], Reply] | None = None,
    ) -> None:
        super().__init__(context, host=host)
        self.files: dict[str, bytes] = {}
        self.received: list[Received] = []
        self.replies: dict[tuple[str, str], list[Reply]] = {}
        self.respond = respond

    def reply(self, method: str, path: str, *replies: Reply) -> None:
        """Answer the next requests for ``path`` so."""
        self.replies.setdefault((method, path), []).extend(replies)

    def requests(self, *methods: str) -> list[Received]:
        """What was received with one of these methods."""
        return [each for each in self.received if each.method in methods]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                """Receive one request and answer it."""
                replies = server.replies.get((self.command, self.path), [])
                reply = replies.pop(0) if replies else None
                length = 0 if reply and reply.unread else int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.command, self.path, headers, body)
                server.received.append(received)
                if len(body) < length:
                    self.close_connection = True
                    return
                reply = reply or (server.respond(received) if server.respond else self.usual(body))
                if reply.before:
                    reply.before()
                with suppress(OSError):
                    self.say(reply)

            def usual(self, body: bytes) -> Reply:
                """What a server of files answers."""
                there = self.path in server.files
                if self.command == "PUT":
                    if there and self.headers.get("If-None-Match") == "*":
                        return Reply(412)
                    server.files[self.path] = body
                    return Reply(204 if there else 201)
                if self.command == "POST":
                    return Reply(201)
                return Reply(200, {}, server.files[self.path]) if there else Reply(404)

            def say(self, reply: Reply) -> None:
                """Write the answer, and hang up: no request waits behind a body that nobody read."""
                self.close_connection = True
                self.send_response(reply.status, reply.reason)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if not {"content-length"} & {name.lower() for name in reply.headers}:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
                if reply.unread:
                    # As servers do: who hangs up on a client that still sends takes its own answer back (RST).
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))

            do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815  (the names are http.server's)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (as it is there)
                """Nothing: `received` tells."""

        return Handler
