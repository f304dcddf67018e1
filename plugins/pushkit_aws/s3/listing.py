"""`Listing`: the ETag of each key below a prefix, asked for in several ranges of keys at once.

A page names a thousand keys, and says where the next one begins only at its end. Where the ranges begin is therefore
taken from what the last push put there. Nothing depends on that: a range is followed until it meets the first key of
the next one, in whatever order a store has its keys, so that no key is missed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from html import unescape
from urllib.parse import unquote_plus

from pushkit import Run
from pushkit_aws.clients import TICK
from pushkit_aws.s3.ahead import Ahead
from pushkit_aws.s3.sender import Sender

#: How many keys one call lists at most (ListObjectsV2).
PAGE = 1000
#: Ranges at once, and how many known keys one has until there are so many: a page holds it, and what came since.
MOST_RANGES = 8
RANGE = 850
#: As S3 and most stores have it: the key first, and then the ETag. What is otherwise is read element by element.
QUICK = re.compile(r"<Contents>\s*<Key>([^<]*)</Key>(?:\s*<(?!ETag|/?Contents)\w+>[^<]*</\w+>)*\s*<ETag>([^<]*)</ETag>")
KEY = re.compile(r"<Key>([^<]*)</Key>")
ETAG = re.compile(r"<ETag>([^<]*)</ETag>")
TRUNCATED = re.compile(r"<IsTruncated>\s*true\s*<")
NEXT = re.compile(r"<NextContinuationToken>([^<]*)<")


class Unlisted(Exception):
    """An answer was none, or not as hoped: boto3 has to do it."""


class Listing:
    """Lists what ``sender`` can reach below ``prefix``."""

    def __init__(self, run: Run, sender: Sender, prefix: str) -> None:
        self._run = run
        self._sender = sender
        self._prefix = prefix
        self._found: dict[str, str] = {}
        self._lock = threading.Lock()
        self._failed = threading.Event()
        self._early: Ahead[str] | None = None

    def begin(self) -> None:
        """Ask for the first page, which is part of every listing, while it is found out what is known."""
        self._early = Ahead(lambda: self._sender.page(self._prefix, PAGE))

    def all(self, known: Sequence[str] = ()) -> dict[str, str] | None:
        """The ETag of each key; None where boto3 has to do it. ``known`` are keys that are likely there, in order."""
        ranges = [_Range(after) for after in starts(known)]
        try:
            if len(ranges) == 1:
                self._follow(ranges[0], None, PAGE)
            else:
                # No page is to end a few keys before its range does.
                each = len(known) // len(ranges)
                pairs = list(zip(ranges, [*ranges[1:], None], strict=True))
                most = min(PAGE, each + each // 16 + 16)
                self._run.each(pairs, lambda pair: self._follow(*pair, most), workers=len(pairs))
        except (Unlisted, ExceptionGroup):
            self._run.check()
            return None
        return self._found

    def _follow(self, this: _Range, following: _Range | None, most: int) -> None:
        """Read a range to where the next one begins."""
        token = ""
        try:
            while True:
                page, upcoming = read(self._page(this.after, token, most))
                if not this.begun.is_set():
                    this.first = next(iter(page), None)
                    this.begun.set()
                with self._lock:
                    self._found |= page
                if following is not None and self._first(following) in page:
                    return
                if not upcoming:
                    return
                if upcoming == token:
                    raise Unlisted
                token = upcoming
        except BaseException:
            self._failed.set()
            raise

    def _page(self, after: str, token: str, most: int) -> str:
        if self._early and not after and not token:
            return self._early.result(self._run.check)
        return self._sender.page(self._prefix, most, after=after, token=token)

    def _first(self, of: _Range) -> str | None:
        """The first key of a range. Raises `Unlisted` when that will never be known."""
        while not of.begun.wait(TICK):
            self._run.check()
            if self._failed.is_set():
                raise Unlisted
        return of.first


class _Range:
    """The keys after one. ``first`` is the first of them that is there, known once it has ``begun``."""

    def __init__(self, after: str) -> None:
        self.after = after
        self.first: str | None = None
        self.begun = threading.Event()


def starts(known: Sequence[str]) -> list[str]:
    """After which keys the ranges begin; the first range has all that is before the others."""
    count = max(1, min(MOST_RANGES, -(-len(known) // RANGE)))
    return ["", *(known[number * len(known) // count - 1] for number in range(1, count))]


def read(text: str) -> tuple[dict[str, str], str]:
    """The keys of a page with their ETags, and the token of the next one. Raises `Unlisted` for what is no page."""
    if not text.rstrip().endswith("ListBucketResult>"):
        raise Unlisted
    pairs: list[tuple[str, str]] = QUICK.findall(text)
    if len(pairs) != text.count("<Contents>"):
        pairs = list(map(_pair, text.split("<Contents>")[1:]))
    found = {_key(key): _etag(etag) for key, etag in pairs}
    if not TRUNCATED.search(text):
        return found, ""
    following = NEXT.search(text)
    if following is None:
        raise Unlisted
    return found, unescape(following[1])


def _pair(text: str) -> tuple[str, str]:
    """The key and the ETag of what stands up to the next end of an element."""
    element, end, _ = text.partition("</Contents>")
    key, etag = KEY.search(element), ETAG.search(element)
    if not end or key is None or etag is None:
        raise Unlisted
    return key[1], etag[1]


def _key(text: str) -> str:
    # Most keys are as they are said, and to look is a tenth of the work.
    return unquote_plus(unescape(text)) if "%" in text or "+" in text or "&" in text else text


def _etag(text: str) -> str:
    for quotation in ("&#34;", "&quot;", '"'):
        if text.startswith(quotation) and text.endswith(quotation):
            text = text[len(quotation) : -len(quotation)]
            break
    return unescape(text) if "&" in text else text
