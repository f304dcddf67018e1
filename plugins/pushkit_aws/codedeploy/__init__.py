"""The strategy ``codedeploy``: a bundle in a bucket, which AWS CodeDeploy deploys to the servers of a group."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_aws.codedeploy.strategy import CodeDeployStrategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return CodeDeployStrategy
