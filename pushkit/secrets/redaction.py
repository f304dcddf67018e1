"""Hiding resolved secrets in whatever leaves pushkit: events, messages, tracebacks."""

from __future__ import annotations

import base64
import heapq
import html
import json
import re
import shlex
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""The length in characters from which a value, or a line of one, is hidden."""


_URL_SAFE = str.maketrans("+/", "-_")
_PERCENT = re.compile("%[0-9A-F]{2}")
# Characters of base64 from which a part of it tells a secret.
_TELLING = 6
# What bash's `printf %q` writes a backslash before.
_UNSAFE = re.compile(r"[^\w@%+=:,./-]", re.ASCII)


class Redactor:
    """Replaces each secret it knows by ``[secret:NAME]``. False while it knows none. Safe to use from threads.

    A secret is found as it is and in the forms it takes on its way: quoted for a URL, a shell, JSON, HTML or Python,
    in base64, also as a part of what was encoded, and in hexadecimal; so is each line of one that has several. A value
    shorter than four characters is not hidden: it would turn up in any text, and the marks would tell where.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each form with the name of its secret, the longest first.
        self._forms: tuple[tuple[str, str], ...] = ()

    def add(self, name: str, value: str) -> None:
        """Hide ``value`` from now on, under ``name``. A value that is known keeps its first name."""
        with self._lock:
            names = dict(self._forms)
            for form in _forms(value):
                names.setdefault(form, name)
            if len(names) > len(self._forms):
                self._forms = tuple(sorted(names.items(), key=lambda each: -len(each[0])))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def __call__(self, text: str) -> str:
        """``text`` with every secret in it replaced."""
        forms = self._forms
        for form, _ in forms:
            if form in text:
                break
        else:  # as it is with nearly every text of an event
            return text
        parts: list[str] = []
        done = 0
        for start, end, name in _spans(forms, text):
            parts += (text[done:start], f"[secret:{name}]")
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def cut(self, text: str, at: int, ended: bool) -> int:
        """Where to cut ``text``, at ``at`` or before it if that would cut a secret in two, behind one that is longer.

        0 when that cannot be told before there is more: it has not ``ended``.
        """
        forms = self._forms
        if not forms:
            return at
        # With so much behind it, what begins before the cut is there as a whole.
        longest = len(forms[0][0])
        window = text[: at + longest]
        if len(window) < at + longest and not ended:
            return 0
        for start, end, _ in _spans(forms, window):
            if start < at < end:
                return start or end
        return at


def _spans(forms: tuple[tuple[str, str], ...], text: str) -> Iterator[tuple[int, int, str]]:
    """Where secrets lie in ``text``, in order, those that overlap as one, with the name of the longest of each."""
    # One search of the whole text a form: there may be thousands, of a key of many lines, and few are ever there.
    places = [_places(form, name, text) for form, name in forms if form in text]
    start = end = longest = 0
    spanned = ""
    for at, length, name in heapq.merge(*places):
        if at >= end:
            if spanned:
                yield start, end, spanned
            start, longest = at, 0
        if length > longest:
            spanned, longest = name, length
        end = max(end, at + length)
    if spanned:
        yield start, end, spanned


def _places(form: str, name: str, text: str) -> Iterator[tuple[int, int, str]]:
    at = text.find(form)
    while at >= 0:
        yield at, len(form), name
        at = text.find(form, at + 1)


def _forms(value: str) -> set[str]:
    """Each form in which ``value`` or one of its lines may turn up."""
    pieces = {value, *(line.strip() for line in value.splitlines())}
    forms = set()
    for piece in pieces:
        if len(piece.strip()) < SHORTEST:
            continue
        data = piece.encode("utf-8", "surrogateescape")
        forms |= _base64(data)
        forms |= {
            piece,
            quote(data),
            quote(data, safe=""),
            quote_plus(data),
            _PERCENT.sub(lambda found: found[0].lower(), quote(data, safe="")),
            quote(quote(data, safe=""), safe=""),
            data.hex(),
            data.hex().upper(),
            html.escape(piece),
            html.escape(piece, quote=False),
            json.dumps(piece)[1:-1],
            json.dumps(piece, ensure_ascii=False)[1:-1],
            repr(piece)[1:-1],
            json.dumps(piece)[1:-1].replace("/", "\\/"),
            shlex.quote(piece),
            _UNSAFE.sub(r"\\\g<0>", piece),
        }
    return {form for form in forms if len(form) >= SHORTEST}


def _base64(data: bytes) -> set[str]:
    """How ``data`` looks in base64, by itself, and as a part of something longer, at any of the three places in it.

    At the edges a character holds bits of its neighbours too, and is left out.
    """
    forms = set()
    for offset in range(3):
        first = -(-offset * 8 // 6)
        last = (offset + len(data)) * 8 // 6
        encoded = base64.b64encode(bytes(offset) + data)[first:last].decode()
        # Anything short would be found by chance.
        forms |= {encoded} if len(encoded) >= _TELLING else set()
    whole = base64.b64encode(data).decode()
    forms |= {whole, whole.rstrip("=")}
    return forms | {form.translate(_URL_SAFE) for form in forms}
