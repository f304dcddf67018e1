"""The strategy ``dir`` keeps the contract, in both layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.contract.trees import lying, read
from pushkit.testing import RemoteContract, RemoteSpecimen, Specimen, StrategyContract
from pushkit_dir.remote import LocalRemote


class TestReleases(StrategyContract):
    strategy = "dir"

    @pytest.fixture
    def specimen(self, tmp_path: Path) -> Specimen:
        site = tmp_path / "site"
        return Specimen(
            options={"path": str(site)},
            live=lambda: read(site / "current"),
            state=lambda: lying(tmp_path),
            unusable=[{"path": str(tmp_path / "nowhere/at/all")}],
        )


class TestMirror(StrategyContract):
    strategy = "dir"
    refuses = ("rollback", "switch")

    @pytest.fixture
    def specimen(self, tmp_path: Path) -> Specimen:
        site = tmp_path / "site"
        return Specimen(
            options={"path": str(site), "layout": "mirror"},
            live=lambda: read(site),
            state=lambda: lying(tmp_path),
            unusable=[{"path": str(tmp_path / "nowhere/at/all")}],
        )


class TestLocalRemote(RemoteContract):
    @pytest.fixture
    def specimen(self, tmp_path: Path) -> RemoteSpecimen:
        return RemoteSpecimen(lambda: LocalRemote(tmp_path), tmp_path)
