"""Whether a host does its work: asked by a URL, a connection, or a command on it."""

from __future__ import annotations

import socket
import time
from typing import Any, Self

from pydantic import Field, model_validator

from pushkit.errors import TargetError
from pushkit.fleet.host import filled
from pushkit.model import Host
from pushkit.options import Options
from pushkit.strategy import Run

#: As much of an answer is looked at, in bytes.
LIMIT = 1 << 20


class HealthOptions(Options):
    """How a host is asked whether it does its work: one of ``url``, ``tcp`` and ``command``."""

    url: str = Field(
        default="", description="What has to answer with a status of 2xx; `{host}`, `{pool}` and `{zone}` are its own."
    )
    contains: str = Field(default="", description="What the answer of `url` has to contain.")
    tcp: int | None = Field(default=None, ge=1, le=65535, description="The port that has to take a connection.")
    command: str = Field(default="", description="What has to end with 0 on the host, in the live release.")
    within: float = Field(default=30, gt=0, allow_inf_nan=False, description="Seconds in which it has to become well.")
    every: float = Field(default=1, ge=0.05, le=600, description="Seconds between two questions.")
    timeout: float = Field(default=5, gt=0, allow_inf_nan=False, description="Seconds that one answer may take.")

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(map(bool, (self.url, self.tcp, self.command))) != 1:
            raise ValueError("expected one of `url`, `tcp` and `command`")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("`url`: expected http:// or https://")
        if self.contains and not self.url:
            raise ValueError("`contains` is for `url`")
        return self


def wait_until_well(options: HealthOptions, host: Host, strategy: Any, run: Run) -> None:
    """Ask until the host is well. Raises `TargetError` with the last reason when its time is up."""
    end = time.monotonic() + options.within
    while True:
        why = ask(options, host, strategy, run)
        if not why:
            return
        if time.monotonic() + options.every > end:
            raise TargetError(f"{host.name} is not well after {options.within:g} seconds: {why}")
        run.sleep(options.every)


def ask(options: HealthOptions, host: Host, strategy: Any, run: Run) -> str:
    """Why the host is not well; empty when it is."""
    run.check()
    if options.url:
        return by_url(options, host)
    if options.tcp:
        try:
            with socket.create_connection((host.name, options.tcp), timeout=options.timeout):
                return ""
        except OSError as error:
            return f"port {options.tcp} takes no connection: {error.strerror or error}"
    return str(strategy.ask_health(filled(options.command, host), options.timeout))


def by_url(options: HealthOptions, host: Host) -> str:
    """What is wrong with the answer of a URL; empty when nothing is. Certificates are verified."""
    import urllib.error  # noqa: PLC0415  (only who asks needs it)
    import urllib.request  # noqa: PLC0415

    url = filled(options.url, host)
    request = urllib.request.Request(url, headers={"User-Agent": "pushkit"})  # noqa: S310  (checked by the options)
    try:
        with urllib.request.urlopen(request, timeout=options.timeout) as answer:  # noqa: S310
            if options.contains and options.contains.encode() not in answer.read(LIMIT):
                return f"the answer does not contain {options.contains!r}"
    except urllib.error.HTTPError as error:
        return f"it answers with status {error.code}"
    except (OSError, ValueError) as error:
        return f"it does not answer: {getattr(error, 'reason', None) or error}"
    return ""
