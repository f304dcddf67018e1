"""What answers the requests to the tests' own CodeDeploy, and hands on those to other services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from pushkit.testing.aws_rights import INVALIDATION

if TYPE_CHECKING:
    from pushkit.testing.codedeploy import CodeDeployServer

#: Headers that are of one connection, or of the server that answers.
PER_CONNECTION = {"content-length", "connection", "transfer-encoding", "date", "server"}


def handler(server: CodeDeployServer) -> type[BaseHTTPRequestHandler]:
    """What answers the requests to ``server``."""

    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer one request: JSON 1.1, the operation in a header."""
            service, _, operation = self.headers.get("X-Amz-Target", "").rpartition(".")
            if not service.startswith("CodeDeploy_"):
                self._hand_on()
                return
            status, value = server.reply(operation, self._body())
            data = json.dumps(value, default=lambda moment: moment.timestamp()).encode()
            self._answer(status, {"Content-Type": "application/x-amz-json-1.1"}, data)

        def _hand_on(self) -> None:
            """Let the server of the other services answer."""
            body = self._body()
            told = server.elsewhere(self.command, self.path, self.headers.get("X-Amz-Target", ""), body)
            if told is not None:
                status, value = told
                kind = str(value.get("__type", ""))
                data = json.dumps(value).encode()
                if INVALIDATION.fullmatch(self.path):
                    # CloudFront speaks XML, and calls no type an exception.
                    code, message = kind.removesuffix("Exception"), escape(str(value.get("Message", "")))
                    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                    data = f"<ErrorResponse>{text}</ErrorResponse>".encode()
                self._answer(status, {"x-amzn-errortype": kind}, data)
                return
            where = urlsplit(server.rest)
            connection = HTTPConnection(where.hostname or "", where.port or 0, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            found = connection.getresponse()
            headers = {name: value for name, value in found.getheaders() if name.lower() not in PER_CONNECTION}
            self._answer(found.status, headers, found.read())
            connection.close()

        do_GET = do_PUT = do_DELETE = do_HEAD = _hand_on  # noqa: N815  (as it is there)

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            with suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (as it is there)
            """Nothing: `requests` tells."""

    return Handler
