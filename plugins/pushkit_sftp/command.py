"""`stream`: a script on the server whose output is passed on while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pushkit.files import GRACE
from pushkit_sftp.channel import BUFFER, shell_command
from pushkit_sftp.transport import PATIENCE, Channel, Transport, connection_told

# Seconds for the server to say that what was ended has ended, beyond the grace that it was given; and seconds for which
# a process that left the script's group may go on holding its output.
LATE, LINGER = 10.0, 1.0


def stream(  # noqa: PLR0917  (those of what it is for, and where)
    transport: Transport,
    script: str,
    stdin: bytes,
    take: Callable[[bytes], object],
    timeout: float,
    cancelled: threading.Event,
) -> int | None:
    """Run ``script`` on a channel of its own, and pass on what it prints; see `ShellRemote.stream_script`."""
    channel = transport.open(shell_command(script))
    try:
        with connection_told(transport.where):
            give(channel, stdin, timeout, cancelled)
            return followed(channel, take, timeout, cancelled)
    finally:
        # Without its input the script ends what it runs, whatever happened here.
        channel.close()


def give(channel: Channel, stdin: bytes, timeout: float, cancelled: threading.Event) -> None:
    """Send ``stdin``, unless it is not taken: then the script has ended, or is about to."""
    end = time.monotonic() + timeout
    left = memoryview(stdin)
    while left and not cancelled.is_set() and time.monotonic() < end:
        with suppress(TimeoutError):
            sent = channel.send(left)
            if not sent:
                return
            left = left[sent:]


def followed(
    channel: Channel, take: Callable[[bytes], object], timeout: float, cancelled: threading.Event
) -> int | None:
    """The exit code of what runs on ``channel``; None when it was ended."""
    end = time.monotonic() + timeout
    stopped = ended = 0.0
    while True:
        now = time.monotonic()
        if not stopped and (cancelled.is_set() or now >= end):
            stopped = now
            channel.finish()
        if stopped and now > stopped + GRACE + LATE:
            return None
        with suppress(TimeoutError):
            piece = channel.recv(BUFFER)
            if not piece:
                break
            take(piece)
        if channel.over:
            ended = ended or now
            if now - ended > LINGER:
                break
    late = time.monotonic() + PATIENCE
    while True:
        try:
            code = channel.exit_code()
        except TimeoutError:
            if time.monotonic() > late:
                raise
        else:
            return None if stopped else code
