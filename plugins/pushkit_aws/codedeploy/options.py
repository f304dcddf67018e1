"""`CodeDeployOptions`: what a target with the strategy ``codedeploy`` may say."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pushkit_aws.options import AwsOptions
from pushkit_aws.s3.options import S3Options

#: Names of applications and groups: the API reference of CodeDeploy, ApplicationName.
NAME = r"^[^\x00-\x1f]{1,100}$"


class CodeDeployOptions(AwsOptions):
    """Options of the strategy ``codedeploy``."""

    application: str = Field(pattern=NAME, description="The application, which is there already.")
    deployment_group: str = Field(pattern=NAME, description="Its deployment group.")
    bucket: str = Field(description="The bucket that the bundle is put into.")
    key: str = Field(
        default="{project}/{digest}.zip", description="The bundle's key, with fields as those of the strategy `s3`."
    )
    path_style: bool = Field(default=False, description="The bucket stands in the path of URLs, not in their host.")
    s3_endpoint_url: str = Field(default="", description="Another store that speaks S3, for the bundle.")
    appspec: str = Field(default="appspec.yml", description="The AppSpec, at the top of what is pushed.")
    deployment_config: str = Field(default="", description="How many at once; by default that of the group.")
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
    at_ready: Literal["continue", "wait"] = Field(
        default="continue",
        description="Blue/green, when the new servers are ready: move the traffic now, or wait for somebody who does.",
    )
    on_interrupt: Literal["stop", "leave"] = Field(
        default="stop", description="What Ctrl-C does to a deployment under way."
    )
    within: float = Field(
        default=3600, gt=0, allow_inf_nan=False, description="Seconds after which it is followed no longer."
    )
    every: float = Field(default=5, ge=0.05, le=600, description="Seconds between two looks.")

    @model_validator(mode="after")
    def _of_s3(self) -> Self:
        # Says at once what is wrong with the bucket or the key.
        self.for_s3()
        return self

    def for_s3(self) -> S3Options:
        """The options of the strategy ``s3`` for the bundle."""
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
