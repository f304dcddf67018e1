"""`CodeDeployOptions`: what a target with the strategy ``codedeploy`` may say."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta, field

from pushkit import checks
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

    platform: Annotated[Platform, Meta(description="What is deployed to: servers, a function, a service.")] = "server"
    application: Annotated[str, Meta(pattern=NAME, description="The application, which is there already.")] = ""
    deployment_group: Annotated[str, Meta(pattern=NAME, description="Its deployment group.")] = ""
    bucket: Annotated[str, Meta(description="The bucket that the bundle is put into; a function may do without.")] = ""
    key: Annotated[str, Meta(description="The bundle's key, with fields as those of the strategy `s3`.")] = (
        "{project}/{digest}.zip"
    )
    path_style: Annotated[bool, Meta(description="The bucket stands in the path of URLs, not in their host.")] = False
    s3_endpoint_url: Annotated[str, Meta(description="Another store that speaks S3, for the bundle.")] = ""
    appspec: Annotated[
        str, Meta(description="The AppSpec, at the top of what is pushed; a service may do without.")
    ] = "appspec.yml"
    deployment_config: Annotated[
        str, Meta(description="How many at once, or how the traffic is shifted; by default that of the group.")
    ] = ""
    file_exists: Annotated[
        Literal["", "DISALLOW", "OVERWRITE", "RETAIN"],
        Meta(description="What becomes of files in the way that no deployment put there; by default DISALLOW."),
    ] = ""
    ignore_stop_failures: Annotated[
        bool, Meta(description="Go on where ApplicationStop, of the revision before, fails.")
    ] = False
    auto_rollback: Annotated[
        bool, Meta(description="Deploy the last good revision when this one fails or an alarm stops it.")
    ] = False
    alarms: Annotated[tuple[str, ...], Meta(description="CloudWatch alarms that stop it, instead of the group's.")] = ()
    replacement_tags: Annotated[
        dict[str, str], Meta(description="Blue/green: the tags of the servers that are to get the traffic.")
    ] = field(default_factory=dict)
    replacement_groups: Annotated[
        tuple[str, ...],
        Meta(description="Blue/green: the Auto Scaling groups of the servers that are to get the traffic."),
    ] = ()
    at_ready: Annotated[
        Literal["continue", "wait"],
        Meta(
            description="Blue/green, when the new servers are ready: move the traffic now, or wait for somebody "
            "who does."
        ),
    ] = "continue"
    function: Annotated[str, Meta(max_length=140, description="Of `lambda`: the function, which is there already.")] = (
        ""
    )
    alias: Annotated[
        str,
        Meta(
            max_length=128,
            pattern=r"^[a-zA-Z0-9_-]*[a-zA-Z_-][a-zA-Z0-9_-]*$",
            description="Of `lambda`: the alias that has the traffic; it is made when it is not there.",
        ),
    ] = "live"
    hooks: Annotated[
        dict[str, str], Meta(description="Of `lambda` and `ecs`: functions that validate the deployment, by event.")
    ] = field(default_factory=dict)
    shift: Annotated[
        tuple[str, ...],
        Meta(
            description="Of `lambda` without a group: the shares of the traffic that it gets one after the "
            "other, `10%`."
        ),
    ] = ()
    pause: Annotated[
        float, Meta(ge=0, le=86400, description="Of `lambda` without a group: seconds that each share is looked at.")
    ] = 60
    check: Annotated[
        CheckOptions | None, Meta(description="Of `lambda` without a group: what has to be well after each share.")
    ] = None
    task_definition: Annotated[
        str, Meta(description="Of `ecs`: the task definition, a file of JSON, or one that is registered, `web:7`.")
    ] = ""
    images: Annotated[
        dict[str, str], Meta(description="Of `ecs`: images by container, with {project}, {revision} and {commit}.")
    ] = field(default_factory=dict)
    container: Annotated[
        str, Meta(description="Of `ecs`: the container that gets the traffic; by default the sole.")
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Of `ecs`: its port; by default the sole one.")] | None = None
    on_interrupt: Annotated[
        Literal["stop", "leave"], Meta(description="What Ctrl-C does to a deployment under way.")
    ] = "stop"
    within: Annotated[float, Meta(gt=0, description="Seconds after which it is followed no longer.")] = 3600
    every: Annotated[float, Meta(ge=0.05, le=600, description="Seconds between two looks.")] = 5

    @checks("shift")
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

    @checks()
    def _of_platform(self) -> None:
        for name, platforms in OF.items():
            if self.platform not in platforms and self.is_set(name):
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
                if self.is_set(name):
                    why = "CodeDeploy shifts the traffic" if self.application else "needs `application`"
                    raise ValueError(f"`{name}`: " + why)
        if self.bucket:
            # Says at once what is wrong with the bucket or the key.
            self.for_s3()

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
