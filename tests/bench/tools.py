"""The versions of what is measured, and of what it is measured with."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: How a program is asked for its version, where it is not by ``--version``.
ASKED = {
    "OpenSSH": ("ssh", "-V"),
    "git-ftp": ("git-ftp", "--version"),
    "rclone": ("rclone", "version"),
    "vsftpd": ("sh", "-c", "vsftpd -v 0>&1"),  # it takes its standard input for a socket to answer on
}


def used(tools: Iterable[str | Path]) -> str:
    """Each tool, which is a package, a program or the path of one, with its version, those that are there."""
    found = ((Path(tool).name, version_of(tool)) for tool in tools)
    return ", ".join(f"{name} {said}" for name, said in found if said)


def version_of(tool: str | Path) -> str:
    """Of one tool; empty where it is not installed."""
    if isinstance(tool, str):
        try:
            return version(tool)
        except PackageNotFoundError:
            pass
    program, *option = ASKED.get(Path(tool).name, (Path(tool).name, "--version"))
    command = [str(tool) if isinstance(tool, Path) else program, *option]
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    said = re.search(r"\d+(\.\d+)+\w*", done.stdout + done.stderr)
    return said[0] if said else "of an unknown version"
