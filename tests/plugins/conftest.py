"""Fixtures of the tests of plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from plugins import sftp_target
from pushkit.testing import SeaweedFs

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
def s3_accounts() -> Mapping[str, Sequence[str]]:
    """The accounts of the S3 server."""
    return ACCOUNTS


@pytest.fixture(scope="session")
def seaweedfs(s3_server: SeaweedFs) -> SeaweedFs:
    """The S3 server."""
    return s3_server


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """CloudFront and CodePipeline, and the rest of AWS: where it listens."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
