"""The beginning of a text of somebody else's."""

from __future__ import annotations


def excerpt(text: str, length: int) -> str:
    """``text`` on one line, of at most ``length`` characters, and never a part of a word.

    What a server says may hold a secret that it was told: `Run.excerpt` hides it before it is cut.
    """
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    return text[: length + 1].rpartition(" ")[0] + " ..."
