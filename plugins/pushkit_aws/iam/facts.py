"""`Facts`: what policies are written for."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from pushkit_aws.appspec import Platform


class Facts(Struct, frozen=True):
    """A target of CodeDeploy, by the names that its ARNs are made of.

    ``account`` has twelve digits, ``partition`` is ``aws``, ``aws-cn`` or ``aws-us-gov``. Keys of bundles begin with
    ``prefix``. ``config`` is a deployment configuration's name, ``kms_key`` an ARN. Both, ``bucket``, ``function`` and
    ``pipeline`` are empty where there is none, and so is ``application`` of a function whose traffic push shifts
    itself. ``hooks`` are functions of Lambda that validate deployments, by name. ``alarms``: push looks at alarms.
    ``roles`` are the ARNs of those that a task definition names. ``mode`` is that of a target of the strategy ``s3``,
    which has a ``distribution`` of CloudFront or a ``pipeline``, that ``starts`` by push; without one it is empty.
    """

    platform: Platform
    region: str
    account: str
    application: str
    group: str
    config: str = ""
    bucket: str = ""
    prefix: str = ""
    function: str = ""
    pipeline: str = ""
    kms_key: str = ""
    hooks: tuple[str, ...] = ()
    alarms: bool = False
    roles: tuple[str, ...] = ()
    mode: Literal["", "bundle", "site"] = ""
    distribution: str = ""
    starts: bool = False
    partition: str = "aws"

    @property
    def objects(self) -> str:
        """The bundles."""
        return f"arn:{self.partition}:s3:::{self.bucket}/{self.prefix}*"

    @property
    def store(self) -> str:
        """The bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    def codedeploy(self, kind: str, name: str) -> str:
        """Something of CodeDeploy: ``application``, ``deploymentgroup`` or ``deploymentconfig``."""
        return f"arn:{self.partition}:codedeploy:{self.region}:{self.account}:{kind}:{name}"

    def lambda_function(self, name: str) -> str:
        """A function, by its name; an ARN is one already."""
        return (
            name
            if name.startswith("arn:")
            else f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{name}"
        )
