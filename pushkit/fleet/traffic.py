"""Where the traffic goes: asked, and turned, by commands on this machine, a URL, or a plugin."""

from __future__ import annotations

import shlex
import time
from typing import Annotated

from msgspec import Meta

from pushkit import registry
from pushkit.errors import TargetError
from pushkit.fleet.source import NAMED
from pushkit.options import Options, checks, public
from pushkit.process import Command
from pushkit.strategy import Run

#: As much of the answer of a URL is looked at, in bytes.
LIMIT = 1 << 10
#: As much of an answer that is no pool is shown, in characters.
SHOWN = 80
#: Seconds between two looks where the traffic goes.
PAUSE = 0.2

ONLY_HERE = public("let the command read it itself")


class TrafficOptions(Options):
    """How the traffic is turned from one pool to the other."""

    switch: Annotated[
        str,
        ONLY_HERE,
        Meta(description="The command that turns it, on this machine and without a shell; `{pool}` is where to."),
    ] = ""
    live: Annotated[
        str,
        ONLY_HERE,
        Meta(
            description="What answers with the name of the pool that has it: a command, or a URL. By default the pool "
            "of the last push, as the host with the queue remembers it."
        ),
    ] = ""
    plugin: Annotated[
        str, ONLY_HERE, Meta(description="A plugin that does both, NAME:ARGUMENT, in the place of `switch` and `live`.")
    ] = ""
    timeout: Annotated[float, Meta(gt=0, description="Seconds that a command may take.")] = 60
    within: Annotated[float, Meta(gt=0, description="Seconds in which `live` has to name the new pool.")] = 30

    @checks()
    def _one_way(self) -> None:
        if bool(self.switch) == bool(self.plugin) or (self.plugin and self.live):
            raise ValueError("expected either `switch`, with or without `live`, or `plugin`")
        if self.plugin and not NAMED.fullmatch(self.plugin):
            raise ValueError("`plugin`: expected NAME:ARGUMENT")
        for command in (self.switch, "" if is_url(self.live) else self.live):
            try:
                shlex.split(command)
            except ValueError as error:
                raise ValueError(f"`{command}` cannot be split into words: {error}") from None


def is_url(text: str) -> bool:
    """Whether ``text`` is asked by HTTP."""
    return text.startswith(("http://", "https://"))


def ask(options: TrafficOptions, run: Run) -> str:
    """The pool that has the traffic, empty when nobody is there to be asked. Raises `TargetError`."""
    if options.plugin:
        return by_plugin(options, "", run)
    if is_url(options.live):
        return by_url(options)
    if not options.live:
        return ""
    done = run.capture(command_of(options, options.live, "", run))
    if done.code:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise TargetError(f"`{options.live}`, which says where the traffic goes, failed", hint="; ".join(why))
    return done.stdout.decode("utf-8", "replace").strip()


def turn(options: TrafficOptions, pool: str, run: Run) -> None:
    """Turn the traffic to ``pool``, and see that it goes there. Raises `TargetError`."""
    if options.plugin:
        if by_plugin(options, pool, run) not in {"", pool}:
            raise TargetError(f"the traffic does not go to {pool}")
        return
    code = run.execute(command_of(options, options.switch, pool, run))
    if code:
        raise TargetError(f"traffic.switch ended with exit code {code}", hint="its output says why")
    if not options.live:
        return
    end = time.monotonic() + options.within
    while True:
        try:
            there = ask(options, run)
        except TargetError:
            # Who was turned a moment ago may not answer yet.
            if time.monotonic() > end:
                raise
        else:
            if there == pool:
                return
            if time.monotonic() > end:
                raise TargetError(f"the traffic was turned to {pool}, and goes to {there[:SHOWN] or 'nowhere'}")
        run.sleep(PAUSE)


def command_of(options: TrafficOptions, line: str, pool: str, run: Run) -> Command:
    """One of the two commands, for ``pool``."""
    argv = tuple(word.replace("{pool}", pool) for word in shlex.split(line))
    environment = {**run.environment, "PUSH_TARGET": run.target.name, "PUSH_POOL": pool}
    return Command(argv, run.project.root, environment, "traffic", timeout=options.timeout)


def by_plugin(options: TrafficOptions, pool: str, run: Run) -> str:
    """What a plugin says, asked to turn to ``pool``, or to nothing."""
    name, _, argument = options.plugin.partition(":")
    return registry.traffic(name)(argument, pool, run)


def by_url(options: TrafficOptions) -> str:
    """The body of an answer."""
    import http.client  # noqa: PLC0415  (only who asks needs it)
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(options.live, headers={"User-Agent": "pushkit"})  # noqa: S310  (see `is_url`)
    try:
        with urllib.request.urlopen(request, timeout=min(options.timeout, 10)) as answer:  # noqa: S310
            body: bytes = answer.read(LIMIT)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        why = str(getattr(error, "reason", "") or error).partition("] ")
        raise TargetError(
            f"{options.live}, which says where the traffic goes, does not answer: {why[2] or why[0]}",
            hint="is it up, and is `live` in [target.NAME.traffic] its address?",
        ) from error
    return body.decode("utf-8", "replace").strip()
