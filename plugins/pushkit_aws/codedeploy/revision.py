"""What CodeDeploy calls a revision: a bundle in a bucket, by its key, version and ETag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pushkit_aws.s3.bundle import Version


@dataclass(frozen=True, slots=True)
class Bundled:
    """A bundle; ``version`` is empty in a bucket without versions, ``etag`` has no quotes."""

    bucket: str
    key: str
    kind: str
    version: str
    etag: str

    @property
    def location(self) -> dict[str, Any]:
        """It as the API has it."""
        place = {"bucket": self.bucket, "key": self.key, "bundleType": self.kind}
        place |= {"version": self.version} if self.version else {}
        place |= {"eTag": self.etag} if self.etag else {}
        return {"revisionType": "S3", "s3Location": place}


def of_version(bucket: str, packing: str, version: Version) -> Bundled:
    """The revision that an object is."""
    kind = "zip" if packing == "zip" else "tgz"
    number = version.version if version.version != "null" else ""
    return Bundled(bucket, version.key, kind, number, version.etag)


def of_deployment(info: Mapping[str, Any]) -> Bundled | None:
    """The revision that a deployment is of; None when it is from no bucket."""
    place = (info.get("revision") or {}).get("s3Location")
    if not isinstance(place, Mapping):
        return None
    words = (str(place.get(name) or "") for name in ("bucket", "key", "bundleType", "version", "eTag"))
    bucket, key, kind, version, etag = words
    return Bundled(bucket, key, kind, version, etag.strip('"'))
