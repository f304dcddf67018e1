"""What a server's refusal means, in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import responses

from pushkit import PushFailed, PushkitError, TargetError
from pushkit_http.address import shown
from pushkit_http.client import LATER, Answer, Request

#: `Run.excerpt`: the beginning of a text, of so many characters.
Quote = Callable[[str, int], str]

EXCERPT = 200  # characters
HINTS = {
    400: "the server does not take it so: look at `method`, `headers` and `form`",
    401: "look at `token`, or `user` and `password`: are they there, and still valid?",
    403: "the credentials do not allow it, or nothing may be replaced there",
    404: "correct the url; some servers answer so to a token that may not see it",
    405: "the url takes no such request: look at `method` and the url",
    409: "something is there, or what it belongs to is missing",
    411: "the server does not take it so: is something between that changes requests?",
    412: "something is there that may not be replaced",
    413: "raise the server's limit (client_max_body_size in nginx), or send less: push files",
    415: "the server does not take such archives: look at `archive` and `headers`",
    507: "make room on the server",
}


def refusal(answer: Answer, request: Request, quote: Quote, *, taken: bool = False) -> PushkitError:
    """The error for an answer that is no success; ``taken``: to a PUT where something else is."""
    size = f" of {request.body.size} bytes" if request.body and answer.status == 413 else ""
    message = f"{request.method} {shown(request.url)}{size} was answered {answer.status}{said(answer, quote)}"
    if answer.status in LATER:
        wait = f" in {answer.pause:.0f} seconds" if answer.pause else " later"
        return TargetError(message, hint=f"try again{wait}")
    if answer.status >= 500 and answer.status != 507:
        return PushFailed(f"{message}; it is not known what became of the archive", hint="look at the server's log")
    if taken:
        return TargetError(message, hint="something is there: name what is new, with {revision} or {digest} in the url")
    return TargetError(message, hint=HINTS.get(answer.status, "look at the url and at the server's log"))


def said(answer: Answer, quote: Quote) -> str:
    """How the server explains itself, on one line, empty when it does not."""
    plain = answer.headers.get_content_type() in {"text/plain", "application/json", "application/problem+json"}
    text = one_line(answer.content.decode("utf-8", "replace")) if plain else ""
    # Nexus says it in the first line of its answer alone.
    if not text and answer.reason != responses.get(answer.status):
        text = one_line(answer.reason)
    return f": {quote(text, EXCERPT)}" if text else ""


def one_line(text: str) -> str:
    """A text without control characters."""
    return " ".join(re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]", " ", text).split())
