"""Asking a server how far it is with what it got, until it is done."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from pushkit import PushFailed, PushkitError, Run, TargetError
from pushkit_http.address import filled_url, origin, shown
from pushkit_http.client import Answer, Client, Request
from pushkit_http.options import LOCATION, HttpOptions, StatusOptions
from pushkit_http.words import Quote, said

HINT = "the archive is there; look at the server's log"
NOT_YET = {202, 204, 404, 429, 502, 503, 504}


def follow(
    run: Run,
    client: Client,
    options: HttpOptions,
    *,
    values: Mapping[str, str],
    answer: Answer,
    private: Mapping[str, str],
) -> None:
    """Ask until the server is done with what it answered ``answer`` to. Raises `PushFailed`.

    ``private`` goes to the host of the target's URL alone.
    """
    status = options.status
    if status is None:
        return
    url = status_url(status, options.url, values, answer)
    request = Request("GET", url, {"User-Agent": "pushkit", "Accept": "application/json"})
    if origin(url) == origin(options.url):
        request = Request("GET", url, request.headers, private)
    deadline = time.monotonic() + status.within
    told = ""
    while True:
        try:
            now = client.send(request)
        except TargetError as error:
            raise PushFailed(f"{error.message}; what became of the archive is not known", hint=HINT) from error
        done, state = progress(status, now, run.excerpt)
        if done:
            return
        if state != told:
            run.note(f"{shown(url)}: {state}")
            told = state
        wait = max(status.every, now.pause or 0)
        if time.monotonic() + wait > deadline:
            raise PushFailed(f"after {status.within:g} seconds {shown(url)} still says {state}", hint=HINT)
        run.sleep(wait)


def status_url(status: StatusOptions, base: str, values: Mapping[str, str], answer: Answer) -> str:
    """What to ask. Raises `PushFailed` for a ``{location}`` that is missing or not to be asked."""
    if status.url != f"{{{LOCATION}}}":
        return filled_url(status.url, values)
    location = answer.headers.get("Location", "")
    try:
        url = urljoin(answer.url, location)
        scheme, host, _ = origin(url)
    except ValueError:
        url = scheme = host = ""
    plain = scheme == "http" and base.startswith("http:")
    if not location or not host or not (scheme == "https" or plain) or not url.isascii() or any(c <= " " for c in url):
        raise PushFailed("the server's answer names no location to ask for the status", hint=HINT)
    return url


def progress(status: StatusOptions, answer: Answer, quote: Quote) -> tuple[bool, str]:
    """Whether it is done, and how far it is in words. Raises `PushFailed` when it failed."""
    if answer.status in NOT_YET:
        return False, f"not yet ({answer.status})"
    if not answer.good:
        raise failed(answer, f"was answered {answer.status}{said(answer, quote)}")
    if not status.field:
        return True, ""
    try:
        value: Any = json.loads(answer.content)
        for key in status.field.split("."):
            value = value[int(key) if isinstance(value, list) else key]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise failed(answer, f"has no `{status.field}` in its JSON") from None
    state = value if isinstance(value, str) else json.dumps(value)
    state = "".join(filter(str.isprintable, quote(state, 100)))
    if state in status.failed:
        raise failed(answer, f"says {state}{said(answer, quote)}")
    return state in status.done, state


def failed(answer: Answer, what: str) -> PushkitError:
    """The error for a status that is not going to be good."""
    return PushFailed(f"{shown(answer.url)} {what}", hint=HINT)
