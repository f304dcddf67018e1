"""What a secret source is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SecretSource = Callable[[str, Path], str]
"""Resolves a reference: called with its part after the colon and the Pushfile's directory, returns the value.

Raises `pushkit.PushkitError`, whose message names the reference and never a value. Called at most once for each
reference of a target.
"""
