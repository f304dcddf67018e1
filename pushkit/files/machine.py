"""Which machine a push runs on, so that a push on the same one can tell whether it still does."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

#: What tells a boot of a machine, and a container on it, from all others. The first two are random numbers.
PARTS = (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id"))
PROCESSES = "/proc/self/ns/pid"


@cache
def machine() -> str:
    """A name for this machine until it is started again, the same for who shares its process numbers; else empty."""
    try:
        parts = [path.read_bytes() for path in PARTS if path.exists()]
        parts.append(os.readlink(PROCESSES).encode())
    except OSError:
        return ""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32] if len(parts) > 1 else ""


def runs(name: str, process: int) -> bool | None:
    """Whether a process of the machine ``name`` runs; None when that is another machine."""
    if not name or name != machine() or process <= 0:
        return None
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
