"""What CodeDeploy calls a revision: a bundle in a bucket, or the text of an AppSpec."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from pushkit_aws.s3.bundle import Version


class Bundled(Struct, frozen=True):
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

    @property
    def digest(self) -> str:
        """The digest of the snapshot, where its key ends in it."""
        return self.key.rpartition("/")[2].partition(".")[0][:64]


class Content(Struct, frozen=True, eq=False):
    """An AppSpec of Lambda or ECS, known by its ``sha256`` in hex. ``text`` is empty where an answer leaves it out."""

    sha256: str
    text: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self.sha256 == other.sha256

    def __ne__(self, other: object) -> bool:
        # A struct has one of its own, which knows nothing of the method above.
        return not self == other

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def location(self) -> dict[str, Any]:
        """It as the API has it."""
        content = {"content": self.text} if self.text else {}
        return {"revisionType": "AppSpecContent", "appSpecContent": {**content, "sha256": self.sha256}}

    @property
    def digest(self) -> str:
        """Nothing: it is not of a snapshot."""
        return ""


Revised = Bundled | Content


def of_text(text: str) -> Content:
    """The revision that an AppSpec is."""
    return Content(hashlib.sha256(text.encode()).hexdigest(), text)


def of_version(bucket: str, packing: str, version: Version) -> Bundled:
    """The revision that an object is."""
    kind = "zip" if packing == "zip" else "tgz"
    number = version.version if version.version != "null" else ""
    return Bundled(bucket, version.key, kind, number, version.etag)


def of_deployment(info: Mapping[str, Any]) -> Revised | None:
    """The revision that a deployment is of; None when it is of another kind, such as a commit at GitHub."""
    revision = info.get("revision") or {}
    place, inline = revision.get("s3Location"), revision.get("appSpecContent") or revision.get("string")
    if isinstance(place, Mapping):
        words = (str(place.get(name) or "") for name in ("bucket", "key", "bundleType", "version", "eTag"))
        bucket, key, kind, version, etag = words
        return Bundled(bucket, key, kind, version, etag.strip('"'))
    if isinstance(inline, Mapping):
        text, digest = str(inline.get("content") or ""), str(inline.get("sha256") or "")
        return Content(digest or of_text(text).sha256, text)
    return None
