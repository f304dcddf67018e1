"""The host source ``command``: ``command:./bin/hosts --alive`` is what a command prints, as a file of hosts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pushkit.errors import TargetError
from pushkit.fleet.file import read
from pushkit.hookspecs import hookimpl
from pushkit.host_source import HostSource
from pushkit.model import Host
from pushkit.process import Command
from pushkit.strategy import Run

#: Seconds that a command may take.
LIMIT = 60.0


@hookimpl
def pushkit_host_source() -> HostSource:
    """The function that runs a command."""
    return hosts


def hosts(argument: str, run: Run) -> Sequence[Host]:
    """The hosts that a command prints. It runs in the Pushfile's directory, without a shell, and may ask nothing."""
    try:
        argv = tuple(shlex.split(argument))
    except ValueError as error:
        raise TargetError(f"the command `{argument}` cannot be split into words: {error}") from None
    done = run.capture(Command(argv, run.project.root, run.environment, f"`{argument}`", timeout=LIMIT))
    if done.code:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        why = f"exit code {done.code}" if done.code > 0 else f"signal {-done.code}"
        raise TargetError(f"`{argument}`, which lists the hosts, failed with {why}", hint="; ".join(said))
    return read(done.stdout.decode("utf-8", "replace"), f"`{argument}`")
