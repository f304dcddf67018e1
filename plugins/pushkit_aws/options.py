"""`AwsOptions`: what every target on AWS may say of where it is and who asks."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from pushkit import Options


class AwsOptions(Options):
    """Options of every strategy on AWS. What is missing, AWS's own configuration and environment say."""

    region: str = Field(default="", description="The region; by default the profile's or `AWS_REGION`.")
    profile: str = Field(default="", description="The profile of `~/.aws/config`, for keys, SSO or a role.")
    access_key_id: str = Field(default="", description="An access key, instead of what boto3 finds.")
    secret_access_key: SecretStr | None = Field(default=None, description="The secret of the access key.")
    session_token: SecretStr | None = Field(default=None, description="The token of a temporary access key.")
    endpoint_url: str = Field(default="", description="Another service that speaks the same protocol.")
    tls: Literal["verified", "none"] = Field(
        default="verified", description="`none` allows an `endpoint_url` with `http://`."
    )
    ca_file: str = Field(default="", description="Certificates of authorities to trust, instead of boto3's.")
    timeout: float = Field(default=60, gt=0, le=3600, description="Seconds that the service may be silent.")

    @field_validator("endpoint_url")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        if value:
            parts = urlsplit(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("expected a URL: https://s3.example.com")
            if parts.username or parts.password or parts.query or parts.fragment:
                raise ValueError("it holds a user, a query or a fragment; keys are options of their own")
            if not value.isascii() or any(character <= " " for character in value):
                raise ValueError("it holds what a URL cannot hold")
            _ = parts.port  # raises ValueError for what is no port
        return value

    @model_validator(mode="after")
    def _who(self) -> Self:
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("`access_key_id` and `secret_access_key` belong together")
        if self.session_token and not self.access_key_id:
            raise ValueError("`session_token` is of an `access_key_id`, which is missing")
        if self.access_key_id and self.profile:
            raise ValueError("expected either `profile` or `access_key_id`, found both")
        clear = urlsplit(self.endpoint_url).scheme == "http"
        if clear and self.tls != "none" and not _here(urlsplit(self.endpoint_url).hostname or ""):
            raise ValueError('`endpoint_url` has no TLS; write https://, or `tls = "none"`')
        return self


def _here(host: str) -> bool:
    """Whether it is this machine, to which nobody listens on the way."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
