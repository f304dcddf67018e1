"""`AwsOptions`: what every target on AWS may say of where it is and who asks."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from pushkit import Options, Secret, checks


class AwsOptions(Options):
    """Options of every strategy on AWS. What is missing, AWS's own configuration and environment say."""

    region: Annotated[str, Meta(description="The region; by default the profile's or `AWS_REGION`.")] = ""
    profile: Annotated[str, Meta(description="The profile of `~/.aws/config`, for keys, SSO or a role.")] = ""
    access_key_id: Annotated[str, Meta(description="An access key, instead of what boto3 finds.")] = ""
    secret_access_key: Annotated[Secret | None, Meta(description="The secret of the access key.")] = None
    session_token: Annotated[Secret | None, Meta(description="The token of a temporary access key.")] = None
    endpoint_url: Annotated[str, Meta(description="Another service that speaks the same protocol.")] = ""
    tls: Annotated[Literal["verified", "none"], Meta(description="`none` allows an `endpoint_url` with `http://`.")] = (
        "verified"
    )
    ca_file: Annotated[str, Meta(description="Certificates of authorities to trust, instead of boto3's.")] = ""
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds that the service may be silent.")] = 60

    @checks("endpoint_url")
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

    @checks()
    def _who(self) -> None:
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("`access_key_id` and `secret_access_key` belong together")
        if self.session_token and not self.access_key_id:
            raise ValueError("`session_token` is of an `access_key_id`, which is missing")
        if self.access_key_id and self.profile:
            raise ValueError("expected either `profile` or `access_key_id`, found both")
        clear = urlsplit(self.endpoint_url).scheme == "http"
        if clear and self.tls != "none" and not _here(urlsplit(self.endpoint_url).hostname or ""):
            raise ValueError('`endpoint_url` has no TLS; write https://, or `tls = "none"`')


def _here(host: str) -> bool:
    """Whether it is this machine, to which nobody listens on the way."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
