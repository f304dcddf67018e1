"""The options that every benchmark has."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from page import PAGE

MEMORY = Path("/dev/shm")
PAIRS = 3


def parser(description: str | None, *, directory: Path = MEMORY) -> argparse.ArgumentParser:
    """They are ``--pairs``, ``--scale``, ``--directory`` and ``--write``; a benchmark adds its own."""
    words = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--pairs", type=int, default=PAIRS, help="how many rounds count (default: %(default)s)")
    words.add_argument("--scale", type=float, default=1.0, help="the part of the files, bytes or hosts that is taken")
    words.add_argument(
        "--directory",
        type=Path,
        default=directory if directory.is_dir() else Path(tempfile.gettempdir()),
        help="where all files lie (default: %(default)s)",
    )
    words.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=PAGE,
        metavar="PAGE",
        help="put the figures in the place of those before, on docs/benchmarks.md or another page",
    )
    return words


def parsed(words: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for. All that is temporary lies in the directory from now on, users of servers too."""
    chosen = words.parse_args()
    tempfile.tempdir = str(chosen.directory)
    return chosen
