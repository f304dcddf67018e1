"""The sites that campaigns run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.site import Site, server_table
from pushkit.testing import FaultProxy


@pytest.fixture(params=["dir", "ssh", "sftp_only"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A site to which two versions were pushed."""
    if request.param == "dir":
        made = Site(tmp_path, tmp_path / "live", strategy="dir", path="../live")
    else:
        server = request.getfixturevalue(f"{request.param}_server")
        directory = request.getfixturevalue(f"{request.param}_directory")
        table = server_table(server, directory.path, tmp_path / "known")
        made = Site(tmp_path, directory.local, copies=request.param == "ssh", **table)
    for _ in range(2):
        made.advance()
        done = made.push()
        assert done.code == 0, done.said
    return made


@pytest.fixture
def proxy(site: Site, fault_proxy: Callable[[str, int], FaultProxy]) -> FaultProxy:
    """What `site` is reached through from now on."""
    relay = fault_proxy(str(site.table["host"]), int(str(site.table["port"])))
    known = Path(str(site.table["known_hosts"]))
    known.write_text(known.read_text().replace(f":{site.table['port']} ", f":{relay.port} "))
    site.configure(port=relay.port)
    return relay
