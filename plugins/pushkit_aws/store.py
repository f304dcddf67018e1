"""The store ``s3``: hosts fetch what is pushed to them from a bucket, by URLs that say who lets them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from pushkit import Run, Step, hookimpl
from pushkit.fleet import Store
from pushkit_aws.clients import Clients
from pushkit_aws.options import AwsOptions
from pushkit_aws.s3.options import BUCKET, checked_key
from pushkit_aws.s3.upload import Upload


class S3StoreOptions(AwsOptions):
    """Options of a store in a bucket."""

    path_style: Annotated[bool, Meta(description="The bucket stands in the path of URLs, not in their host.")] = False


class S3Store(Store[S3StoreOptions]):
    """A bucket of S3, or of what speaks its protocol: ``s3://BUCKET/PREFIX``."""

    name = "s3"
    Options = S3StoreOptions

    def __init__(self, where: str, options: S3StoreOptions, run: Run) -> None:
        super().__init__(where, options, run)
        self._bucket, _, prefix = where.partition("/")
        self._prefix = prefix.strip("/")
        self._clients = Clients(run, options, path_style=options.path_style, whose='the store "s3"')

    @classmethod
    def problem(cls, where: str) -> str:
        """What is wrong with ``BUCKET/PREFIX``."""
        bucket, _, prefix = where.partition("/")
        if not BUCKET.fullmatch(bucket):
            return "expected s3://BUCKET/PREFIX, the bucket 3 to 63 of a-z, 0-9, - and ."
        try:
            checked_key(f"{prefix.strip('/')}/x".removeprefix("/"))
        except ValueError as error:
            return str(error)
        return ""

    def put(self, step: Step, name: str, file: Path) -> None:
        """Upload it, its bytes vouched for by their digest."""
        headers: dict[str, Any] = {"ContentType": "application/octet-stream", "CacheControl": "private"}
        Upload(self.run, self._clients, self._bucket).file(step, self._key(name), file, headers)

    def url(self, name: str, seconds: int) -> str:
        """A presigned URL: whoever has it may read this one object."""
        client = self._clients.client("s3")
        given = {"Bucket": self._bucket, "Key": self._key(name)}
        return str(client.generate_presigned_url("get_object", Params=given, ExpiresIn=seconds))

    def remove(self, name: str) -> None:
        """Remove the object."""
        self._clients.call("s3", "delete_object", Bucket=self._bucket, Key=self._key(name))

    def close(self) -> None:
        """Close the connections."""
        self._clients.close()

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


@hookimpl
def pushkit_store() -> type[Store[Any]]:
    """The store's class."""
    return S3Store
