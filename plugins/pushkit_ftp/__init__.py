"""The strategy ``ftp``: a server that is reached by FTP, over TLS unless the Pushfile says otherwise."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_ftp.strategy import FtpStrategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return FtpStrategy
