"""A directory that stands for a machine's ``/``, and bundles that are deployed to it in this process."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from textwrap import dedent

from pushkit import Plan, Project, Run, Target
from pushkit.events import Event, Note, Output, PlanReady, StepFinished, Warned
from pushkit.secrets.redaction import Redactor
from pushkit_aws.appspec import Behavior
from pushkit_aws.local.deployment import ARCHIVE, Deployment
from pushkit_aws.local.order import ordered
from pushkit_aws.local.request import Request

HEAD = "version: 0.0\nos: linux\n"
GROUP = "web"


class Machine:
    """``root`` is installed into, ``state`` remembers, ``bundle`` is what the next deployment brings."""

    def __init__(self, top: Path, *, grace: float = 5.0) -> None:
        self.root, self.state, self.bundle = top / "root", top / "state", top / "bundle"
        self.scratch = top / "scratch"
        for path in (self.root, self.bundle):
            path.mkdir()
        self.grace = grace
        self.events: list[Event] = []
        self.cancelled = threading.Event()
        self.environment = dict(os.environ)

    def appspec(self, text: str, name: str = "appspec.yml") -> None:
        (self.bundle / name).write_text(HEAD + dedent(text))

    def write(self, path: str, text: str = "x", mode: int = 0o644) -> Path:
        """A file of the bundle."""
        file = self.bundle / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def script(self, path: str, text: str, mode: int = 0o755) -> None:
        self.write(path, "#!/bin/sh\n" + dedent(text), mode)

    def deployment(
        self,
        *,
        location: Path | None = None,
        kind: str = "directory",
        behavior: Behavior = Behavior.DISALLOW,
        events: tuple[str, ...] = (),
        root: Path | None = None,
        appspec: str = "appspec.yml",
    ) -> Deployment:
        self.events.clear()
        here = Path()
        self.scratch.mkdir(exist_ok=True)
        run = Run(
            project=Project("p", here, here, ".", (), "", {}),
            target=Target(GROUP, ""),
            emit=self.events.append,
            cancelled=self.cancelled,
            scratch=self.scratch,
            person="somebody@here",
            redact=Redactor(),
            environment=self.environment,
        )
        request = Request(
            location=location or self.bundle,
            kind=kind,
            behavior=behavior,
            group=GROUP,
            group_name="LocalFleet",
            application="shop",
            events=ordered(events),
            appspec=appspec,
            root=root or self.root,
            state=self.state,
        )
        return Deployment(request, run, self.grace)

    def deploy(self, **options: object) -> str:
        return self.deployment(**options).carry_out()  # type: ignore[arg-type]

    @property
    def plan(self) -> Plan:
        return next(event.plan for event in self.events if isinstance(event, PlanReady))

    @property
    def output(self) -> list[str]:
        return [event.line for event in self.events if isinstance(event, Output)]

    @property
    def warnings(self) -> list[str]:
        said = [event.message for event in self.events if isinstance(event, (Warned, Note))]
        plans = [event.plan for event in self.events if isinstance(event, PlanReady)]
        return [*said, *(warning for plan in plans for warning in plan.warnings)]

    @property
    def finished(self) -> list[str]:
        return [f"{each.step.action} {each.step.subject}" for each in self.events if isinstance(each, StepFinished)]

    def log(self, deployment: str) -> list[str]:
        """The lines of a deployment's log, without their times."""
        lines = (self.state / GROUP / deployment / "logs/scripts.log").read_text().splitlines()
        return [line[20:] for line in lines]

    def archive(self, deployment: str) -> Path:
        return self.state / GROUP / deployment / ARCHIVE

    def files(self) -> dict[str, str]:
        """What is in the root: texts of files and links, directories with a slash."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_dir():
                found[name + "/"] = ""
            else:
                found[name] = path.read_text()
        return found
