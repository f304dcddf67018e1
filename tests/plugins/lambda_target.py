"""A project that is pushed to a function of moto's Lambda, with or without the tests' own CodeDeploy."""

from __future__ import annotations

import io
import json
import secrets
import threading
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import get_session

from pushkit import HostChanged, Note, Plan, Project, Release, Run, Snapshot, Strategy, Target, Warned
from pushkit.events import Event
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import take
from pushkit.testing import CodeDeployServer
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.codedeploy.strategy import CodeDeployStrategy

KEYS = {"access_key_id": "ann", "secret_access_key": "the secret of ann"}
ROLE = {"Version": "2012-10-17", "Statement": []}


@cache
def client(service: str, url: str) -> Any:
    """A client of moto."""
    return get_session().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=KEYS["access_key_id"],
        aws_secret_access_key=KEYS["secret_access_key"],
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


@cache
def role(url: str) -> str:
    """The ARN of a role for functions."""
    made = client("iam", url).create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(ROLE))
    arn: str = made["Role"]["Arn"]
    return arn


class Lambda:
    """A new function of moto's, whose alias ``live`` is not there yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = f"hello-{secrets.token_hex(4)}"
        self.client: Any = client("lambda", url)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("app.py", "the code that it was made with")
        self.client.create_function(
            FunctionName=self.name,
            Runtime="python3.12",
            Role=role(url),
            Handler="app.handler",
            Code={"ZipFile": content.getvalue()},
        )

    def alias(self) -> tuple[str, Mapping[str, float]]:
        """The version that the alias has, and the weights of others; nothing while it is not there."""
        try:
            found = self.client.get_alias(FunctionName=self.name, Name="live")
        except self.client.exceptions.ResourceNotFoundException:
            return "", {}
        return found["FunctionVersion"], found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    def digest(self, version: str) -> str:
        """The digest of a version's code."""
        found: str = self.client.get_function_configuration(FunctionName=self.name, Qualifier=version)["CodeSha256"]
        return found

    def shift(self, properties: Mapping[str, Any], share: float) -> None:
        """Move the alias as CodeDeploy does."""
        weights = {properties["TargetVersion"]: share / 100} if 0 < share < 100 else {}
        version = properties["TargetVersion" if share == 100 else "CurrentVersion"]
        self.client.update_alias(
            FunctionName=properties["Name"],
            Name=properties["Alias"],
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )


class Pusher:
    """A project whose only target is of the strategy ``codedeploy``, with what its ``options`` say."""

    def __init__(self, root: Path, service: CodeDeployServer, **options: Any) -> None:
        self.root, self.scratch = root / "blog", root / "scratch"
        for directory in (self.root, self.scratch):
            directory.mkdir()
        self.options = {"region": "us-east-1", "endpoint_url": service.url, "every": 0.05, **KEYS, **options}
        self.environment: dict[str, str] = {}
        self.events: list[Event] = []
        self.cancelled = threading.Event()
        self.wait = 0.0
        self.repair = False
        self._opened: list[Strategy[Any]] = []

    def close(self) -> None:
        """Give back all connections."""
        for each in self._opened:
            each.close()

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        file = self.root / path
        file.write_text(content)
        file.chmod(mode)

    def strategy(self, **options: Any) -> Any:
        table = {**self.options, **options}
        target = Target("live", "codedeploy", table)
        run = Run(
            project=Project("blog", self.root / "Pushfile", self.root, ".", (), "live", {"live": target}),
            target=target,
            emit=self.events.append,
            cancelled=self.cancelled,
            scratch=self.scratch,
            person="ann@desk",
            redact=Redactor(),
            environment=self.environment,
            wait=self.wait,
            repair=self.repair,
        )
        made: Strategy[Any] = CodeDeployStrategy.of(CodeDeployOptions.of(table), run)
        self._opened.append(made)
        made.connect()
        return made

    def snapshot(self, strategy: Strategy[Any]) -> Snapshot:
        return take(strategy.run.project, strategy.run.target)

    def plan(self, **options: Any) -> Plan:
        strategy = self.strategy(**options)
        found: Plan = strategy.plan(self.snapshot(strategy))
        return found

    def push(self, **options: Any) -> Release:
        strategy = self.strategy(**options)
        snapshot = self.snapshot(strategy)
        release: Release = strategy.push(strategy.plan(snapshot), snapshot)
        return release

    @property
    def moves(self) -> list[str]:
        """What was told of the target's traffic and events."""
        return [event.state for event in self.events if isinstance(event, HostChanged)]

    @property
    def said(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, (Note, Warned))]


def stop_at(pusher: Any, words: str) -> None:
    """Ask to stop as soon as something is told that ends so."""

    class Events(list[Any]):
        def append(self, event: Any) -> None:
            super().append(event)
            if (getattr(event, "state", "") or getattr(event, "message", "")).endswith(words):
                pusher.cancelled.set()

    pusher.events = Events()
