"""`Sender`: small objects and listings, one signed request each over connections that stay open.

boto3 takes four times the processor time for an object, and forty times that for a page of a listing. Whatever is not
answered as hoped is left to boto3, which repeats it and knows what is wrong: nothing here decides about an error.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, urlsplit

from pushkit import Run
from pushkit_aws.clients import TICK
from pushkit_aws.s3.access import Access
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.signature import signed
from pushkit_aws.s3.upload import encoded

#: Bytes of an answer that are read: more than a page of a listing has.
MOST = 64 << 20
#: After so many lost connections boto3 does all of the rest.
MOST_LOST = 20


class Sender:
    """Asks the bucket that ``access`` leads to; without one boto3 has to do all of it. `close` ends its connections."""

    def __init__(self, run: Run, options: S3Options, access: Access | None) -> None:
        self._run = run
        self._options = options
        self._access = access
        self._idle: list[HTTPConnection] = []
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._lost = 0
        self._parts = urlsplit(access.base if access else "")
        threading.Thread(target=self._watch, name="hang up", daemon=True).start()

    def close(self) -> None:
        """Hang up."""
        self._over.set()
        self._hang_up()

    def put(self, key: str, content: bytes, headers: Mapping[str, str]) -> str:
        """The new object's ETag; empty where boto3 has to do it."""
        checksum = {"x-amz-checksum-sha256": encoded(hashlib.sha256(content).digest())}
        found = self._exchange("PUT", quote(key, safe="/~"), content, {**headers, **checksum})
        return (found[0].get("ETag") or "").strip('"') if found else ""

    def get(self, key: str) -> tuple[bytes, str] | None:
        """The content of an object and its ETag; None where boto3 has to read it, or there is none."""
        found = self._exchange("GET", quote(key, safe="/~"), b"", {})
        if found is None or len(found[1]) == MOST:
            return None
        return found[1], (found[0].get("ETag") or "").strip('"')

    def remove(self, key: str) -> bool:
        """Whether an object is gone; boto3 has to remove it where not."""
        return self._exchange("DELETE", quote(key, safe="/~"), b"", {}) is not None

    def page(self, prefix: str, most: int, *, after: str = "", token: str = "") -> str:
        """A page of the listing below ``prefix``, as XML: from a token on, or of keys after one; empty without it."""
        said = {
            "continuation-token": token,
            "encoding-type": "url",  # keys come percent-encoded, so that nothing in them looks like a tag
            "list-type": "2",
            "max-keys": str(most),
            "prefix": prefix,
            "start-after": after if not token else "",
        }
        query = "&".join(
            f"{name}={quote(value, safe='~')}" for name, value in said.items() if value or name == "prefix"
        )
        answer = self._exchange("GET", f"?{query}", b"", {})
        return answer[1].decode(errors="replace") if answer else ""

    def _exchange(
        self, method: str, rest: str, content: bytes, headers: Mapping[str, str]
    ) -> tuple[Message, bytes] | None:
        """What answers that all is well with a request for what ``rest`` adds to the bucket's URL; else None."""
        access = self._access
        if not access:
            return None
        from_keys = self._parts.path + rest
        path = (self._parts.path.rstrip("/") or "/") + rest if rest.startswith("?") else from_keys
        try:
            self._run.check()
            connection = self._connection()
            connection.request(method, path, content or None, self._signed(access, method, path, content, headers))
            response = connection.getresponse()
            body = response.read(MOST)
        except (OSError, HTTPException):
            self._run.check()
            self._lost += 1
            if self._lost == MOST_LOST:
                self._access = None
            return None
        if not response.will_close:
            self._idle.append(connection)
        if response.status not in {200, 204}:
            if response.status < 500 and response.status != 404:
                # Most likely so it is with all of them: a store with rules of its own, a missing right.
                self._access = None
            return None
        return response.headers, body

    def _signed(
        self, access: Access, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        keys, now = access.keys(), datetime.now(UTC)
        host = self._parts.netloc.removesuffix(":443" if self._parts.scheme == "https" else ":80")
        found = signed(method, path, headers, content, host=host, region=access.region, keys=keys, now=now)
        return {**found, "Content-Length": str(len(content))} if method == "PUT" else found

    def _connection(self) -> HTTPConnection:
        with suppress(IndexError):
            return self._idle.pop()
        host, port, timeout = self._parts.hostname or "", self._parts.port, self._options.timeout
        made: HTTPConnection
        if self._parts.scheme == "https":
            made = HTTPSConnection(host, port, timeout=timeout, context=self._trust)
        else:
            made = HTTPConnection(host, port, timeout=timeout)
        made.connect()
        made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            if self._over.is_set():
                made.close()
                raise ConnectionAbortedError
            self._sockets.add(made.sock)
        return made

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=(self._access.authorities if self._access else "") or None)

    def _watch(self) -> None:
        """Hang up when the user asks to stop: nothing else ends a wait for a silent server."""
        while not self._over.wait(TICK):
            if self._run.cancelled.is_set():
                self._hang_up()
                return

    def _hang_up(self) -> None:
        with self._lock:
            for each in self._sockets:
                # Of the socket below TLS, since SSLSocket's own is not to be called beside a read.
                with suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
                if self._over.is_set():
                    each.close()
