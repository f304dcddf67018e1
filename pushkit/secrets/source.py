"""What a secret source is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

SecretSource = Callable[[str, Path], str]
"""Resolves a reference: called with its part after the colon and the Pushfile's directory, returns the value.

Raises `pushkit.PushkitError`, whose message names the reference and never a value. Called at most once for each
reference of a target.
"""

STOPPED: ContextVar[threading.Event | None] = ContextVar("STOPPED", default=None)
"""Set when the user asks to stop, while references are resolved: a source that waits for long raises `Interrupted`."""
