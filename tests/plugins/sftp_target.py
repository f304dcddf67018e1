"""A target with the strategy ``sftp`` on a server of the tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushkit.files import Remote
from pushkit.testing import SshServer
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.session import open_remote

#: What connects, where a test does not say; a fixture sets it.
TRANSPORTS = ["paramiko", "openssh"]
usual = {"transport": "auto"}


def table(server: SshServer, path: str = "site", **more: Any) -> dict[str, Any]:
    """The target's table for `server`; ``more`` changes it, and None leaves a key out."""
    found: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "key": str(server.key),
        "agent": False,
        "known_hosts": str(server.known_hosts),
        "path": path,
        **usual,
        **more,
    }
    return {key: value for key, value in found.items() if value is not None}


@contextmanager
def remote_on(
    server: SshServer,
    path: str = "site",
    *,
    cancelled: threading.Event | None = None,
    ask: Callable[[str], str] | None = None,
    **more: Any,
) -> Iterator[Remote]:
    """A connected remote on `server`; somebody may set ``cancelled``, and answers what they ``ask``."""
    options = SftpOptions.of(table(server, path, **more))
    remote = open_remote(options, Path("/nowhere"), server.user, cancelled or threading.Event(), ask=ask)
    try:
        yield remote
    finally:
        remote.close()
