"""The strategy ``sftp``: a server that is reached by SSH."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_sftp.strategy import SftpStrategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return SftpStrategy
