"""Which error messages a run of the tests has reached, of all that the code has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import messages
from messages import Message

#: A file of a package, wherever that is installed.
MODULE = re.compile(r".*/(pushkit(?:_[a-z]+)?/.*\.py):(\d+)")


def reached(lines: Iterable[str]) -> set[tuple[str, int]]:
    """The places, a file of a package and a line, that were written down by `recorder`."""
    return {(found[1], int(found[2])) for line in lines if (found := MODULE.fullmatch(line.strip()))}


def unreached(record: Path) -> Sequence[Message]:
    """The messages that are not in the ``record`` of a run."""
    places = reached(record.read_text(errors="surrogateescape").splitlines())
    return [each for each in messages.messages() if (each.file.removeprefix("plugins/"), each.line) not in places]
