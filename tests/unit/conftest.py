"""What several tests of one module each need."""

from __future__ import annotations

from pathlib import Path

import pytest

from repository import init


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git work tree, and a person without a configuration of git or a cache."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return init(tmp_path / "project")
