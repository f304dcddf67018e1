"""`Sender`: small objects and listings, one signed request each over connections that stay open.

boto3 takes four times the processor time for an object, and forty times that for a page of a listing. Whatever is not
answered with 200 is left to boto3, which repeats it and knows what is wrong: nothing here decides about an error.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from html import unescape
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit

from pushkit import Run
from pushkit_aws.clients import TICK, Clients
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.upload import encoded

PROBE = "x"
#: Bytes of an answer that are read: more than a page of a listing has.
MOST = 64 << 20
#: After so many lost connections boto3 does all of the rest.
MOST_LOST = 20
CONTENTS = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)
KEY = re.compile(r"<Key>([^<]*)</Key>")
ETAG = re.compile(r"<ETag>([^<]*)</ETag>")
TRUNCATED = re.compile(r"<IsTruncated>\s*true\s*<")
NEXT = re.compile(r"<NextContinuationToken>([^<]*)<")


class Sender:
    """Asks the bucket of ``options``. `close` ends its connections."""

    def __init__(self, run: Run, options: S3Options, clients: Clients) -> None:
        self._run = run
        self._options = options
        self._clients = clients
        self._local = threading.local()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._lost = 0
        self._base = self._address()
        self._parts = urlsplit(self._base)
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

    def listing(self, prefix: str, most: int) -> dict[str, str] | None:
        """The ETag of each key below ``prefix``, ``most`` a request; None where boto3 has to do it."""
        found: dict[str, str] = {}
        more = ""
        while True:
            token = f"continuation-token={quote(more, safe='~')}&" if more else ""
            query = f"?{token}encoding-type=url&list-type=2&max-keys={most}&prefix={quote(prefix, safe='~')}"
            answer = self._exchange("GET", query, b"", {})
            text = answer[1].decode(errors="replace") if answer else ""
            if not text.rstrip().endswith("ListBucketResult>"):
                return None
            # Keys come percent-encoded (encoding-type=url), so that nothing in them looks like a tag.
            for each in CONTENTS.findall(text):
                key, etag = KEY.search(each), ETAG.search(each)
                if key is None or etag is None:
                    return None
                found[unquote_plus(unescape(key[1]))] = unescape(etag[1]).strip('"')
            if not TRUNCATED.search(text):
                return found
            following = NEXT.search(text)
            if following is None or unescape(following[1]) == more:
                return None
            more = unescape(following[1])

    def _exchange(
        self, method: str, rest: str, content: bytes, headers: Mapping[str, str]
    ) -> tuple[Message, bytes] | None:
        """The answer of 200 to a request for what ``rest`` adds to the bucket's URL; None for any other."""
        if not self._base:
            return None
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (with boto3)

        try:
            self._run.check()
            connection = self._connection()
            path = self._parts.path + rest
            if rest.startswith("?"):
                path = (self._parts.path.rstrip("/") or "/") + rest
            connection.request(method, path, content or None, self._signed(method, path, content, headers))
            response = connection.getresponse()
            body = response.read(MOST)
        except (OSError, HTTPException, BotoCoreError):
            self._local.connection = None
            self._run.check()
            self._lost += 1
            if self._lost == MOST_LOST:
                self._base = ""
            return None
        if response.will_close:
            self._local.connection = None
        if response.status != 200:
            if response.status < 500:
                # Most likely so it is with all of them: a store with rules of its own, a missing right.
                self._base = ""
            return None
        return response.headers, body

    def _signed(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415  (with boto3)
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        url = f"{self._parts.scheme}://{self._parts.netloc}{path}"
        request = AWSRequest(method, url, headers=dict(headers), data=content)
        S3SigV4Auth(self._clients.credentials(), "s3", self._clients.region("s3")).add_auth(request)
        length = {"Content-Length": str(len(content))} if method == "PUT" else {}
        return {**dict(request.headers.items()), **length}

    def _address(self) -> str:
        """Where the bucket's keys begin, as boto3 says; empty where only boto3 knows the way."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (with boto3)
        from botocore.utils import get_environ_proxies  # noqa: PLC0415

        client: Any = self._clients.client("s3")
        try:
            url = client.generate_presigned_url("put_object", Params={"Bucket": self._options.bucket, "Key": PROBE})
        except BotoCoreError:  # without credentials, which boto3's own first call tells
            return ""
        base = str(url).partition("?")[0].removesuffix(PROBE)
        return "" if get_environ_proxies(base) or "s3express" in base else base

    def _connection(self) -> HTTPConnection:
        found: HTTPConnection | None = getattr(self._local, "connection", None)
        if found is not None:
            return found
        self._run.check()
        host, port, timeout = self._parts.hostname or "", self._parts.port, self._options.timeout
        made: HTTPConnection
        if self._parts.scheme == "https":
            made = HTTPSConnection(host, port, timeout=timeout, context=self._trust())
        else:
            made = HTTPConnection(host, port, timeout=timeout)
        made.connect()
        made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets.add(made.sock)
        self._local.connection = made
        return made

    def _trust(self) -> ssl.SSLContext:
        file = self._options.ca_file
        return ssl.create_default_context(
            cafile=str(self._run.project.root / Path(file).expanduser()) if file else None
        )

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
