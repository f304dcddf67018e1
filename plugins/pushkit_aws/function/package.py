"""`Package`: the snapshot as the zip that Lambda takes, with the request or from a bucket."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pushkit import Action, Archive, Kind, PushRefused, Run, Snapshot, Step, TargetError, pack
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.s3.bundle import Bundle

#: Bytes that a request may bring (Lambda quotas, deployment package).
MOST_SENT = 50 * 1024 * 1024


class Package:
    """The package of one snapshot, packed once."""

    def __init__(self, run: Run, options: CodeDeployOptions, store: Clients | None, snapshot: Snapshot) -> None:
        self._run = run
        self._options = options
        self._snapshot = snapshot
        self._bundle = Bundle(run, options.for_s3(), store) if store else None

    @cached_property
    def archive(self) -> Archive:
        """The zip: the same bytes for the same files."""
        path = self._run.scratch / f"{self._run.target.name}.package"
        path.unlink(missing_ok=True)
        return pack(self._snapshot, "zip", path, self._run.check)

    @property
    def digest(self) -> str:
        """Its sha256 as Lambda has it, in base64."""
        return base64.b64encode(self.archive.sha256).decode()

    def steps(self) -> list[Step]:
        """How it gets to where Lambda finds it. Raises `PushRefused` when it is too large for a request."""
        if self._bundle is None:
            if self.archive.size > MOST_SENT:
                raise PushRefused(
                    f"the package has {self.archive.size:,} bytes, and a request may bring {MOST_SENT:,}",
                    hint="name a `bucket` that it goes through",
                )
            return []
        key = self._bundle.key(self._snapshot)
        there = self._bundle.look(key)
        if there and there.sha256 == self.archive.sha256.hex():
            return []
        why = "another package is there" if there else "new"
        return [Step(Action.ADD, f"s3://{self._options.bucket}/{key}", why, self.archive.size)]

    def send(self, step: Step) -> None:
        """Put it into the bucket."""
        assert self._bundle is not None
        self._bundle.send(step, self._bundle.key(self._snapshot), self.archive, self._snapshot)

    def content(self) -> Mapping[str, Any]:
        """It as UpdateFunctionCode takes it. Raises `TargetError` when it is not in the bucket."""
        if self._bundle is None:
            return {"ZipFile": self.archive.path.read_bytes()}
        key = self._bundle.key(self._snapshot)
        there = self._bundle.look(key)
        if there is None or there.sha256 != self.archive.sha256.hex():
            raise TargetError(f"{key} is not in {self._options.bucket} any more", hint="push again")
        version = {"S3ObjectVersion": there.version} if there.version not in {"", "null"} else {}
        return {"S3Bucket": self._options.bucket, "S3Key": key, **version}


def unreadable(snapshot: Snapshot) -> list[str]:
    """What of a package a function cannot read: it runs as another user than the owner of its files."""
    found = [
        entry.path
        for entry in snapshot.entries
        if entry.kind is not Kind.SYMLINK and not entry.mode & (0o005 if entry.kind is Kind.DIRECTORY else 0o004)
    ]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return [f"the function cannot read {', '.join(found[:3])}{more}: chmod -R o+rX"] if found else []
