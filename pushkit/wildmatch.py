"""git's glob patterns as regular expressions, to the letter, quirks included.

Source: ``wildmatch.c`` of git, with ``WM_PATHNAME``. Patterns and paths are bytes, as in git: ``?`` stands for
one byte, not for one character. Nothing ever matches a NUL, so that a search may run over many names at once.

The ``pathspec`` library differs: it has no named character classes and no escapes in brackets, fails on ``[z-a]``,
strips tabs, lets ``?`` match two bytes and a bracket a slash, and does not have git's ``foo**/bar``.

No pattern takes long: as in ``fnmatch``, what follows a star is looked for once, and where it is found first it
stays. See `join` for why nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

#: ``*``; ``**/`` at the beginning or after a slash; ``**`` there, before ``\/`` or at the end.
STAR = rb"[^/\0]*"
DEEP = rb"(?:|[^\0]*?/)"
ANY = rb"[^\0]*?"
NEVER = rb"(?!)"
EVERY = frozenset(range(1, 256)) - {ord("/")}
SPECIAL = re.compile(rb"[*?\[\\]").search

# git's own character classes (sane_ctype in git-compat-util.h), not the C library's: space has four members.
DIGIT = frozenset(b"0123456789")
UPPER = frozenset(range(ord("A"), ord("Z") + 1))
LOWER = frozenset(range(ord("a"), ord("z") + 1))
SPACE = frozenset(b" \t\n\r")
PRINT = frozenset(range(0x20, 0x7F))
ALNUM = DIGIT | UPPER | LOWER
CLASSES = {
    b"alnum": ALNUM,
    b"alpha": UPPER | LOWER,
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset(range(0x20)) | {0x7F},
    b"digit": DIGIT,
    b"graph": PRINT - SPACE,
    b"lower": LOWER,
    b"print": PRINT,
    b"punct": PRINT - ALNUM - {0x20},
    b"space": SPACE,
    b"upper": UPPER,
    b"xdigit": DIGIT | frozenset(b"abcdefABCDEF"),
}


class Malformed(ValueError):
    """A pattern that git never matches: an open bracket, an unknown class, a backslash at the end."""


def translate(pattern: bytes) -> bytes:
    """The regular expression that matches what ``pattern`` matches, to be used with ``fullmatch``."""
    try:
        return join(pieces(pattern))
    except Malformed:
        return NEVER


def join(found: Sequence[bytes]) -> bytes:
    """The parts as one regular expression, which never tries again what it tried before.

    A part that is atomic, ``(?>...)``, matches as early as it can and is not asked for another match:

    - ``*`` and what is between it and the next ``*``. If a slash is among that, there is one place for it. If not,
      the next ``*`` takes the bytes up to any later place, which are no slashes.
    - ``**`` and what is between it and the next ``**``. It ends with a slash, and the next ``**`` takes everything
      up to any later slash.
    """
    first, *others = split(found, (DEEP, ANY))
    if not others:
        return segment(first, final=True)
    *middle, last = others
    return b"".join(
        [
            segment(first, final=False),
            *(b"(?>" + opener + segment(parts, final=False) + b")" for opener, *parts in middle),
            last[0] + segment(last[1:], final=True),
        ]
    )


def segment(parts: Sequence[bytes], *, final: bool) -> bytes:
    """What is between two ``**``, or after the last one, which is ``final``: its last ``*`` has to find the end."""
    first, *others = (b"".join(chunk) for chunk in split(parts, (STAR,)))
    loose = others.pop() if final and others else b""
    return first + b"".join(b"(?>" + STAR + b"?" + chunk.removeprefix(STAR) + b")" for chunk in others) + loose


def split(parts: Sequence[bytes], openers: tuple[bytes, ...]) -> Iterator[list[bytes]]:
    """The parts before the first of ``openers``, and then those from each to the next."""
    starts = [at for at, part in enumerate(parts) if part in openers]
    for start, end in zip([0, *starts], [*starts, len(parts)], strict=True):
        yield list(parts[start:end])


def pieces(pattern: bytes) -> list[bytes]:
    """The parts of the regular expression. Raises `Malformed`."""
    found = []
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        start = at
        at += 1
        if char == b"*":
            while pattern[at : at + 1] == b"*":
                at += 1
            bounded = (start == 0 or pattern[start - 1 : start] == b"/") and (
                at == len(pattern) or pattern[at : at + 1] == b"/" or pattern[at : at + 2] == rb"\/"
            )
            if at - start == 1 or not bounded:
                found.append(STAR)
            elif pattern[at : at + 1] == b"/":
                found.append(DEEP)
                at += 1
            else:
                found.append(ANY)
        elif char == b"?":
            found.append(rb"[^/\0]")
        elif char == b"[":
            members, at = bracket(pattern, at)
            escaped = b"".join(re.escape(bytes([each])) for each in sorted(members))
            found.append(b"[" + escaped + b"]" if members else NEVER)
        else:
            if char == b"\\":
                char = pattern[at : at + 1]
                at += 1
                if not char:
                    raise Malformed(pattern)
            found.append(re.escape(char))
    return found


def bracket(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes that a bracket expression stands for, and where it ends. ``at`` is after its ``[``."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    previous = 0
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        char, at = take(pattern, at)
        if char == ord("\\"):
            char, at = take(pattern, at)
            members.add(char)
        elif char == ord("-") and previous and pattern[at : at + 1] not in (b"", b"]"):
            char, at = take(pattern, at)
            if char == ord("\\"):
                char, at = take(pattern, at)
            members.update(range(previous, char + 1))
            char = 0
        elif char == ord("[") and pattern[at : at + 1] == b":":
            end = pattern.find(b"]", at + 1)
            if end < 0:
                raise Malformed(pattern)
            if end - 1 > at and pattern[end - 1 : end] == b":":
                name = pattern[at + 1 : end - 1]
                if name not in CLASSES:
                    raise Malformed(pattern)
                members |= CLASSES[name]
                at = end + 1
                char = 0
            else:
                members.add(char)
        else:
            members.add(char)
        previous = char
    return (EVERY - members if negated else EVERY & members), at + 1


def take(pattern: bytes, at: int) -> tuple[int, int]:
    """The byte at ``at``, and where the next one is."""
    if at >= len(pattern):
        raise Malformed(pattern)
    return pattern[at], at + 1
