"""`Objects`: what lies in the bucket below the prefix of a target: listed, read, looked at, put there, removed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from pushkit import PushkitError, Run, Snapshot, Step, TargetError
from pushkit_aws.clients import Clients
from pushkit_aws.s3 import memory
from pushkit_aws.s3.access import Access, by_boto3, plain
from pushkit_aws.s3.ahead import Ahead
from pushkit_aws.s3.listing import Listing
from pushkit_aws.s3.memory import Memory, Remembered
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.rules import SMALL, Wanted, body
from pushkit_aws.s3.sender import Sender
from pushkit_aws.s3.upload import Upload, first
from pushkit_aws.words import in_words

#: How many keys one call lists or removes at most (ListObjectsV2, DeleteObjects).
AT_ONCE = 1000


class Objects:
    """The objects of a target."""

    def __init__(self, run: Run, options: S3Options, clients: Clients) -> None:
        self._run = run
        self._options = options
        self._clients = clients
        self._upload = Upload(run, clients, options.bucket)
        self._large = threading.Lock()
        self._ahead: Ahead[tuple[dict[str, str], Remembered | None, str] | None] | None = None

    @cached_property
    def _access(self) -> Access | None:
        try:
            # What boto3 would look at, and not what commands of the project run with.
            found = plain(self._clients, self._options, os.environ, Path.home())
        except RuntimeError:  # of somebody who has no home
            found = None
        return found or by_boto3(self._clients, self._options, os.environ)

    @cached_property
    def _sender(self) -> Sender:
        return Sender(self._run, self._options, self._access)

    def begin(self) -> None:
        """Find the way to the bucket, and look what is there while the project is being read."""
        sender = self._sender
        self._ahead = Ahead(lambda: self._look(sender))

    def close(self) -> None:
        """Hang up."""
        if "_sender" in self.__dict__:
            self._sender.close()

    def look(self) -> tuple[dict[str, str], Memory]:
        """The ETag of each key below the prefix, and what the bucket remembers."""
        ahead = self._ahead.result(self._run.check) if self._ahead else None
        if ahead is None:
            listing = self.listing()
            return listing, self.remembered(listing)
        listing, manifest, etag = ahead
        key = self._options.prefix + memory.MANIFEST
        if listing.get(key, "") != etag:
            # Another push ended meanwhile.
            return listing, self.remembered(listing)
        return listing, Memory(manifest, self._remembered(memory.PENDING, listing))

    def _look(self, sender: Sender) -> tuple[dict[str, str], Remembered | None, str] | None:
        """The listing, what is remembered of it, and that object's ETag; None where boto3 has to look."""
        key = self._options.prefix + memory.MANIFEST
        listing = Listing(self._run, sender, self._options.prefix)
        listing.begin()
        content, etag = sender.get(key) or (b"", "")
        manifest = memory.decode(content, key) if content else None
        found = listing.all(sorted(manifest.objects) if manifest else ())
        return None if found is None else (found, manifest, etag)

    def remembered(self, listing: Mapping[str, str] | None = None) -> Memory:
        """What the bucket remembers. With a ``listing`` nothing is asked for that is not there."""
        return Memory(self._remembered(memory.MANIFEST, listing), self._remembered(memory.PENDING, listing))

    def _remembered(self, name: str, listing: Mapping[str, str] | None) -> Remembered | None:
        key = self._options.prefix + name
        content = None if listing is not None and key not in listing else self.read(key)
        return memory.decode(content, key) if content is not None else None

    def read(self, key: str) -> bytes | None:
        """The content of a small object; None where there is none."""
        if quick := self._sender.get(key):
            return quick[0]
        try:
            return self._clients.content("s3", "get_object", memory.MOST, Bucket=self._options.bucket, Key=key)
        except TargetError as error:
            if getattr(error, "missing", False):
                return None
            raise

    def listing(self) -> dict[str, str]:
        """The ETag of each key below the prefix."""
        quick = Listing(self._run, self._sender, self._options.prefix).all()
        if quick is not None:
            return quick
        found: dict[str, str] = {}
        more: dict[str, str] = {}
        while True:
            answer = self._call("list_objects_v2", Prefix=self._options.prefix, MaxKeys=AT_ONCE, **more)
            if "Name" not in answer:
                raise TargetError(
                    f"s3 cannot be used: its listing of {self._options.bucket} is none", hint="is endpoint_url right?"
                )
            for each in answer.get("Contents", ()):
                found[each["Key"]] = str(each.get("ETag", "")).strip('"')
            if not answer.get("IsTruncated") or not answer.get("NextContinuationToken"):
                return found
            if more.get("ContinuationToken") == answer["NextContinuationToken"]:
                raise TargetError(f"the listing of {self._options.bucket} does not end", hint="is endpoint_url right?")
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def marks(self, keys: Sequence[str]) -> dict[str, str]:
        """The fingerprint that a push left on each object, empty on one that no push put there."""
        marks: dict[str, str] = {}

        def look(key: str) -> None:
            try:
                marks[key] = self._call("head_object", Key=key).get("Metadata", {}).get("push", "")
            except TargetError as error:
                if not getattr(error, "missing", False):
                    raise

        self.each(keys, look)
        return marks

    def send(self, pair: tuple[Wanted, Step], snapshot: Snapshot, sent: dict[str, tuple[str, str]]) -> None:
        each, step = pair
        if each.size > SMALL:
            etag = self._send_large(each, step, snapshot)
        else:
            content, encoding = body(each, snapshot.read(each.entry) if each.entry else b"")
            headers = each.headers(encoding)
            etag = self._sender.put(each.key, content, headers)
            if not etag:
                etag = _etag(self._upload.content(each.key, content, _parameters(headers)))
            self._run.progress(step, each.size)
        sent[each.key] = (each.fingerprint, etag)

    def _send_large(self, each: Wanted, step: Step, snapshot: Snapshot) -> str:
        """Send a file from a copy of it that is known to be what was frozen: S3 wants to know its digest first."""
        assert each.entry
        with self._large:
            path = self._run.scratch / "object"
            try:
                with snapshot.open(each.entry) as content, path.open("wb") as copy:
                    shutil.copyfileobj(content, copy, 1 << 20)
                return _etag(self._upload.file(step, each.key, path, _parameters(each.headers(""))))
            finally:
                path.unlink(missing_ok=True)

    def remove(self, keys: Sequence[str], steps: Iterator[Step]) -> None:
        """Remove ``keys``, each with its step of ``steps``. Raises `TargetError` for one that stays."""
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            answer = self._call("delete_objects", Delete=_those(some))
            errors = {each.get("Key"): each for each in answer.get("Errors", ())}
            for key in some:
                with self._run.step(next(steps)):
                    if error := errors.get(key):
                        code, text = str(error.get("Code")), self._run.excerpt(str(error.get("Message") or ""), 300)
                        where = {"Bucket": self._options.bucket, "Key": key}
                        told = in_words(code, text, "s3", "delete_objects", where)
                        raise TargetError(f"{key} was not removed: {told[0]}", hint=told[1])

    def write(self, name: str, what: Remembered) -> None:
        """Put what is remembered at ``name``, below the prefix."""
        key, content = self._options.prefix + name, memory.encode(what)
        headers = {"Content-Type": "application/gzip", "Cache-Control": "no-store"}
        if not self._sender.put(key, content, headers):
            self._upload.content(key, content, _parameters(headers))

    def each(self, items: Sequence[Any], work: Any, step: Any = None) -> None:
        """`Run.each`, as many at once as the target says. Raises one failure of those that have one cause."""
        try:
            self._run.each(items, work, workers=min(self._options.connections, max(1, len(items))), step=step)
        except ExceptionGroup as group:
            failure = first(group)
            if isinstance(failure, PushkitError):
                raise failure from group
            raise

    def forget(self, name: str) -> None:
        """Remove what `write` put there. The next push does it, should this fail."""
        key = self._options.prefix + name
        if not self._sender.remove(key):
            with suppress(TargetError):
                self._call("delete_objects", Delete=_those([key]))

    def _call(self, operation: str, **parameters: Any) -> Any:
        return self._clients.call("s3", operation, Bucket=self._options.bucket, **parameters)


def _those(keys: Sequence[str]) -> dict[str, Any]:
    return {"Objects": [{"Key": key} for key in keys], "Quiet": True}


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag") or "").strip('"')


def _parameters(headers: Mapping[str, str]) -> dict[str, Any]:
    """HTTP's headers as boto3 calls them."""
    names = {
        "Content-Type": "ContentType",
        "Cache-Control": "CacheControl",
        "Content-Encoding": "ContentEncoding",
        "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    }
    given: dict[str, Any] = {names[name]: value for name, value in headers.items() if name in names}
    mark = headers.get("x-amz-meta-push")
    return {**given, "Metadata": {"push": mark}} if mark else given
