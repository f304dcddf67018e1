"""Whether a host does its work: asked by a URL, a connection, or a command on it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from pushkit.errors import TargetError
from pushkit.fleet.host import filled
from pushkit.model import Host
from pushkit.options import Options, checks
from pushkit.strategy import Run

if TYPE_CHECKING:
    from http.client import HTTPResponse

#: As much of an answer is looked at, in bytes.
LIMIT = 1 << 20
#: As much of what answers in another language is shown, in characters.
SHOWN = 80


class HealthOptions(Options):
    """How a host is asked whether it does its work: one of ``url``, ``tcp`` and ``command``."""

    url: Annotated[
        str, Meta(description="What has to answer with a status of 2xx; `{host}`, `{pool}` and `{zone}` are its own.")
    ] = ""
    contains: Annotated[str, Meta(description="What the answer of `url` has to contain.")] = ""
    tcp: Annotated[int, Meta(ge=1, le=65535, description="The port that has to take a connection.")] | None = None
    command: Annotated[str, Meta(description="What has to end with 0 on the host, in the live release.")] = ""
    within: Annotated[float, Meta(gt=0, description="Seconds in which it has to become well.")] = 30
    every: Annotated[float, Meta(ge=0.05, le=600, description="Seconds between two questions.")] = 1
    timeout: Annotated[float, Meta(gt=0, description="Seconds that one answer may take.")] = 5

    @checks()
    def _one_of_three(self) -> None:
        if sum(map(bool, (self.url, self.tcp, self.command))) != 1:
            raise ValueError("expected one of `url`, `tcp` and `command`")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("`url`: expected http:// or https://")
        if self.contains and not self.url:
            raise ValueError("`contains` is for `url`")


def wait_until_well(options: HealthOptions, host: Host, strategy: Any, run: Run) -> None:
    """Ask until the host is well. Raises `TargetError` with the last reason when its time is up."""
    end = time.monotonic() + options.within
    while True:
        why = ask(options, host, strategy, run)
        if not why:
            return
        if time.monotonic() + options.every > end:
            raise TargetError(f"not well after {options.within:g} seconds: {why}")
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
        except UnicodeError:
            return f"{host.name!r} is no name that can be looked up"
    return str(strategy.ask_health(filled(options.command, host), options.timeout))


def by_url(options: HealthOptions, host: Host) -> str:
    """What is wrong with the answer of a URL; empty when nothing is. Certificates are verified."""
    import http.client  # noqa: PLC0415  (only who asks needs it)
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    url = filled(options.url, host)
    request = urllib.request.Request(url, headers={"User-Agent": "pushkit"})  # noqa: S310  (checked by the options)
    end = time.monotonic() + options.timeout
    try:
        with urllib.request.urlopen(request, timeout=options.timeout) as answer:  # noqa: S310
            return "" if has(answer, options.contains.encode(), end) else lacks(options)
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answers with status {error.code}"
    except (OSError, ValueError) as error:
        return f"it does not answer: {getattr(error, 'reason', None) or error}"
    except http.client.HTTPException as error:
        return f"what answers does not speak HTTP: {' '.join(repr(error).split())[:SHOWN]}"


def has(answer: HTTPResponse, wanted: bytes, end: float) -> bool:
    """Whether an answer contains ``wanted``, looked for as it comes: some never end. Raises TimeoutError at ``end``."""
    body = b""
    while wanted not in body:
        if time.monotonic() > end:
            raise TimeoutError("timed out")
        piece = answer.read1(LIMIT)
        body += piece
        if not piece or len(body) >= LIMIT:
            break
    return wanted in body


def lacks(options: HealthOptions) -> str:
    """What is wrong with an answer that lacks what it has to contain."""
    return f"the answer does not contain {options.contains!r}"
