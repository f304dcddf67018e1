"""The manifests of a target that this machine has seen: what need not travel again to compare with what is live.

They are kept by their digest, between commands. What a target says that it has is never taken from here: only content
that the target names by its digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from pushkit import index, manifest
from pushkit.strategy import Run

MAGIC = b"pushkit-known 1\n"
#: What is live, and what was before that.
MOST = 2
NAME = re.compile(r"[0-9a-f]{64}")


class Known:
    """The manifests that were seen on the target of ``run``."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def digests(self) -> Sequence[str]:
        """Those of the manifests that are there, in order: the same for as long as this is asked."""
        try:
            return sorted(filter(NAME.fullmatch, os.listdir(self._directory)))
        except OSError:
            return ()

    def content(self, digest: str) -> bytes:
        """The manifest of this digest, which a target may have said; empty when it is not there, or damaged."""
        return index.read(self._directory / digest, MAGIC) if NAME.fullmatch(digest) else b""

    def keep(self, content: bytes) -> None:
        """Keep a manifest, and of the others those that were kept last."""
        try:
            manifest.check_digest(content)
        except ValueError:
            return
        digest = manifest.digest(content)
        file = self._directory / digest
        with suppress(OSError):
            if file.exists():
                os.utime(file)
                return
            index.write(file, MAGIC, content)
            there = [each for each in self._directory.iterdir() if NAME.fullmatch(each.name)]
            for old in sorted(there, key=lambda each: each.stat().st_mtime)[:-MOST]:
                old.unlink(missing_ok=True)

    @cached_property
    def _directory(self) -> Path:
        return self._run.kept("manifests")
