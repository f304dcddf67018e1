"""`PostOptions` and `post`: a body to an HTTPS address, once; nothing of the answer is believed but its status."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import unquote, urlsplit

from msgspec import Meta

from pushkit import Secret, TargetError, checks
from pushkit_notify.notifier import LIMIT, NotifierOptions


def problem(url: str) -> str:
    """What is wrong with an address; empty when nothing is."""
    try:
        parts = urlsplit(url)
        local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        parts.port  # noqa: B018  (raises for one that is none)
    except ValueError:
        return "it is no address"
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        return "expected https://..."
    return "" if parts.scheme == "https" or local else "expected https://: anybody on the way could read it"


class PostOptions(NotifierOptions):
    """The table of an observer that posts to an address."""

    url: Annotated[Secret, Meta(description="Where to post to: an address that is a secret.")]
    ca_file: Annotated[str, Meta(description="Trust the certificates of this file alone.")] = ""

    @checks("url")
    @classmethod
    def _url(cls, value: Secret) -> Secret:
        url = value.reveal()
        # A reference is looked at again when it is looked up.
        if "${" not in url and (wrong := problem(url)):
            raise ValueError(wrong)
        return value


def post(options: PostOptions, body: bytes, headers: Mapping[str, str]) -> None:
    """Send ``body``, which is JSON. Raises `TargetError` without the address, which is a secret, but for its host.

    A redirect is not followed: what is sent is for this host alone. The answer's body is not read.
    """
    import requests  # noqa: PLC0415  (only who tells somebody needs it)

    url = options.url.reveal()
    parts = urlsplit(url)
    host = parts.hostname

    def login(request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The address's own, if there is one: the library would take whatever ~/.netrc has for any host."""
        if parts.username:
            words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            request.headers["Authorization"] = f"Basic {b64encode(words.encode()).decode()}"
        return request

    try:
        with requests.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", **headers},
            auth=login,
            timeout=LIMIT,
            allow_redirects=False,
            stream=True,
            verify=options.ca_file or True,
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        raise TargetError(f"{host} could not be told: {type(error).__name__}") from None
    if 300 <= status < 400:
        raise TargetError(f"{host} redirects elsewhere ({status}), which is not followed")
    if status >= 400:
        raise TargetError(f"{host} answered {status}")
