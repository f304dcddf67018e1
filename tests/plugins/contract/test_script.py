"""The strategy ``script`` keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.contract.trees import lying, read
from pushkit.testing import Specimen, StrategyContract


class TestScript(StrategyContract):
    strategy = "script"
    # What a script does, only the script knows.
    remembers = False
    sends = False

    @pytest.fixture
    def specimen(self, tmp_path: Path) -> Specimen:
        site = tmp_path / "site"
        site.mkdir()
        script = f'echo "with $TOKEN"; rm -rf {site}.old; mv {site} {site}.old; cp -R . {site}'
        back = f"rm -rf {site}; mv {site}.old {site}"
        return Specimen(
            options={"run": script, "rollback": back, "shell": True, "environment": {"TOKEN": "s3cr3t-t0ken"}},
            live=lambda: read(site),
            state=lambda: lying(tmp_path),
            unusable=[{"shell": False, "run": "no-such-program-at-all"}],
        )
