"""Real git repositories for tests, and a git that does something else first."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest


def git(top: Path, *arguments: str | Path) -> bytes:
    """What git prints in ``top``. It is somebody, and may clone from a directory."""
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "protocol.file.allow=always")
    return subprocess.run(["git", "-C", top, *identity, *arguments], check=True, capture_output=True).stdout


def init(top: Path) -> Path:
    """Make the directory ``top`` an empty git work tree, on the branch main."""
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    return top


def commit(top: Path, files: Mapping[str, bytes] | None = None) -> str:
    """Write ``files``, and commit all that is in ``top``, ignored or not; the name of the commit."""
    for name, data in (files or {}).items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    git(top, "add", "-A", "-f")
    git(top, "commit", "-q", "--allow-empty", "-m", "m")
    return git(top, "rev-parse", "HEAD").decode().strip()


def before_git(monkeypatch: pytest.MonkeyPatch, directory: Path, script: str) -> None:
    """From now on, each git runs ``script`` of sh first. ``directory`` is made for it."""
    directory.mkdir()
    (directory / "git").write_text(f'#!/bin/sh\n{script}\nexec {shutil.which("git")} "$@"\n')
    (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)
