"""Fixtures of the tests of plugins."""

from __future__ import annotations

import pytest

from plugins import sftp_target


@pytest.fixture(params=sftp_target.TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What connects to targets with the strategy ``sftp``: each of them, one after the other."""
    monkeypatch.setitem(sftp_target.usual, "transport", request.param)
    name: str = request.param
    return name
