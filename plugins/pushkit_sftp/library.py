"""paramiko, without what it imports only to run the `Match exec` of a configuration that it is not given."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

# An entry of None is how Python says that there is no such module; paramiko.config does without this one, and loading
# it takes as long as all the rest.
_there = "invoke" in sys.modules
if not _there:
    sys.modules["invoke"] = cast("ModuleType", None)

import paramiko  # noqa: E402

if not _there:
    del sys.modules["invoke"]

__all__ = ["paramiko"]
