"""Real samples, and what may become of them on the way: fed to whatever reads what push did not write.

A sample gets past the first check of who reads it, which random bytes do not. How many are tried grows with
``PUSHKIT_CHAOS=full``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MORE = 100 if os.environ.get("PUSHKIT_CHAOS") == "full" else 1
#: Seconds that one sample may take; a reader that hangs takes for ever.
PATIENCE = 5
#: What readers stumble over: ends of lines and of texts, ways out, numbers that are none or too many, no UTF-8.
NASTY = (
    *(b"", b"\0", b"\n", b"\r\n", b"\r", b" ", b"\t", b"/", b"..", b"../", b"/../..", b"\\", b'"', b"'", b"#", b"%00"),
    *(b"-1", b"0", b"99999999999999999999", b"9" * 5000, b"1e999", b"Infinity", b"NaN", b"null", b"true", b"{}", b"[]"),
    *(
        b"\xff",
        b"\xc2\xb2",
        b"\xb2",
        b"\xe2\x80\xa8",
        b"\xd9\xa3",
        b"\\ud800",
        b"[" * 300,
        b"{" * 300,
        b"-",
        b"\x1b[2J",
    ),
    *(b"a" * 300, b"=", b":", b",", b";", b"*" * 30, b"${", b"$(id)", b"\xef\xbb\xbf"),
)


def tried(examples: int) -> Callable[[Any], Any]:
    """The settings of a test that tries so many samples."""
    every = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(max_examples=examples * MORE, deadline=PATIENCE * 1000, suppress_health_check=every)


@st.composite
def mangled(draw: st.DrawFn, *samples: bytes) -> bytes:
    """One of ``samples`` after a few changes: a piece of it cut, said again, moved, overwritten, or put elsewhere."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12) | st.integers(0, 400)))
        piece = data[start:end]
        match draw(st.integers(0, 6)):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:end] + piece * draw(st.integers(1, 40)) + data[end:]
            case 2 | 3:
                data = data[:start] + draw(st.sampled_from(NASTY)) + data[end:]
            case 4:
                data = data[:start] + draw(st.binary(max_size=8)) + data[end:]
            case 5:
                other = draw(st.sampled_from(samples))
                data = data[:start] + other[draw(st.integers(0, len(other))) :]
            case _:
                # Many words of a format are between these, and a whole one of them is another.
                words = data.split(draw(st.sampled_from([b" ", b"\n", b'"', b"\0", b",", b"\t"])))
                word = draw(st.sampled_from(words))
                data = data.replace(word, draw(st.sampled_from(NASTY)), 1) if word else data
    return data


def mangled_text(*samples: str) -> st.SearchStrategy[str]:
    """As `mangled`, of texts as they are read from files of any encoding."""
    return mangled(*(each.encode() for each in samples)).map(lambda data: data.decode("utf-8", "replace"))
