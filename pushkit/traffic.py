"""What turns the traffic from one pool of hosts to another: a plugin's function."""

from __future__ import annotations

from collections.abc import Callable

from pushkit.strategy import Run

Traffic = Callable[[str, str, Run], str]
"""Called with what stands behind the colon in ``traffic = { plugin = "NAME:..." }``, a pool, and the run.

With the name of a pool, it turns the traffic to that; it may be asked to do so again. With an empty one it changes
nothing. Either way it returns the name of the pool that has the traffic then, empty when that is not known. Raises
`TargetError`.
"""
