"""Before a real S3 server: to who may not list a bucket, what is not there is denied, as AWS documents it."""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from pushkit.testing import SeaweedFs
from pushkit.testing.codedeploy_handler import PER_CONNECTION
from pushkit.testing.listener import HttpServer

#: The body of the answer to GET; that to HEAD has none.
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class S3Gate(HttpServer):
    """Hands on each request as it is signed, and each answer; ``lists`` says whether who asks may list the bucket.

    SeaweedFS says of a key that is not there that it is not. AWS says so to who has s3:ListBucket alone, else 403
    (API reference, HeadObject and GetObject, Permissions).
    """

    def __init__(self, server: SeaweedFs) -> None:
        super().__init__(host="127.0.0.1")
        self.server = server
        self.lists = True
        self.denied: list[str] = []

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """Ask the server in the name of who asks."""
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = HTTPConnection(gate.server.host, gate.server.port, timeout=60)
                connection.request(self.command, self.path, body, dict(self.headers))
                found = connection.getresponse()
                status, data = found.status, found.read()
                of_key = urlsplit(self.path).path.strip("/").count("/") > 0
                if status == 404 and of_key and self.command in {"GET", "HEAD"} and not gate.lists:
                    gate.denied.append(f"{self.command} {self.path}")
                    status, data = 403, DENIED if self.command == "GET" else b""
                with suppress(OSError):
                    self.send_response(status)
                    for name, value in found.getheaders():
                        if name.lower() not in PER_CONNECTION:
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                connection.close()

            do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815  (as it is there)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (as it is there)
                """Nothing."""

        return Handler
