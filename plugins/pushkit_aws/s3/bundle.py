"""`Bundle`: the snapshot as one archive at one key, in one piece or in many parts at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from pushkit import Archive, PushRefused, Release, Revision, Run, Snapshot, Step
from pushkit_aws.clients import Clients
from pushkit_aws.s3.options import FIELD, S3Options
from pushkit_aws.s3.upload import Upload
from pushkit_aws.words import AwsError

#: How many older versions are looked at.
VERSIONS = 20
TYPES = {"zip": "application/zip", "tar.gz": "application/gzip"}


class Version(Struct, frozen=True):
    """The bundle as it lies there. ``version`` is empty in a bucket without versions.

    ``origin`` is the version that a rollback copied it from, else its own.
    """

    key: str
    version: str
    etag: str
    sha256: str
    origin: str
    release: Release


class Bundle:
    """The object at the key of a target."""

    def __init__(self, run: Run, options: S3Options, clients: Clients) -> None:
        self._run = run
        self._bucket = options.bucket
        self._options = options
        self._clients = clients

    def key(self, snapshot: Snapshot) -> str:
        """The key, its fields filled in. Their values hold no slash, so that they stay one segment."""
        revision = snapshot.revision
        values = {
            "project": self._run.project.name,
            "target": self._run.target.name,
            "revision": revision.short,
            "commit": revision.commit,
            "digest": revision.digest,
        }
        return FIELD.sub(lambda match: values[match[1]].replace("/", "-"), self._options.key)

    @property
    def fixed_key(self) -> str:
        """The key of every bundle. Raises `PushRefused` where each has one of its own."""
        names = set(FIELD.findall(self._options.key))
        if names - {"project", "target"}:
            raise PushRefused(
                f"each bundle has a key of its own: {self._options.key}",
                hint="a key without {revision}, {commit} and {digest}, in a bucket with versions, has a history",
            )
        values = {"project": self._run.project.name, "target": self._run.target.name}
        return FIELD.sub(lambda match: values[match[1]].replace("/", "-"), self._options.key)

    def look(self, key: str, version: str = "") -> Version | None:
        """What lies at ``key``; None when nothing does."""
        which = {"VersionId": version} if version else {}
        try:
            found = self._call("head_object", Key=key, **which)
        except AwsError as error:
            if error.missing:
                return None
            raise
        return _version(key, found)

    def send(self, step: Step, key: str, archive: Archive, snapshot: Snapshot) -> Version:
        """Put the archive at ``key``. The server takes no other bytes: it has their digest."""
        created = datetime.now(UTC)
        metadata = _metadata(snapshot.revision, archive, created, self._run)
        headers = {"ContentType": TYPES[self._options.packing], "Metadata": metadata}
        answer = Upload(self._run, self._clients, self._bucket).file(step, key, archive.path, headers)
        version = _text(answer, "VersionId")
        release = Release(release_id(key, version), snapshot.revision, created, self._run.person)
        return Version(key, version, _text(answer, "ETag").strip('"'), archive.sha256.hex(), version, release)

    def versions(self, key: str) -> Iterator[Version]:
        """The bundle's versions, the newest first; none in a bucket that keeps none."""
        found = self._call("list_object_versions", Prefix=key, MaxKeys=1000)
        ids = [each["VersionId"] for each in found.get("Versions", ()) if each.get("Key") == key]
        for version in ids[:VERSIONS]:
            if version != "null" and (there := self.look(key, version)):
                yield there

    def revert(self, key: str, wanted: str) -> Version:
        """Copy an older version over what is live: ``wanted``, a release's id, or the one before the live one."""
        chosen = self._chosen(key, list(self.versions(key)), wanted)
        now = datetime.now(UTC)
        revision = chosen.release.revision
        metadata = {
            **_words(revision, now, self._run),
            "push-sha256": chosen.sha256,
            "push-of": chosen.origin,
        }
        source = {"Bucket": self._bucket, "Key": key, "VersionId": chosen.version}
        answer = self._call(
            "copy_object",
            Key=key,
            CopySource=source,
            Metadata=metadata,
            MetadataDirective="REPLACE",
            ContentType=TYPES[self._options.packing],
        )
        version = _text(answer, "VersionId")
        release = Release(release_id(key, version), revision, now, self._run.person)
        return Version(key, version, "", chosen.sha256, chosen.origin, release)

    def _chosen(self, key: str, versions: Sequence[Version], wanted: str) -> Version:
        if len(versions) < 2:
            raise PushRefused(
                f"there is no older version of {key} in {self._bucket}",
                hint="turn on the bucket's versioning; rollback copies an older version over the live one",
            )
        live = versions[0]
        if wanted:
            for each in versions:
                if wanted in {each.release.id, each.version}:
                    return each
            raise PushRefused(f"there is no release {wanted}", hint="`push status` lists those that are there")
        origins = [each.version for each in versions]
        start = origins.index(live.origin) if live.origin in origins else 0
        for each in versions[start + 1 :]:
            if each.sha256 and each.sha256 != live.sha256:
                return each
        raise PushRefused(f"there is no other bundle before the live one at {key}", hint="name one: push rollback ID")

    def _call(self, operation: str, **parameters: Any) -> Any:
        return self._clients.call("s3", operation, Bucket=self._bucket, **parameters)


def release_id(key: str, version: str) -> str:
    """The id of a release: its key, and its version where there is one."""
    return f"{key}@{version}" if version and version != "null" else key


def _metadata(revision: Revision, archive: Archive, created: datetime, run: Run) -> dict[str, str]:
    return {**_words(revision, created, run), "push-sha256": archive.sha256.hex()}


def _words(revision: Revision, created: datetime, run: Run) -> dict[str, str]:
    """Metadata is ASCII in a header: what is not is left out of it as a question mark."""
    words = {
        "push-project": run.project.name,
        "push-revision": revision.short,
        "push-commit": revision.commit,
        "push-dirty": "1" if revision.dirty else "0",
        "push-digest": revision.digest,
        "push-created": created.isoformat(timespec="seconds"),
        "push-person": run.person,
    }
    return {name: value.encode("ascii", "replace").decode() for name, value in words.items() if value}


def _version(key: str, found: Mapping[str, Any]) -> Version:
    """What the answer to HEAD says. Anybody may have written it: only text is taken from it."""
    metadata: Mapping[str, str] = found.get("Metadata") or {}
    version = _text(found, "VersionId")
    created = found.get("LastModified")
    with suppress(ValueError):
        created = datetime.fromisoformat(metadata.get("push-created", ""))
    if not isinstance(created, datetime) or created.tzinfo is None:
        created = datetime.fromtimestamp(0, UTC)
    revision = Revision(
        metadata.get("push-commit", ""), metadata.get("push-dirty") == "1", metadata.get("push-digest", "")
    )
    release = Release(release_id(key, version), revision, created, metadata.get("push-person", ""))
    origin = metadata.get("push-of", "") or version
    return Version(key, version, _text(found, "ETag").strip('"'), metadata.get("push-sha256", ""), origin, release)


def _text(answer: Mapping[str, Any], name: str) -> str:
    return str(answer.get(name) or "")
