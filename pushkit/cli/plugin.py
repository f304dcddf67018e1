"""What a command of a plugin gets beside click: the common options, and a `Run` whose events are told."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from pushkit.cli.context import Remembering, load, tellers, user
from pushkit.cli.interrupts import Interrupts
from pushkit.cli.settings import EVERYWHERE, common, settings_of
from pushkit.events import Emitter
from pushkit.model import Project, Target
from pushkit.secrets.redaction import Redactor
from pushkit.strategy import Run


def command_options(*names: str) -> Callable[[Any], Any]:
    """Give a click command ``-q``, ``-v``, ``--no-color`` and the common options ``names``, such as ``json``.

    `command_run` heeds what they say. A plugin's command has the first three anyway, one within its group has not.
    """
    return common(*names, *EVERYWHERE)


def command_target(word: str | None) -> tuple[Project, Target]:
    """The target that ``word`` names in a plugin's command, by default the sole or default one; its table is valid.

    References in the table are not resolved. Raises `PushfileError`, and `UsageError` for a word that is no target.
    """
    project, (name,) = load(settings_of(click.get_current_context()), (word,) if word else ())
    return project, project.targets[name]


@contextmanager
def command_run(name: str) -> Iterator[Run]:
    """A `Run` for a command of a plugin that has neither Pushfile nor target; ``name`` stands where a target's does.

    What it emits is told on stderr, and with ``--json`` on stdout. Ctrl-C stops it as it stops a push. Its project is
    the current directory. For the main thread, within a click command.
    """
    settings = settings_of(click.get_current_context())
    told = tellers(settings)
    here = Path.cwd()
    redactor = Redactor()
    try:
        with Interrupts() as interrupts, TemporaryDirectory(prefix="push-") as scratch:
            yield Run(
                project=Project(here.name, here / "Pushfile", here, ".", (), "", {}),
                target=Target(name, ""),
                emit=Emitter(redactor, (Remembering(settings), *told)),
                cancelled=interrupts.cancelled,
                scratch=Path(scratch),
                person=f"{user()}@{socket.gethostname()}",
                redact=redactor,
                environment=dict(os.environ),
            )
    finally:
        for teller in told:
            teller.close()
