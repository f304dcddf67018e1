"""`S3Options`: what a target with the strategy ``s3`` may say."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, field

from pushkit import checks
from pushkit_aws.options import AwsOptions

FIELD = re.compile(r"\{(\w*)\}")
FIELDS = ("project", "target", "revision", "commit", "digest")
#: The rules of names of buckets: "General purpose bucket naming rules" of the S3 user guide.
BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
LONGEST = 1024  # bytes of a key
HEADER = re.compile(r"[\x20-\x7e]+")
BUNDLE = {"key", "archive", "pipeline", "pipeline_start", "pipeline_within"}
SITE = {
    *("prefix", "pages", "cache", "types", "compress", "compression", "redirects"),
    *("remove", "distribution", "origin_path", "most_paths", "connections"),
}


class S3Options(AwsOptions):
    """Options of the strategy ``s3``."""

    bucket: Annotated[str, Meta(description="The bucket, which is there already.")]
    mode: Annotated[
        Literal["bundle", "site"],
        Meta(description="`bundle`: one archive at one key. `site`: an object for each file."),
    ] = "bundle"
    path_style: Annotated[bool, Meta(description="The bucket stands in the path of URLs, not in their host.")] = False
    key: Annotated[
        str, Meta(description="Of a bundle: its key, with fields: " + ", ".join(f"{{{each}}}" for each in FIELDS) + ".")
    ] = "{project}.zip"
    archive: Annotated[
        Literal["", "tar.gz", "zip"],
        Meta(description="What the snapshot is packed as; by default as the key ends, else a zip."),
    ] = ""
    pipeline: Annotated[str, Meta(description="Of a bundle: the pipeline of CodePipeline that is followed.")] = ""
    pipeline_start: Annotated[bool, Meta(description="Start the pipeline; by default its source sees the bundle.")] = (
        False
    )
    pipeline_within: Annotated[float, Meta(gt=0, description="Seconds after which the pipeline is given up.")] = 1800
    prefix: Annotated[str, Meta(description="Of a site: what its keys begin with, `blog/`.")] = ""
    pages: Annotated[tuple[str, ...], Meta(description="Patterns of what is sent last, since it names the rest.")] = (
        "*.html",
        "*.htm",
    )
    cache: Annotated[dict[str, str], Meta(description="`Cache-Control` by pattern; the first that matches counts.")] = (
        field(default_factory=dict)
    )
    types: Annotated[
        dict[str, str], Meta(description="`Content-Type` by pattern, before what push knows of endings.")
    ] = field(default_factory=dict)
    compress: Annotated[
        tuple[str, ...], Meta(description="Patterns of what is sent compressed, where that is smaller.")
    ] = ()
    compression: Annotated[
        Literal["gzip", "brotli"],
        Meta(description="What compresses; `brotli` is for sites over HTTPS, where every browser knows it."),
    ] = "gzip"
    redirects: Annotated[
        dict[str, str], Meta(description="Keys that lead elsewhere: `/path` of this site, or a URL.")
    ] = field(default_factory=dict)
    remove: Annotated[bool, Meta(description="What a push put there and the project lost is removed.")] = True
    distribution: Annotated[str, Meta(description="The id of the CloudFront distribution to invalidate.")] = ""
    origin_path: Annotated[str, Meta(description="The distribution's origin path, which its URLs lack.")] = ""
    most_paths: Annotated[
        int, Meta(ge=1, le=3000, description="With more paths to invalidate, whole directories are.")
    ] = 100
    connections: Annotated[int, Meta(ge=1, le=64, description="How many objects are sent at once.")] = 16

    @checks("bucket")
    @classmethod
    def _bucket(cls, value: str) -> str:
        if not BUCKET.fullmatch(value):
            raise ValueError("expected the name of a bucket, 3 to 63 of a-z, 0-9, - and .")
        return value

    @checks("key")
    @classmethod
    def _key(cls, value: str) -> str:
        for name in FIELD.findall(value):
            if name not in FIELDS:
                raise ValueError(f"{{{name}}} is no field: there are {', '.join(f'{{{each}}}' for each in FIELDS)}")
        return checked_key(value)

    @checks("prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        value = value.strip("/")
        return checked_key(value) + "/" if value else ""

    @checks("origin_path")
    @classmethod
    def _origin_path(cls, value: str) -> str:
        return value.strip("/")

    @checks("cache", "types")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        for header in value.values():
            if not HEADER.fullmatch(header):
                raise ValueError(f"{header!r} cannot stand in a header")
        return value

    @checks("redirects")
    @classmethod
    def _redirects(cls, value: dict[str, str]) -> dict[str, str]:
        for key, goal in value.items():
            checked_key(key)
            if not goal.startswith(("/", "http://", "https://")) or not HEADER.fullmatch(goal):
                raise ValueError(f"{goal!r} is neither a path, /new.html, nor a URL")
        return value

    @checks()
    def _together(self) -> None:
        strange = sorted(filter(self.is_set, BUNDLE if self.mode == "site" else SITE))
        if strange:
            other = "bundle" if self.mode == "site" else "site"
            raise ValueError(f'`{strange[0]}` is for `mode = "{other}"`')
        if self.pipeline_start and not self.pipeline:
            raise ValueError("`pipeline_start` is about a `pipeline`, which is missing")
        if self.origin_path and not self.distribution:
            raise ValueError("`origin_path` is of a `distribution`, which is missing")

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
