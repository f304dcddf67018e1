"""The lifecycle events of a deployment, in the order in which they happen."""

from __future__ import annotations

from typing import Final

#: What an in-place deployment goes through. The six around traffic need a load balancer.
IN_PLACE: Final = (
    "BeforeBlockTraffic",
    "BlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
)

#: The events that CodeDeploy keeps for itself, by platform.
WITHOUT_SCRIPTS: Final = {
    "server": ("BlockTraffic", "DownloadBundle", "Install", "AllowTraffic"),
    "lambda": ("AllowTraffic",),
    "ecs": ("Install", "AllowTestTraffic", "AllowTraffic"),
}

#: The events that an AppSpec may have hooks for, by platform.
SCRIPTED: Final = {
    "server": tuple(event for event in IN_PLACE if event not in WITHOUT_SCRIPTS["server"]),
    "lambda": ("BeforeAllowTraffic", "AfterAllowTraffic"),
    "ecs": ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"),
}
