"""A project that is pushed to a bucket of a real SeaweedFS, without an engine."""

from __future__ import annotations

import secrets
import threading
from functools import cache
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import get_session

from pushkit import Finding, Plan, Project, Release, Run, Snapshot, Step, StepFinished, Target
from pushkit.events import Event
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import take
from pushkit.testing import SeaweedFs
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.strategy import S3Strategy


@cache
def client(server: SeaweedFs) -> Any:
    """A client that may do everything."""
    return get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


class Bucket:
    """A new bucket, and a client that may do everything with it."""

    def __init__(self, server: SeaweedFs, name: str = "", *, versions: bool = False) -> None:
        self.server = server
        self.name = name or f"test-{secrets.token_hex(6)}"
        self.client: Any = client(server)
        self.client.create_bucket(Bucket=self.name)
        if versions:
            self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})

    def holds(self) -> set[str]:
        """What it holds, without push's own."""
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {each["Key"] for each in found if "/.push/" not in f"/{each['Key']}"}

    def read(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def head(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.head_object(Bucket=self.name, Key=key)
        return found

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)


class Pusher:
    """A project whose only target is ``bucket``."""

    def __init__(self, root: Path, bucket: Bucket, **options: Any) -> None:
        self.root = root / "blog"
        self.scratch = root / "scratch"
        self.root.mkdir()
        self.scratch.mkdir()
        self.bucket = bucket
        server = bucket.server
        self.options: dict[str, Any] = {
            "bucket": bucket.name,
            "endpoint_url": server.url,
            "access_key_id": server.key,
            "secret_access_key": server.secret,
            "timeout": 20,
            **options,
        }
        self.events: list[Event] = []
        self.cancelled = threading.Event()
        self.flags: dict[str, bool] = {}

    def write(self, **files: str) -> None:
        """Write files; a double underscore is a slash, a single one before the end a dot."""
        for name, content in files.items():
            path = self.root / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def strategy(self) -> S3Strategy:
        target = Target("live", "s3", self.options)
        run = Run(
            project=Project("blog", self.root / "Pushfile", self.root, ".", (), "live", {"live": target}),
            target=target,
            emit=self.events.append,
            cancelled=self.cancelled,
            scratch=self.scratch,
            person="ann@desk",
            redact=Redactor(),
            environment={},
            **self.flags,  # type: ignore[arg-type]
        )
        return S3Strategy(S3Options.of(self.options), run)

    def snapshot(self) -> Snapshot:
        strategy = self.strategy()
        return take(strategy.run.project, strategy.run.target)

    def plan(self) -> Plan:
        strategy = self.strategy()
        try:
            strategy.connect()
            return strategy.plan(take(strategy.run.project, strategy.run.target))
        finally:
            strategy.close()

    def push(self) -> Release:
        self.events.clear()
        strategy = self.strategy()
        try:
            strategy.connect()
            snapshot = take(strategy.run.project, strategy.run.target)
            return strategy.push(strategy.plan(snapshot), snapshot)
        finally:
            strategy.close()

    def check(self) -> list[Finding]:
        return list(self.strategy().check())

    @property
    def done(self) -> list[Step]:
        """The steps of the last push that ended, without that of push's memory."""
        steps = [event.step for event in self.events if isinstance(event, StepFinished)]
        return [step for step in steps if ".push/" not in step.subject]
