"""`Client`: one HTTP request after the other, verified, repeated where that is safe."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urljoin, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from pushkit import Run, TargetError
from pushkit_http.address import origin, shown
from pushkit_http.body import Body

KEEP_METHOD = {307, 308}
REDIRECTS = {301, 302, 303, *KEEP_METHOD}
MOST_REDIRECTS = 5
#: What a server says that is not able to answer just now (RFC 9110, RFC 6585).
LATER = {429, 502, 503, 504}
IDEMPOTENT = {"HEAD", "GET", "PUT"}
#: Seconds before the first repetition, twice as many before each that follows.
PAUSE = 0.5
LONGEST_PAUSE = 300.0
CONTENT = 1 << 20  # bytes of an answer that are read
TICK = 0.1


class Unreached(TargetError):
    """The connection failed before anything was sent."""


class Lost(TargetError):
    """The connection failed after something was sent: it is not known what became of it."""


class Request(Struct, frozen=True):
    """``private`` are the headers that go to the host of ``url`` alone, and not where it redirects to."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None


class Answer(Struct, frozen=True):
    """``content`` is its first mebibyte; ``url`` is where it came from, ``reason`` what stands behind its status."""

    status: int
    headers: Message
    content: bytes
    url: str
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether it is one of success."""
        return 200 <= self.status < 300

    @property
    def pause(self) -> float | None:
        """Seconds that the server asks for (``Retry-After``), None where it does not."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isdecimal():
            return float(text)
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


class Client:
    """Sends requests. ``trust`` checks the servers' certificates; they may be silent for ``timeout`` seconds."""

    def __init__(self, run: Run, trust: ssl.SSLContext, *, timeout: float, retries: int) -> None:
        self._run = run
        self._trust = trust
        self._timeout = timeout
        self._retries = retries

    def send(self, request: Request, sent: Callable[[int], None] = lambda size: None) -> Answer:
        """The answer to ``request``; ``sent`` is told of the bytes of its body.

        What is idempotent is repeated when the connection fails or the server says later, anything else only when
        nothing of it was sent. Raises `Unreached` and `Lost` when that does not help, `TargetError` for a server that
        is not trusted or redirects to where nothing may be sent.
        """
        pause = PAUSE
        for left in reversed(range(self._retries + 1)):
            try:
                answer = self._follow(request, sent)
            except (Unreached, Lost) as error:
                if not left or (isinstance(error, Lost) and request.method not in IDEMPOTENT):
                    raise
                reason, wait = error.message, pause
            else:
                wait = pause if answer.pause is None else answer.pause
                repeatable = answer.status in LATER and request.method in IDEMPOTENT
                if not repeatable or not left or wait > LONGEST_PAUSE:
                    return answer
                reason = f"{shown(answer.url)} answered {answer.status}"
            self._run.note(f"{reason}; trying again in {wait:g} seconds")
            self._run.sleep(wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _follow(self, request: Request, sent: Callable[[int], None]) -> Answer:
        home = origin(request.url)
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._exchange(request, sent)
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not location:
                return answer
            url = self._allowed(request, answer, location)
            request = replace(request, url=url, private=request.private if origin(url) == home else {})
        raise TargetError(f"{shown(request.url)} redirects again and again", hint="correct the url")

    def _allowed(self, request: Request, answer: Answer, location: str) -> str:
        """Where ``request`` goes on. Raises `TargetError` when nothing may be sent there."""
        try:
            url = urljoin(request.url, location)
            scheme, host, _ = origin(url)
        except ValueError:
            url = scheme = host = ""
        where = f"{shown(request.url)} redirects"
        if scheme not in {"https", "http"} or not host or any(each <= " " for each in url) or not url.isascii():
            raise TargetError(f"{where} to what is no address", hint="correct the url")
        if scheme == "http" and request.url.startswith("https:"):
            raise TargetError(f"{where} to {shown(url)}, without TLS", hint="nothing is sent there; correct the url")
        if request.body and answer.status not in KEEP_METHOD:
            raise TargetError(
                f"{where} to {shown(url)} with {answer.status}, which takes no archive",
                hint="write the url that takes it; often it lacks a slash, or is another host's",
            )
        return url

    def _exchange(self, request: Request, sent: Callable[[int], None]) -> Answer:
        """One request and its answer."""
        parts = urlsplit(request.url)
        connection = self._connection(request.url)
        try:
            self._connect(connection, request.url)
            with self._watched(connection):
                try:
                    target = (parts.path or "/") + f"?{parts.query}" * bool(parts.query)
                    connection.putrequest(request.method, target, skip_accept_encoding=True)
                    for name, value in {**request.headers, **request.private}.items():
                        connection.putheader(name, value.encode())
                    if request.body:
                        connection.putheader("Content-Length", str(request.body.size))
                    connection.endheaders()
                    self._send(connection, request.body, sent)
                    response = connection.getresponse()
                    content = response.read(CONTENT)
                    return Answer(response.status, response.headers, content, request.url, response.reason)
                except (OSError, HTTPException) as error:
                    self._run.check()
                    raise Lost(f"the connection to {parts.netloc} was lost: {self._reason(error)}") from error
        finally:
            connection.close()

    def _send(self, connection: HTTPConnection, body: Body | None, sent: Callable[[int], None]) -> None:
        for piece in body.pieces() if body else ():
            self._run.check()
            try:
                connection.send(piece)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                # A server that does not want the rest may have said why before it hung up.
                return
            sent(len(piece))

    def _connection(self, url: str) -> HTTPConnection:
        scheme, host, port = origin(url)
        if scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout)
        return HTTPSConnection(host, port, timeout=self._timeout, context=self._trust)

    def _connect(self, connection: HTTPConnection, url: str) -> None:
        name = urlsplit(url).netloc
        try:
            self._heard(connection.connect)
        except ssl.SSLCertVerificationError as error:
            raise TargetError(
                f"the certificate of {name} is not trusted: {error.verify_message}",
                hint="nothing was sent; for an authority of your own, name its certificate in `ca_file`",
            ) from error
        except (OSError, UnicodeError) as error:
            hint = "correct the url" if isinstance(error, socket.gaierror | UnicodeError) else "is the server up?"
            raise Unreached(f"{name} cannot be reached: {self._reason(error)}", hint=hint) from error

    def _heard(self, connect: Callable[[], None]) -> None:
        """Connect beside this thread, which hears meanwhile that the user asks to stop; what is left of it then ends
        with push."""
        failed: list[BaseException] = []

        def act() -> None:
            try:
                connect()
            except BaseException as error:  # goes on in the thread that waits
                failed.append(error)

        connecting = threading.Thread(target=act, name="connect", daemon=True)
        connecting.start()
        while connecting.is_alive():
            connecting.join(TICK)
            self._run.check()
        if failed:
            raise failed[0]

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no sign of life for {self._timeout:g} seconds"
        if isinstance(error, ssl.SSLError):
            return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        return str(error).partition("\n")[0] or type(error).__name__

    @contextmanager
    def _watched(self, connection: HTTPConnection) -> Iterator[None]:
        """Hang up when the user asks to stop: nothing else ends a wait for a silent server."""
        over = threading.Event()
        sock = connection.sock

        def watch() -> None:
            while not over.wait(TICK):
                if self._run.cancelled.is_set():
                    # Of the socket below TLS, since SSLSocket's own is not to be called beside a read.
                    with suppress(OSError):
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)
                    return

        watcher = threading.Thread(target=watch, name="hang up", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
