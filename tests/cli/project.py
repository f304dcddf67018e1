"""A project directory to type ``push`` in, and a distribution whose strategy does as it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

PUSH = str(Path(sys.executable).with_name("push"))

ACME = '''
"""The plugin of the distribution acme-push."""

import logging
import os
import signal
import threading
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pushkit import Action, Finding, Options, Plan, Release, Secret, Severity, Step, Strategy, TargetError, hookimpl


class AcmeOptions(Options):
    do: Annotated[str, Meta(description="What to do.")] = "well"
    secret: Annotated[Secret, Meta(description="Not to be seen.")] = Secret("")


class AcmeStrategy(Strategy[AcmeOptions]):
    """Does as it is told."""

    name = "acme"
    Options = AcmeOptions

    def connect(self):
        if self.options.do == "ask":
            self.ask("word")

    def ask(self, question):
        self.run.note(f"{question}: {self.run.ask(question)}")

    def plan(self, snapshot):
        if self.options.do == "nothing":
            return Plan(self.run.target.name, (), kept=snapshot.files, live="000001-acme")
        if self.options.do == "remove":
            gone = tuple(Step(Action.REMOVE, f"old-{n}", "not in the snapshot") for n in range(3))
            return Plan(self.run.target.name, gone, kept=1, live="000001-acme")
        if self.options.do == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        if self.options.do == "evil":
            steps = (Step(Action.ADD, "a\\x1b[2J\\nb", "new\\x07", 3),)
            return Plan(self.run.target.name, steps, warnings=("w\\x1b]0;t\\x07",))
        steps = tuple(Step(Action.ADD, f"part-{n}", "new", 1000) for n in range(3))
        return Plan(self.run.target.name, steps, live="000001-acme")

    def push(self, plan, snapshot):
        do, secret = self.options.do, self.options.secret.reveal()
        if do == "bug":
            raise ValueError(f"boom {secret}")
        if do == "stray":
            self.astray(secret)
        if do == "unreachable":
            raise TargetError("acme.example.com cannot be reached", hint="is it on?")
        if do == "several":
            together = threading.Barrier(3)
            def fail(step):
                together.wait(30)
                raise TargetError(f"{step.subject} was not taken {secret}")
            self.run.each(plan.steps, fail, workers=3, step=lambda step: step)
        if do == "ask-together":
            def ask(step):
                self.ask("word")
                self.ask(step.subject)
            self.run.each(plan.steps, ask, workers=3, step=lambda step: step)
            return Release("000002-acme", snapshot.revision, datetime.now(UTC), self.run.person)
        if do == "alone":
            def refuse(step):
                raise TargetError("part-0 was not taken", hint="is there room?")
            self.run.each(plan.steps[:1], refuse, workers=3, step=lambda step: step)
        if do == "evil":
            self.run.output("host", "out\\x1b[2J\\x1b[31mred\\x1b[0m")
            self.run.note("note\\x1b[2J")
        if do == "stuck-workers":
            self.run.each(plan.steps, self.slowly, workers=2, step=lambda step: step)
        for step in plan.steps:
            with self.run.step(step):
                if do == "throttled":
                    for _ in range(10):
                        time.sleep(0.05)
                        self.run.progress(step, 100)
                    continue
                if do == "ask-late" and step.subject == "part-1":
                    self.ask("word")
                if do in ("slow", "stuck"):
                    self.slowly(step)
                self.run.progress(step, step.size)
        return Release("000002-acme", snapshot.revision, datetime.now(UTC), self.run.person)

    def astray(self, secret):
        class Odd:
            def __del__(self):
                raise ValueError(f"deleted {secret}")

        def fail():
            raise ValueError(f"threaded {secret}")

        thread = threading.Thread(target=fail, name="astray")
        thread.start()
        thread.join()
        Odd()
        warnings.warn(f"warned {secret}")
        logging.getLogger("acme").error("logged %s", secret)
        try:
            raise OSError(f"caught {secret}")
        except OSError:
            logging.getLogger("acme").exception("excepted")

    def slowly(self, step):
        root = self.run.project.root
        (root / f"began-{step.subject}").touch()
        while "stuck" in self.options.do or not (root / "go-on").exists():
            time.sleep(0.01)
        (root / f"ended-{step.subject}").touch()

    def check(self):
        if self.options.do == "away":
            raise TargetError("acme.example.com cannot be reached", hint="is it on?")
        if self.options.do == "unfit":
            return [
                Finding(Severity.OK, "login", "works"),
                Finding(Severity.WARNING, "disk", "nearly full"),
                Finding(Severity.ERROR, "path", "is read-only", "mount it again"),
            ]
        return []


@hookimpl
def pushkit_strategy():
    return AcmeStrategy


class Commands:
    @hookimpl
    def pushkit_command(self):
        import click

        @click.command()
        @click.argument("word")
        def shout(word):
            """Shout."""
            click.echo(word.upper())

        return shout


commands = Commands()
'''


def hear_ctrl_c() -> None:
    """In a child, before its program: that of a background job inherits signals that are ignored, that of nohup too."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Project:
    """A project directory, and the environment in which ``push`` runs there."""

    def __init__(self, root: Path, site: Path) -> None:
        self.root = root
        self.environment = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "TERM"}}
        path = os.pathsep.join(filter(None, (str(site), self.environment.get("PYTHONPATH", ""))))
        self.environment |= {"PYTHONPATH": path, "HOME": str(site), "XDG_CACHE_HOME": str(site / "cache")}

    def write(self, **targets: str) -> None:
        """Write a Pushfile with these targets, each the TOML of its table."""
        tables = [f"[target.{name}]\n{dedent(text)}\n" for name, text in targets.items()]
        (self.root / "Pushfile").write_text("\n".join(tables))

    def acme(self, **targets: str) -> None:
        """Write a Pushfile with targets of the strategy ``acme`` that do these things."""
        self.write(**{name: f'strategy = "acme"\ndo = "{do}"' for name, do in targets.items()})

    def push(
        self, *arguments: str, directory: str = ".", stdout: int = subprocess.PIPE, given: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``push``, without a terminal, ``given`` on its stdin, its output into ``stdout``, or caught."""
        return subprocess.run(
            [PUSH, *arguments],
            cwd=self.root / directory,
            env=self.environment | environment,
            input=given,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            timeout=60,
            check=False,
        )
