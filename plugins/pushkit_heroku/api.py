"""The Platform API: requests as values, answers as `replies`. The token goes to its host and to no other."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import requests
from msgspec.structs import replace
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from pushkit import PushFailed, Run, TargetError
from pushkit_heroku.replies import Refusal
from pushkit_heroku.words import Refused

ACCEPT = "application/vnd.heroku+json; version=3"
#: Seconds to connect, and that an answer may take.
TIMES = (15.0, 60.0)
TRIES = 3
#: Characters of a refusal that are shown.
MOST = 500
LOOK = "look with push status before you push again"
T = TypeVar("T")


class Token(AuthBase):
    """Sends the token, and lets requests look for no other credential (it would take one of netrc)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put it on a request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authenticates nobody: for URLs that are signed."""
    return request


class Api:
    """The Platform API at ``url``, for who has ``token``. ``ca_file``: authorities to trust, empty for the system's."""

    def __init__(self, run: Run, url: str, token: str, ca_file: str) -> None:
        self._run = run
        self._url = url
        self._token = Token(token)
        self._session = requests.Session()
        # Named in each request: REQUESTS_CA_BUNDLE goes before what a session has.
        self._verify = trusted(run, ca_file)

    def close(self) -> None:
        """Hang up."""
        self._session.close()

    def get(self, path: str, kind: type[T] | Any, **headers: str) -> T:
        """Ask for ``path``, again where that may help. The answer is a ``kind``. Raises `TargetError`."""
        for left in reversed(range(TRIES)):
            try:
                found: T = read(kind, path, self._ask("GET", path, None, headers))
                return found
            except Refused as error:
                if not left or error.status not in {429, 500, 502, 503, 504}:
                    raise
            except Unreachable:
                if not left:
                    raise
            self._run.sleep(1.0)
        raise AssertionError("not reached")

    def send(self, method: str, path: str, kind: type[T] | Any, body: Mapping[str, Any]) -> T:
        """Send ``body`` as JSON, once."""
        found: T = read(kind, path, self._ask(method, path, body, {}))
        return found

    def change(self, path: str, kind: type[T] | Any, body: Mapping[str, Any], *, method: str = "POST") -> T:
        """Send what changes something at Heroku, once.

        Raises `TargetError` when Heroku refused it or was not reached, `PushFailed` when it may have done it.
        """
        try:
            found: T = self.send(method, path, kind, body)
        except (Refused, Unreachable, Odd) as error:
            if error.certain:
                raise
            raise PushFailed(f"{error.message}; it is not known whether it was done", hint=LOOK) from error
        return found

    def upload(self, url: str, file: Path, size: int, sent: Callable[[int], None]) -> None:
        """Put a file at a signed URL; ``sent`` hears how many more bytes went. Raises `TargetError`."""
        self._check_url(url)
        with file.open("rb") as content:
            body = Body(content, size, self._run.check, sent)
            # The signature is of a request without a type.
            answer = self._patiently(
                url,
                lambda: self._session.put(
                    url,
                    data=body,
                    headers={"Content-Type": ""},
                    auth=anonymous,
                    timeout=TIMES,
                    allow_redirects=False,
                    verify=self._verify,
                ),
            )
        if answer.status_code not in {200, 201, 204}:
            raise TargetError(
                f"the archive was not taken by {host(url)}: status {answer.status_code}", hint="push again"
            )

    def lines(self, url: str) -> Iterator[str]:
        """The lines of an output stream as they come, until it ends. Raises `TargetError` when it breaks off."""
        self._check_url(url)
        try:
            with self._session.get(
                url, stream=True, auth=anonymous, timeout=(TIMES[0], 300), allow_redirects=False, verify=self._verify
            ) as answer:
                if answer.status_code != 200:
                    raise TargetError(f"{host(url)} answers with status {answer.status_code}")
                for line in answer.iter_lines(chunk_size=None):
                    # Null bytes are its sign of life.
                    yield line.replace(b"\0", b"").decode("utf-8", "replace")
        except (requests.RequestException, OSError, ValueError) as error:
            raise Unreachable(host(url), error) from error

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> bytes:
        what = {"GET": "Heroku was asked", "POST": "Heroku was told", "PATCH": "Heroku was told"}[method]
        answer = self._patiently(
            self._url,
            lambda: self._session.request(
                method,
                self._url + path,
                json=body,
                headers={"Accept": ACCEPT, "User-Agent": "pushkit", **headers},
                auth=self._token,
                timeout=TIMES,
                allow_redirects=False,
                verify=self._verify,
            ),
        )
        if not answer.ok or answer.is_redirect:
            why = refusal(answer)
            why = replace(why, message=self._run.excerpt(why.message, MOST))
            raise Refused(answer.status_code, why, f"{what} {method} {path}")
        return answer.content

    def _check_url(self, url: str) -> None:
        """What an answer says is no reason to send an archive in clear text."""
        if not host(url) or urlsplit(url).scheme not in {"https", urlsplit(self._url).scheme}:
            raise TargetError("Heroku named an address that is not https", hint="see status.heroku.com")

    def _patiently(self, url: str, ask: Callable[[], requests.Response]) -> requests.Response:
        """The answer of ``url``; whoever asks to stop does not wait for it."""
        answers: list[requests.Response | Exception] = []

        def act() -> None:
            try:
                answers.append(ask())
            except Exception as error:  # raised by who waits
                answers.append(error)

        thread = threading.Thread(target=act, name="heroku", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            if thread.is_alive():
                self._run.check()
        answer = answers[0]
        if isinstance(answer, requests.exceptions.SSLError):
            raise TargetError(
                f"the certificate of {host(url)} is not trusted",
                hint="check the address; for an authority of your own: ca_file",
            ) from answer
        # A ValueError: what is no address, found out late.
        if isinstance(answer, (requests.RequestException, OSError, ValueError)):
            raise Unreachable(host(url), answer) from answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class Unreachable(TargetError):
    """No answer came; ``certain``: and nothing was sent."""

    def __init__(self, host: str, error: Exception) -> None:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        self.certain = isinstance(reason, (NewConnectionError, ConnectTimeoutError))
        # What requests says quotes the URL, which may be signed.
        why = "it did not answer in time" if isinstance(error, requests.Timeout) else "the connection failed"
        super().__init__(f"{host} cannot be reached: {why}", hint="check the network; see status.heroku.com")


class Odd(TargetError):
    """An answer that is not the Platform API's: what it was asked for may be done."""

    certain = False


class Body:
    """A file that is read as it is sent."""

    def __init__(self, file: BinaryIO, size: int, check: Callable[[], None], sent: Callable[[int], None]) -> None:
        self._file = file
        self._size = size
        self._check = check
        self._sent = sent

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        self._check()
        data = self._file.read(size)
        self._sent(len(data))
        return data


def read(kind: type[T] | Any, path: str, content: bytes) -> T:
    """What an answer is, as a ``kind``."""
    try:
        found: T = msgspec.json.decode(content, type=kind)
    except (ValueError, RecursionError) as error:
        where = str(error).partition(" - at `$")[2].strip(".`")
        raise Odd(
            f"what answers to {path} is not the Platform API: {where or 'no JSON'} is not as it should be",
            hint="is api_url right, and no proxy between?",
        ) from None
    return found


def refusal(answer: requests.Response) -> Refusal:
    """What an answer says of why not."""
    try:
        return msgspec.json.decode(answer.content, type=Refusal)
    except (ValueError, RecursionError):
        return Refusal()


def host(url: str) -> str:
    """The host of a URL, empty where it is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def trusted(run: Run, ca_file: str) -> str | bool:
    """Whom to trust: the authorities of ``ca_file``, or the system's. Raises `TargetError` when it cannot be used."""
    if not ca_file:
        return True
    try:
        path = str(run.project.root / Path(ca_file).expanduser())
        ssl.create_default_context(cafile=path)
    except (OSError, RuntimeError) as error:
        reason = "holds no certificate" if isinstance(error, ssl.SSLError) else "cannot be read"
        raise TargetError(f"ca_file: {ca_file} {reason}", hint="name a file of certificates in PEM") from error
    return path


def segment(text: str) -> str:
    """One segment of a path."""
    return quote(text, safe="")
