"""The AppSpec: the file that tells CodeDeploy what a revision is made of. `load` reads and validates one.

Rules: the AppSpec reference of the CodeDeploy user guide, and what version 1 of codedeploy-agent does.
"""

from __future__ import annotations

from pushkit_aws.appspec.emit import emit
from pushkit_aws.appspec.events import IN_PLACE, SCRIPTED, WITHOUT_SCRIPTS
from pushkit_aws.appspec.load import AppSpecError, load
from pushkit_aws.appspec.model import (
    AccessEntry,
    AppSpec,
    Behavior,
    Context,
    File,
    Function,
    Hook,
    Permission,
    Platform,
    Resource,
)

__all__ = [
    "IN_PLACE",
    "SCRIPTED",
    "WITHOUT_SCRIPTS",
    "AccessEntry",
    "AppSpec",
    "AppSpecError",
    "Behavior",
    "Context",
    "File",
    "Function",
    "Hook",
    "Permission",
    "Platform",
    "Resource",
    "emit",
    "load",
]
