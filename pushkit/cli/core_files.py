"""Core files: none of push, nor of what it runs, where secrets would lie for ever."""

from __future__ import annotations

import resource


def leave_none() -> None:
    """Let no process that begins here leave a core file; one that asks for its own may raise the limit again.

    One byte, since the kernel takes a limit of 0 as no limit where a program receives core files (core(5)).
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
