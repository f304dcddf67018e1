"""What this machine's processor does by itself."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from platform import machine

#: Linux tells of each processor, and takes its time for hundreds: the first is within so many characters.
FIRST = 8192


@cache
def has_aes() -> bool:
    """Whether it has instructions for AES, as far as that is known."""
    if sys.platform == "darwin":
        return machine() == "arm64"
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            said = file.read(FIRST)
    except OSError:
        return False
    return bool(re.search(r"^(?:flags|Features)\s*:.*\baes\b", said, re.MULTILINE))
