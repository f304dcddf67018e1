"""The hosts of a fleet, once for all tests of one process, and a large tree, once for all of them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
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


@pytest.fixture(scope="session")
def django(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of Django, unpacked: 6,869 files, some empty, one with a name that is no ASCII.

    It is one for all processes of the tests, which leave it as it is.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root = shared / "django"
    with open(shared / "django.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            top = tmp_path_factory.mktemp("fetched")
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
            subprocess.run([*fetch, "--dest", str(top), "django==5.2"], check=True, timeout=300)
            subprocess.run(["tar", "-xzf", next(top.glob("*.tar.gz")), "-C", top], check=True)
            tree = next(path for path in top.iterdir() if path.is_dir())
            (tree / ".gitignore").unlink(missing_ok=True)
            tree.rename(root)
    return root


@pytest.fixture
def site(servers: Servers, tmp_path: Path) -> Iterator[FleetSite]:
    made = FleetSite(tmp_path, servers)
    made.write()
    yield made
    servers.heal()
