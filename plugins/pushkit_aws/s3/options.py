"""`S3Options`: what a target with the strategy ``s3`` may say."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pushkit_aws.options import AwsOptions

FIELD = re.compile(r"\{(\w*)\}")
FIELDS = ("project", "target", "revision", "commit", "digest")
#: The rules of names of buckets: "General purpose bucket naming rules" of the S3 user guide.
BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
LONGEST = 1024  # bytes of a key
HEADER = re.compile(r"[\x20-\x7e]+")
BUNDLE = {"key", "archive", "pipeline", "pipeline_start", "pipeline_within"}
SITE = {
    *("prefix", "pages", "cache", "types", "compress", "redirects"),
    *("remove", "distribution", "origin_path", "most_paths", "connections"),
}


class S3Options(AwsOptions):
    """Options of the strategy ``s3``."""

    bucket: str = Field(description="The bucket, which is there already.")
    mode: Literal["bundle", "site"] = Field(
        default="bundle", description="`bundle`: one archive at one key. `site`: an object for each file."
    )
    path_style: bool = Field(default=False, description="The bucket stands in the path of URLs, not in their host.")
    key: str = Field(
        default="{project}.zip",
        description="Of a bundle: its key, with fields: " + ", ".join(f"{{{each}}}" for each in FIELDS) + ".",
    )
    archive: Literal["", "tar.gz", "zip"] = Field(
        default="", description="What the snapshot is packed as; by default as the key ends, else a zip."
    )
    pipeline: str = Field(default="", description="Of a bundle: the pipeline of CodePipeline that is followed.")
    pipeline_start: bool = Field(
        default=False, description="Start the pipeline; by default its source sees the bundle."
    )
    pipeline_within: float = Field(
        default=1800, gt=0, allow_inf_nan=False, description="Seconds after which the pipeline is given up."
    )
    prefix: str = Field(default="", description="Of a site: what its keys begin with, `blog/`.")
    pages: tuple[str, ...] = Field(
        default=("*.html", "*.htm"), description="Patterns of what is sent last, since it names the rest."
    )
    cache: dict[str, str] = Field(
        default_factory=dict, description="`Cache-Control` by pattern; the first that matches counts."
    )
    types: dict[str, str] = Field(
        default_factory=dict, description="`Content-Type` by pattern, before what push knows of endings."
    )
    compress: tuple[str, ...] = Field(
        default=(), description="Patterns of what is sent compressed by gzip, where that is smaller."
    )
    redirects: dict[str, str] = Field(
        default_factory=dict, description="Keys that lead elsewhere: `/path` of this site, or a URL."
    )
    remove: bool = Field(default=True, description="What a push put there and the project lost is removed.")
    distribution: str = Field(default="", description="The id of the CloudFront distribution to invalidate.")
    origin_path: str = Field(default="", description="The distribution's origin path, which its URLs lack.")
    most_paths: int = Field(
        default=100, ge=1, le=3000, description="With more paths to invalidate, whole directories are."
    )
    connections: int = Field(default=16, ge=1, le=64, description="How many objects are sent at once.")

    @field_validator("bucket")
    @classmethod
    def _bucket(cls, value: str) -> str:
        if not BUCKET.fullmatch(value):
            raise ValueError("expected the name of a bucket, 3 to 63 of a-z, 0-9, - and .")
        return value

    @field_validator("key")
    @classmethod
    def _key(cls, value: str) -> str:
        for name in FIELD.findall(value):
            if name not in FIELDS:
                raise ValueError(f"{{{name}}} is no field: there are {', '.join(f'{{{each}}}' for each in FIELDS)}")
        return checked_key(value)

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        value = value.strip("/")
        return checked_key(value) + "/" if value else ""

    @field_validator("origin_path")
    @classmethod
    def _origin_path(cls, value: str) -> str:
        return value.strip("/")

    @field_validator("cache", "types")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        for header in value.values():
            if not HEADER.fullmatch(header):
                raise ValueError(f"{header!r} cannot stand in a header")
        return value

    @field_validator("redirects")
    @classmethod
    def _redirects(cls, value: dict[str, str]) -> dict[str, str]:
        for key, goal in value.items():
            checked_key(key)
            if not goal.startswith(("/", "http://", "https://")) or not HEADER.fullmatch(goal):
                raise ValueError(f"{goal!r} is neither a path, /new.html, nor a URL")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        strange = sorted(self.model_fields_set & (BUNDLE if self.mode == "site" else SITE))
        if strange:
            other = "bundle" if self.mode == "site" else "site"
            raise ValueError(f'`{strange[0]}` is for `mode = "{other}"`')
        if self.pipeline_start and not self.pipeline:
            raise ValueError("`pipeline_start` is about a `pipeline`, which is missing")
        if self.origin_path and not self.distribution:
            raise ValueError("`origin_path` is of a `distribution`, which is missing")
        return self

    @property
    def packing(self) -> Literal["tar.gz", "zip"]:
        """What the bundle is packed as."""
        if self.archive:
            return self.archive
        return "tar.gz" if self.key.endswith((".tar.gz", ".tgz")) else "zip"


def checked_key(key: str) -> str:
    if not key or key.startswith("/") or any(ord(each) < 32 or ord(each) == 127 for each in key):
        raise ValueError("expected a key: no slash in front, no control characters")
    if len(key.encode(errors="surrogateescape")) > LONGEST or any(part in {".", ".."} for part in key.split("/")):
        raise ValueError(f"a key has no part that is . or .., and at most {LONGEST} bytes")
    return key
