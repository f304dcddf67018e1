"""`CodeDeployOptions`: what a target with the strategy ``codedeploy`` may say."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pushkit_aws.appspec import SCRIPTED, Platform
from pushkit_aws.function.check import CheckOptions
from pushkit_aws.options import AwsOptions
from pushkit_aws.s3.options import S3Options

#: Names of applications and groups: the API reference of CodeDeploy, ApplicationName.
NAME = r"^[^\x00-\x1f]{0,100}$"
#: A share of the traffic, such as 10%.
SHARE = re.compile(r"(\d{1,2}(?:\.\d+)?)%")
#: The options that not every platform has.
OF: dict[str, tuple[Platform, ...]] = {
    **dict.fromkeys(("file_exists", "ignore_stop_failures", "replacement_tags", "replacement_groups"), ("server",)),
    **dict.fromkeys(("bucket", "key", "path_style", "s3_endpoint_url"), ("server", "lambda")),
    **dict.fromkeys(("function", "alias", "shift", "pause", "check"), ("lambda",)),
    **dict.fromkeys(("task_definition", "images", "container", "port"), ("ecs",)),
    **dict.fromkeys(("appspec", "at_ready"), ("server", "ecs")),
    "hooks": ("lambda", "ecs"),
}
#: The options that say how CodeDeploy shifts the traffic, and those that say how push does.
BY_GROUP = ("deployment_config", "auto_rollback", "alarms", "hooks")
BY_PUSH = ("shift", "pause", "check")
#: Which options a platform cannot do without.
NEEDED: dict[Platform, tuple[str, ...]] = {
    "server": ("application", "deployment_group", "bucket"),
    "lambda": ("function",),
    "ecs": ("application", "deployment_group", "task_definition"),
}


class CodeDeployOptions(AwsOptions):
    """Options of the strategy ``codedeploy``."""

    platform: Platform = Field(default="server", description="What is deployed to: servers, a function, a service.")
    application: str = Field(default="", pattern=NAME, description="The application, which is there already.")
    deployment_group: str = Field(default="", pattern=NAME, description="Its deployment group.")
    bucket: str = Field(default="", description="The bucket that the bundle is put into; a function may do without.")
    key: str = Field(
        default="{project}/{digest}.zip", description="The bundle's key, with fields as those of the strategy `s3`."
    )
    path_style: bool = Field(default=False, description="The bucket stands in the path of URLs, not in their host.")
    s3_endpoint_url: str = Field(default="", description="Another store that speaks S3, for the bundle.")
    appspec: str = Field(
        default="appspec.yml", description="The AppSpec, at the top of what is pushed; a service may do without."
    )
    deployment_config: str = Field(
        default="", description="How many at once, or how the traffic is shifted; by default that of the group."
    )
    file_exists: Literal["", "DISALLOW", "OVERWRITE", "RETAIN"] = Field(
        default="", description="What becomes of files in the way that no deployment put there; by default DISALLOW."
    )
    ignore_stop_failures: bool = Field(
        default=False, description="Go on where ApplicationStop, of the revision before, fails."
    )
    auto_rollback: bool = Field(
        default=False, description="Deploy the last good revision when this one fails or an alarm stops it."
    )
    alarms: tuple[str, ...] = Field(default=(), description="CloudWatch alarms that stop it, instead of the group's.")
    replacement_tags: dict[str, str] = Field(
        default_factory=dict, description="Blue/green: the tags of the servers that are to get the traffic."
    )
    replacement_groups: tuple[str, ...] = Field(
        default=(), description="Blue/green: the Auto Scaling groups of the servers that are to get the traffic."
    )
    at_ready: Literal["continue", "wait"] = Field(
        default="continue",
        description="Blue/green, when the new servers are ready: move the traffic now, or wait for somebody who does.",
    )
    function: str = Field(default="", max_length=140, description="Of `lambda`: the function, which is there already.")
    alias: str = Field(
        default="live",
        max_length=128,
        pattern=r"^[a-zA-Z0-9_-]*[a-zA-Z_-][a-zA-Z0-9_-]*$",
        description="Of `lambda`: the alias that has the traffic; it is made when it is not there.",
    )
    hooks: dict[str, str] = Field(
        default_factory=dict, description="Of `lambda` and `ecs`: functions that validate the deployment, by event."
    )
    shift: tuple[str, ...] = Field(
        default=(),
        description="Of `lambda` without a group: the shares of the traffic that it gets one after the other, `10%`.",
    )
    pause: float = Field(
        default=60, ge=0, le=86400, description="Of `lambda` without a group: seconds that each share is looked at."
    )
    check: CheckOptions | None = Field(
        default=None, description="Of `lambda` without a group: what has to be well after each share."
    )
    task_definition: str = Field(
        default="", description="Of `ecs`: the task definition, a file of JSON, or one that is registered, `web:7`."
    )
    images: dict[str, str] = Field(
        default_factory=dict, description="Of `ecs`: images by container, with {project}, {revision} and {commit}."
    )
    container: str = Field(
        default="", description="Of `ecs`: the container that gets the traffic; by default the sole."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Of `ecs`: its port; by default the sole one.")
    on_interrupt: Literal["stop", "leave"] = Field(
        default="stop", description="What Ctrl-C does to a deployment under way."
    )
    within: float = Field(
        default=3600, gt=0, allow_inf_nan=False, description="Seconds after which it is followed no longer."
    )
    every: float = Field(default=5, ge=0.05, le=600, description="Seconds between two looks.")

    @field_validator("shift")
    @classmethod
    def _shares(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        shares = []
        for each in value:
            found = SHARE.fullmatch(each)
            if not found or not float(found[1]):
                raise ValueError(f'{each!r} is no share of the traffic between 0 and 100, such as "10%"')
            shares.append(float(found[1]))
        if any(after <= before for before, after in pairwise(shares)):
            raise ValueError("each share has to be larger than the one before")
        return value

    @model_validator(mode="after")
    def _of_platform(self) -> Self:
        for name, platforms in OF.items():
            if self.platform not in platforms and self._is_set(name):
                raise ValueError(f'`{name}` is for `platform = "{platforms[0]}"`')
        if bool(self.application) != bool(self.deployment_group):
            raise ValueError("`application` and `deployment_group` belong together")
        missing = [name for name in NEEDED[self.platform] if not getattr(self, name)]
        if missing:
            raise ValueError(f'`{missing[0]}` is missing, which `platform = "{self.platform}"` needs')
        if strange := sorted(set(self.hooks) - set(SCRIPTED[self.platform])):
            raise ValueError(f"`hooks`: {strange[0]} is none of {', '.join(SCRIPTED[self.platform])}")
        if self.platform == "lambda":
            for name in BY_PUSH if self.application else BY_GROUP:
                if self._is_set(name):
                    why = "CodeDeploy shifts the traffic" if self.application else "needs `application`"
                    raise ValueError(f"`{name}`: " + why)
        if self.bucket:
            # Says at once what is wrong with the bucket or the key.
            self.for_s3()
        return self

    def _is_set(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True))

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of the traffic, in percent."""
        return tuple(float(each.removesuffix("%")) for each in self.shift)

    def for_s3(self) -> S3Options:
        """The options of the strategy ``s3`` for the bundle. There is a bucket."""
        names = (
            "region",
            "profile",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "tls",
            "ca_file",
            "timeout",
        )
        values = {name: getattr(self, name) for name in names}
        return S3Options(
            **values,
            bucket=self.bucket,
            key=self.key,
            path_style=self.path_style,
            endpoint_url=self.s3_endpoint_url,
        )
