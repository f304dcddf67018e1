"""Git repositories over HTTP, by git's own ``http-backend``: who has a token may read, or push as well."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from pushkit.testing.listener import HttpServer

PIECE = 1 << 16


class GitHttpServer(HttpServer):
    """Serves the bare repositories in ``directory`` from `start` to `stop`; without ``context`` it speaks no TLS.

    ``tokens`` are the passwords that are let in, whatever the user's name, and whether they may push. ``answers`` are
    statuses to answer with instead, by a piece of the path and query. ``requests`` are method, path with query, user
    name and status of each request so far.
    """

    def __init__(self, directory: Path, context: ssl.SSLContext | None = None, *, host: str = "localhost") -> None:
        super().__init__(context, host=host)
        self.directory = directory
        self.tokens: dict[str, bool] = {}
        self.answers: dict[str, int] = {}
        self.requests: list[tuple[str, str, str, int]] = []

    def create(self, name: str, hook: str = "") -> Path:
        """A bare repository at ``URL/name``, with a ``pre-receive`` hook of this text."""
        repository = bare_repository(self.directory / name, hook)
        subprocess.run(["git", "-C", str(repository), "config", "http.receivepack", "true"], check=True)
        return repository

    def status_for(self, target: str, user: str, password: str) -> int:
        """How a request for ``target``, path and query, is answered; 200 where git is asked."""
        for piece, status in self.answers.items():
            if piece in target:
                return status
        if not self.tokens:
            return 200
        if password not in self.tokens:
            return 401
        return 200 if self.tokens[password] or "receive-pack" not in target else 403

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            """One connection, of one request."""

            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                """Let git answer one request, or refuse it."""
                self.close_connection = True
                user, password = credentials(self.headers.get("Authorization", ""))
                status = server.status_for(self.path, user, password)
                server.requests.append((self.command, self.path, user, status))
                with suppress(OSError):
                    if status != 200:
                        self.refuse(status)
                    else:
                        self.serve(user)

            def refuse(self, status: int) -> None:
                """Say no, once the body is read: who hangs up on a client that still sends takes the answer back."""
                for _piece in self.body():
                    pass
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()

            def body(self) -> Iterator[bytes]:
                """What the client sends, in pieces: of a known length, or in chunks."""
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    left = int(self.headers.get("Content-Length", 0))
                    while left and (piece := self.rfile.read(min(left, PIECE))):
                        left -= len(piece)
                        yield piece
                    return
                while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            def serve(self, user: str) -> None:
                """Run git for this request; what it says goes to the client as it comes."""
                with subprocess.Popen(
                    ["git", "http-backend"],
                    env=environment(server.directory, self.command, self.path, user, dict(self.headers)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                ) as git:
                    assert git.stdin
                    assert git.stdout
                    with suppress(BrokenPipeError):
                        for piece in self.body():
                            git.stdin.write(piece)
                        git.stdin.close()
                    headers = {}
                    # Unbuffered: what follows is read from the descriptor.
                    while line := git.stdout.readline().decode().strip():
                        name, _, value = line.partition(": ")
                        headers[name] = value
                    self.send_response(int(headers.pop("Status", "200").split()[0]))
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.send_header("Connection", "close")
                    self.end_headers()
                    # What a hook prints goes out at once; an end without the last chunk would be no end.
                    for piece in iter(partial(os.read, git.stdout.fileno(), PIECE), b""):
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                        self.wfile.flush()
                    if git.wait() == 0:
                        self.wfile.write(b"0\r\n\r\n")

            do_GET = do_POST = answer  # noqa: N815  (the names are http.server's)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (as it is there)
                """Nothing: `requests` tells."""

        return Handler


def bare_repository(path: Path, hook: str = "") -> Path:
    """Make an empty bare repository, with a ``pre-receive`` hook of this text."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], check=True)
    if hook:
        file = path / "hooks/pre-receive"
        file.parent.mkdir(exist_ok=True)
        file.write_text(hook)
        file.chmod(0o755)
    return path


def credentials(header: str) -> tuple[str, str]:
    """User and password of basic authentication; empty where there is none."""
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


def environment(directory: Path, method: str, target: str, user: str, headers: Mapping[str, str]) -> dict[str, str]:
    """What ``git http-backend`` is told of a request, as a CGI program (RFC 3875)."""
    path, _, query = target.partition("?")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    given = {
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": headers.get("Content-Length", ""),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
        "REMOTE_USER": user,
    }
    return {
        **kept,
        "GIT_PROJECT_ROOT": str(directory),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "REMOTE_ADDR": "127.0.0.1",
        **{name: value for name, value in given.items() if value},
    }
