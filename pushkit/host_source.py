"""What a host source is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pushkit.model import Host
from pushkit.strategy import Run

HostSource = Callable[[str, Run], Sequence[Host]]
"""Lists hosts: called with what stands behind the colon in a Pushfile, ``dns:web.example.com``, and the run.

Raises `TargetError` when it cannot be asked, or names what is no host (`pushkit.fleet.parse` says what one is).
"""
