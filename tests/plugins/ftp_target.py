"""A target with the strategy ``ftp`` on a server of the tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushkit.testing.ftp import FtpServer
from pushkit_ftp.certificates import context_for
from pushkit_ftp.options import FtpOptions
from pushkit_ftp.remote import FtpRemote
from pushkit_ftp.server import Server


def table(server: FtpServer, path: str = "site", **more: Any) -> dict[str, Any]:
    """The target's table for `server`; ``more`` changes it, and None leaves a key out."""
    found: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "path": path,
        **({"ca_file": str(server.authority)} if server.authority else {"tls": "none"}),
        **more,
    }
    return {key: value for key, value in found.items() if value is not None}


@contextmanager
def remote_on(
    server: FtpServer, path: str = "site", *, warnings: list[str] | None = None, **more: Any
) -> Iterator[FtpRemote]:
    """A connected remote on `server`; what it warns of is added to ``warnings``."""
    options = FtpOptions.of(table(server, path, **more))
    told = [] if warnings is None else warnings
    password = options.password.reveal() if options.password else ""
    known = Server(options, context_for(options, Path("/nowhere")), password, told.append)
    remote = FtpRemote(known, threading.Event())
    try:
        yield remote
    finally:
        remote.close()
