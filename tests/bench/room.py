"""How much room there is in a directory, and what kind of file system it is of."""

from __future__ import annotations

import shutil
from pathlib import Path

MEMORY = "tmpfs"
#: The part of what is free that may be used: others need some too.
PART = 0.6


def file_system(directory: Path) -> str:
    """The kind of file system of a directory; empty where the system does not say."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    kinds = {line.split()[1]: line.split()[2] for line in mounts.read_text().splitlines()}
    place = directory.resolve()
    return next((kinds[str(each)] for each in (place, *place.parents) if str(each) in kinds), "")


def room(directory: Path) -> float:
    """How many bytes may be written there."""
    free = shutil.disk_usage(directory).free
    memory = Path("/proc/meminfo")
    if file_system(directory) == MEMORY and memory.exists():
        lines = (line.split() for line in memory.read_text().splitlines())
        free = min(free, *(int(line[1]) << 10 for line in lines if line[0] == "MemAvailable:"))
    return free * PART
