"""Post a body to an HTTPS address, once, and believe nothing of the answer but its status."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pushkit import TargetError
from pushkit_notify.notifier import LIMIT


def post(url: str, body: bytes, headers: Mapping[str, str], ca_file: str = "") -> None:
    """Send ``body``. Raises `TargetError` without the address, which is a secret, but for its host.

    A redirect is not followed: what is sent is for this host alone. The answer's body is not read.
    """
    import requests  # noqa: PLC0415  (only who tells somebody needs it)

    host = urlsplit(url).hostname
    try:
        with requests.post(
            url,
            data=body,
            headers=headers,
            timeout=LIMIT,
            allow_redirects=False,
            stream=True,
            verify=ca_file or True,
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        raise TargetError(f"{host} could not be told: {type(error).__name__}") from None
    if 300 <= status < 400:
        raise TargetError(f"{host} redirects elsewhere ({status}), which is not followed")
    if status >= 400:
        raise TargetError(f"{host} answered {status}")


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
