"""``push demo``: a whole push on this machine, to an SSH server of its own."""

from __future__ import annotations

from pushkit.demo.demo import Demo

__all__ = ["Demo"]
