"""`Upload`: one object sent by boto3, in one piece or in many parts at once, its bytes vouched for by their sha256."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pushkit import Run, Step
from pushkit_aws.clients import Clients

#: Bytes of a part, and from how many on there are parts. S3 takes 10,000 parts of at least 5 MiB.
PART = 8 << 20
MOST_PARTS = 10_000
WORKERS = 4


class Upload:
    """Sends objects to ``bucket``. ``headers`` are parameters of PutObject: ``ContentType``, ``Metadata``."""

    def __init__(self, run: Run, clients: Clients, bucket: str) -> None:
        self._run = run
        self._clients = clients
        self._bucket = bucket

    def content(self, key: str, content: bytes, headers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Put ``content`` at ``key``; S3's answer."""
        checksum = encoded(hashlib.sha256(content).digest())
        return self._call("put_object", Key=key, Body=content, ChecksumSHA256=checksum, **headers)

    def file(self, step: Step, key: str, path: Path, headers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Put a file at ``key``, which is there when all of it has come; S3's answer. Memory holds a few parts."""
        size = path.stat().st_size
        if size <= PART:
            answer = self.content(key, path.read_bytes(), headers)
            self._run.progress(step, size)
            return answer
        upload = self._call("create_multipart_upload", Key=key, ChecksumAlgorithm="SHA256", **headers)
        name = {"Key": key, "UploadId": upload["UploadId"]}
        try:
            parts = self._parts(step, name, path, size)
            answer = self._call("complete_multipart_upload", **name, MultipartUpload={"Parts": parts})
        except BaseException:
            # S3 keeps, and bills, the parts of an upload that nobody ends. It is not asked through `Clients.call`,
            # which asks nothing more once a person wants to stop.
            with suppress(Exception):
                self._clients.client("s3").abort_multipart_upload(Bucket=self._bucket, **name)
            raise
        return answer

    def _parts(self, step: Step, name: Mapping[str, str], path: Path, whole: int) -> list[dict[str, Any]]:
        size = max(PART, -(-whole // MOST_PARTS))
        done: dict[int, dict[str, Any]] = {}
        lock = threading.Lock()

        def send(number: int) -> None:
            with path.open("rb") as file:
                file.seek((number - 1) * size)
                piece = file.read(size)
            checksum = encoded(hashlib.sha256(piece).digest())
            answer = self._call("upload_part", **name, PartNumber=number, Body=piece, ChecksumSHA256=checksum)
            with lock:
                done[number] = {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}
            self._run.progress(step, len(piece))

        try:
            self._run.each(range(1, -(-whole // size) + 1), send, workers=WORKERS)
        except ExceptionGroup as group:
            raise first(group) from group
        return [done[number] for number in sorted(done)]

    def _call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._clients.call("s3", operation, Bucket=self._bucket, **parameters)
        return answer


def first(group: ExceptionGroup[Exception]) -> Exception:
    """The failure that is told where many have one cause: a lost connection, a missing right."""
    failure: Exception = group
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def encoded(digest: bytes) -> str:
    """A digest as S3's headers have it."""
    return base64.b64encode(digest).decode()
