"""The sites that campaigns run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.disk import Disk
from chaos.site import ALL, KINDS, Site, server_table
from pushkit.testing import FaultProxy


@pytest.fixture(params=ALL)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A site to which two versions were pushed."""
    made = site_of(request, tmp_path, request.param)
    made.begin()
    return made


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A small file system that is mounted at the target's place by `site_on_disk`."""
    with Disk() as disk:
        yield disk


@pytest.fixture(params=[*ALL, "spares-ssh"])
def site_on_disk(request: pytest.FixtureRequest, tmp_path: Path, disk: Disk) -> Site:
    """As `site`, its target the directory ``site`` of `disk`."""
    made = site_of(request, tmp_path, request.param, disk)
    made.begin()
    return made


@pytest.fixture
def proxy(site: Site, fault_proxy: Callable[[str, int], FaultProxy]) -> FaultProxy:
    """What `site` is reached through from now on."""
    relay = fault_proxy(str(site.table["host"]), int(str(site.table["port"])))
    known = Path(str(site.table["known_hosts"]))
    known.write_text(known.read_text().replace(f":{site.table['port']} ", f":{relay.port} "))
    site.configure(port=relay.port)
    return relay


def site_of(request: pytest.FixtureRequest, root: Path, kind: str, disk: Disk | None = None) -> Site:
    """A site of a kind that `ALL` names, with a ``disk`` of its own or without."""
    layout, way = kind.split("-")
    local = root / "live"
    table: dict[str, object] = {"strategy": "dir", "path": "../live"}
    if way != "dir":
        server = request.getfixturevalue(f"{way}_server")
        directory = request.getfixturevalue(f"{way}_directory")
        local, table = directory.local, server_table(server, directory.path, root / "known")
    if disk:
        disk.mount(local)
        local, table = local / "site", table | {"path": f"{table['path']}/site"}
    return KINDS[layout](root, local, copies=way != "sftp_only", **table)
