"""Hiding resolved secrets in whatever leaves pushkit: events, messages, tracebacks."""

from __future__ import annotations

import base64
import heapq
import html
import json
import re
import shlex
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""The length in characters from which a value, or a line of one, is hidden."""


_URL_SAFE = str.maketrans("+/", "-_")
_PERCENT = re.compile("%[0-9A-F]{2}")
# Characters of base64 from which a part of it tells a secret.
_TELLING = 6
# What bash's `printf %q` writes a backslash before.
_UNSAFE = re.compile(r"[^\w@%+=:,./-]", re.ASCII)
# How many bytes of what it encodes `base64`, `openssl base64` and `xxd -p` write on a line.
_BASE64_LINES, _HEX_LINE = (57, 48), 30
# How a shell goes on within a text in quotes, and what HTML, forms and CSV make of a character beside what Python does.
_SPELLINGS = {
    "'": ("'\\''", "'\"'\"'", "&#39;", "&#039;", "&#x27;", "&apos;"),
    '"': ("&quot;", "&#34;", '""'),
    "!": ("'\\!'",),
    " ": ("+",),
}


class Redactor:
    """Replaces each secret it knows by ``[secret:NAME]``. False while it knows none. Safe to use from threads.

    A secret is found as it is and in the forms it takes on its way: quoted for a URL, a shell, JSON, HTML or Python,
    or character by character in any of these ways, in base64, also as a part of what was encoded or on several lines,
    and in hexadecimal; so is each line of one that has several. A value of fewer than four characters, spaces around it
    not counted, is not hidden: it would turn up in any text, and the marks would tell where.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each form with the name of its secret, the longest first; patterns of what a form may be a mixture of.
        self._forms: tuple[tuple[str, str], ...] = ()
        self._mixtures: tuple[tuple[Mixture, str], ...] = ()

    def add(self, name: str, value: str) -> None:
        """Hide ``value`` from now on, under ``name``. A value that is known keeps its first name."""
        with self._lock:
            names = dict(self._forms)
            for form in _forms(value):
                names.setdefault(form, name)
            if len(names) > len(self._forms):
                self._mixtures += tuple((each, name) for each in map(Mixture.of, _pieces(value)) if each)
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
            if not any(each.pattern.search(text) for each, _ in self._mixtures):
                return text
        parts: list[str] = []
        done = 0
        for start, end, name in _spans(forms, self._mixtures, text):
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
        longest = max([len(forms[0][0]), *(each.longest for each, _ in self._mixtures)])
        window = text[: at + longest]
        if len(window) < at + longest and not ended:
            return 0
        for start, end, _ in _spans(forms, self._mixtures, window):
            if start < at < end:
                return start or end
        return at


class Mixture(NamedTuple):
    """A secret in which each character may be written in another way: what `bash -x` shows of one with a quote in it.

    ``longest`` is how many characters that takes at most.
    """

    pattern: re.Pattern[str]
    longest: int

    @classmethod
    def of(cls, piece: str) -> Mixture | None:
        """All that ``piece`` may look like; None where nothing in it is ever written in another way."""
        if piece.isascii() and piece.isalnum():
            return None
        ways = [_spelling(char) for char in piece]
        # A character that was taken one way is not tried another: what a server says must not cost time without end.
        pattern = "".join(f"(?>{'|'.join(way)})" if len(way) > 1 else way[0] for way in ways)
        return cls(re.compile(pattern), sum(max(map(len, way)) for way in ways))


@cache
def _spelling(char: str) -> Sequence[str]:
    """The ways to write ``char``, each as a pattern, the longer ones first."""
    if char.isascii() and char.isalnum():
        return (char,)
    data = char.encode("utf-8", "surrogateescape")
    percent = "".join(f"%{byte:02X}" for byte in data)
    ways = {char, f"\\{char}", *_SPELLINGS.get(char, ()), json.dumps(char)[1:-1], repr(char)[1:-1], html.escape(char)}
    # Of bytes, as Python, C and git write them.
    ways |= {"".join(f"\\x{byte:02x}" for byte in data), "".join(f"\\{byte:03o}" for byte in data)}
    if ord(char) < 1 << 16:
        ways.add(f"\\u{ord(char):04x}")
    coded = {percent, percent.replace("%", "%25")}
    patterns = {re.escape(way) for way in ways if way} | {f"(?i:{re.escape(way)})" for way in coded}
    patterns |= {f"(?i:{re.escape(way)})" for way in ways if way.startswith(("\\u", "\\x"))}
    return sorted(patterns, key=lambda each: (-len(each), each))


def _spans(
    forms: tuple[tuple[str, str], ...], mixtures: tuple[tuple[Mixture, str], ...], text: str
) -> Iterator[tuple[int, int, str]]:
    """Where secrets lie in ``text``, in order, those that overlap as one, with the name of the longest of each."""
    # One search of the whole text a form: there may be thousands, of a key of many lines, and few are ever there.
    places = [_places(form, name, text) for form, name in forms if form in text]
    places += [_mixed(each.pattern, name, text) for each, name in mixtures if each.pattern.search(text)]
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


def _mixed(pattern: re.Pattern[str], name: str, text: str) -> Iterator[tuple[int, int, str]]:
    found = pattern.search(text)
    while found:
        yield found.start(), len(found[0]), name
        found = pattern.search(text, found.start() + 1)


def can_be_hidden(value: str) -> bool:
    """Whether ``value`` is long enough to be told from other text."""
    return len(value.strip()) >= SHORTEST


def _pieces(value: str) -> Iterable[str]:
    """``value`` and each line of it, as far as they can be hidden."""
    return {piece for piece in (value, *map(str.strip, value.splitlines())) if can_be_hidden(piece)}


def _forms(value: str) -> set[str]:
    """Each form in which ``value`` or one of its lines may turn up."""
    forms = _wrapped(value.encode("utf-8", "surrogateescape")) if can_be_hidden(value) else set()
    for piece in _pieces(value):
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


def _wrapped(data: bytes) -> set[str]:
    """Each line of ``data`` in base64 or hexadecimal, where that takes more than one."""
    forms = set()
    for size in _BASE64_LINES if len(data) > min(_BASE64_LINES) else ():
        lines = [data[at : at + size] for at in range(0, len(data), size)]
        forms |= {base64.b64encode(line).decode() for line in lines[:-1]}
        # A line end may have come behind it.
        forms |= {base64.b64encode(lines[-1])[: len(lines[-1]) * 8 // 6].decode()}
    forms |= (
        {data[at : at + _HEX_LINE].hex() for at in range(0, len(data), _HEX_LINE)} if len(data) > _HEX_LINE else set()
    )
    return {form for form in forms if len(form) >= _TELLING}


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
