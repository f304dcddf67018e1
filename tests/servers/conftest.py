"""The hosts of a fleet, once for all tests of one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.testing import can_make_accounts
from servers.fleet_site import FleetSite, Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    if not can_make_accounts():
        pytest.skip("users of their own can only be made by root")
    made = Servers(tmp_path_factory.mktemp("fleet"))
    with made.stack:
        yield made


@pytest.fixture
def site(servers: Servers, tmp_path: Path) -> Iterator[FleetSite]:
    made = FleetSite(tmp_path, servers)
    made.write()
    yield made
    servers.heal()
