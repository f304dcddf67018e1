"""Fixtures of the tests of plugins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins import sftp_target
from pushkit.testing import SeaweedFs
from pushkit.testing.plugin import require

#: Accounts of the S3 server, and what they may do in the bucket ``rights``: all that a push needs, or all but one.
ACCOUNTS = {
    "pusher": ("Read:rights", "Write:rights", "List:rights"),
    "no-read": ("Write:rights", "List:rights"),
    "no-write": ("Read:rights", "List:rights"),
    "no-list": ("Read:rights", "Write:rights"),
}


@pytest.fixture(params=sftp_target.TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What connects to targets with the strategy ``sftp``: each of them, one after the other."""
    monkeypatch.setitem(sftp_target.usual, "transport", request.param)
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFs]:
    """An S3 server, on a memory file system where there is one."""
    require(SeaweedFs)
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="seaweedfs-") as directory:
        server = SeaweedFs(Path(directory))
        for name, actions in ACCOUNTS.items():
            server.account_for(name, actions)
        with server:
            yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """CloudFront and CodePipeline, and the rest of AWS: where it listens."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
