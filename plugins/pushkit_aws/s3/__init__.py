"""The strategy ``s3``: the project as one object of a bucket, or as a site of many."""

from __future__ import annotations

from typing import Any

from pushkit import Strategy, hookimpl
from pushkit_aws.s3.strategy import S3Strategy


@hookimpl
def pushkit_strategy() -> type[Strategy[Any]]:
    """The strategy's class."""
    return S3Strategy
