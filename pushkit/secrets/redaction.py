"""Hiding resolved secrets in whatever leaves pushkit: events, messages, tracebacks."""

from __future__ import annotations

import base64
import json
import re
import shlex
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""The length in characters from which a value, or a line of one, is hidden."""


class Redactor:
    """Replaces each secret it knows by ``[secret:NAME]``. False while it knows none. Safe to use from threads.

    A secret is found as it is and in the forms it takes on its way: quoted for a URL, a shell, JSON or Python,
    and in base64; so is each line of one that has several. A value shorter than four characters is not hidden:
    it would turn up in any text, and the marks would tell where.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._longest = 0

    def add(self, name: str, value: str) -> None:
        """Hide ``value`` from now on, under ``name``. A value that is known keeps its first name."""
        with self._lock:
            names = dict(self._names)
            for form in _forms(value):
                names.setdefault(form, name)
            if len(names) == len(self._names):
                return
            longest_first = sorted(names, key=len, reverse=True)
            # A lookahead, since secrets may overlap: what lies in any of them is hidden.
            pattern = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))")
            # The names first: a thread that sees the new pattern finds the name of all that it matches.
            self._names = names
            self._longest = len(longest_first[0])
            self._pattern = pattern

    def __bool__(self) -> bool:
        return self._pattern is not None

    def __call__(self, text: str) -> str:
        """``text`` with every secret in it replaced."""
        pattern = self._pattern
        if pattern is None:
            return text
        parts: list[str] = []
        done = 0
        for start, end, secret in _spans(pattern, text):
            parts += (text[done:start], f"[secret:{self._names[secret]}]")
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def cut(self, text: str, at: int, ended: bool) -> int:
        """Where to cut ``text``, at ``at`` or before it if that would cut a secret in two, behind one that is longer.

        0 when that cannot be told before there is more: it has not ``ended``.
        """
        pattern = self._pattern
        if pattern is None:
            return at
        # With so much behind it, what begins before the cut is there as a whole.
        window = text[: at + self._longest]
        if len(window) < at + self._longest and not ended:
            return 0
        for start, end, _ in _spans(pattern, window):
            if start < at < end:
                return start or end
        return at


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int, str]]:
    """Where secrets lie in ``text``, those that overlap as one, with the longest of each."""
    start, end, secret = 0, 0, ""
    for match in pattern.finditer(text):
        found = match[1]
        if match.start() >= end:
            if secret:
                yield start, end, secret
            start, secret = match.start(), ""
        end = max(end, match.start() + len(found))
        secret = max(secret, found, key=len)
    if secret:
        yield start, end, secret


def _forms(value: str) -> set[str]:
    """Each form in which ``value`` or one of its lines may turn up."""
    pieces = {value, *(line.strip() for line in value.splitlines())}
    forms = set()
    for piece in pieces:
        if len(piece.strip()) < SHORTEST:
            continue
        data = piece.encode("utf-8", "surrogateescape")
        encoded = base64.b64encode(data).decode()
        urlsafe = base64.urlsafe_b64encode(data).decode()
        forms |= {
            piece,
            quote(data),
            quote(data, safe=""),
            quote_plus(data),
            encoded,
            encoded.rstrip("="),
            urlsafe,
            urlsafe.rstrip("="),
            json.dumps(piece)[1:-1],
            json.dumps(piece, ensure_ascii=False)[1:-1],
            repr(piece)[1:-1],
            shlex.quote(piece),
        }
    return forms
