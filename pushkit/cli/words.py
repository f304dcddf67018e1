"""Which of a command line's words is a target, and which is a push or a release."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pushkit.cli.context import target_names
from pushkit.cli.settings import Settings
from pushkit.errors import UsageError

OTHER = re.compile(r"[0-9].*|[0-9a-f]{4,40}", re.DOTALL).fullmatch


def told_apart(settings: Settings, words: Sequence[str], what: str, *, needed: bool = False) -> tuple[list[str], str]:
    """The target among ``words``, in a list, empty for the default one; and the other word, empty when there is none.

    The other word is a ``what``: a push's number or a release's id, which begin with a digit, or how a revision begins.
    Of two words that are neither, it is the second. Raises `UsageError` where it is ``needed`` and missing, or where
    there are too many words.
    """
    targets: list[str] = []
    others: list[str] = []
    for word in words:
        is_other = bool(OTHER(word)) and word not in target_names(settings)
        (others if is_other else targets).append(word)
    if len(targets) == 2 and not others:
        others.append(targets.pop())
    if len(targets) > 1 or len(others) > 1:
        raise UsageError(f"too many words: {' '.join(words)}", hint=f"one target at most, and one {what}")
    if needed and not others:
        raise UsageError(f"no {what} is named", hint="see which there are: push status")
    return targets, "".join(others)
