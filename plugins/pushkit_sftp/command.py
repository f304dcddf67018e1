"""`stream`: a script on the server whose output is passed on while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from shlex import quote

from pushkit.files import GRACE
from pushkit_sftp.channel import BUFFER, PATIENCE, answered, connection_told
from pushkit_sftp.client import TICK
from pushkit_sftp.library import paramiko

# Seconds for the server to say that what was ended has ended, beyond the grace that it was given; and seconds for which
# a process that left the script's group may go on holding its output.
LATE, LINGER = 10.0, 1.0


def stream(  # noqa: PLR0917  (a command needs all of it)
    transport: paramiko.Transport,
    where: str,
    script: str,
    take: Callable[[bytes], object],
    timeout: float,
    cancelled: threading.Event,
) -> int | None:
    """Run ``script`` on a channel of its own, and pass on what it prints; see `ShellRemote.stream_script`."""
    with connection_told(where):
        channel = transport.open_session(timeout=PATIENCE)
        try:
            channel.settimeout(TICK)
            command = f"exec sh -c {quote(script)}".encode("utf-8", "surrogateescape")
            with answered(channel, PATIENCE):
                channel.exec_command(command)
            return followed(channel, take, timeout, cancelled)
        finally:
            # Without its input the script ends what it runs, whatever happened here.
            channel.close()


def followed(
    channel: paramiko.Channel, take: Callable[[bytes], object], timeout: float, cancelled: threading.Event
) -> int | None:
    """The exit code of what runs on ``channel``; None when it was ended."""
    end = time.monotonic() + timeout
    stopped = ended = 0.0
    while True:
        now = time.monotonic()
        if not stopped and (cancelled.is_set() or now >= end):
            stopped = now
            channel.shutdown_write()
        if stopped and now > stopped + GRACE + LATE:
            return None
        with suppress(TimeoutError):
            piece = channel.recv(BUFFER)
            if not piece:
                break
            take(piece)
        if channel.exit_status_ready():
            ended = ended or now
            if now - ended > LINGER:
                break
    if not channel.status_event.wait(PATIENCE):
        raise TimeoutError("the server did not say how a command ended")
    code = channel.recv_exit_status()
    if code == -1:
        # A connection that is lost ends its channels first, and is called active for a moment more.
        channel.get_transport().join(TICK)
        if not channel.get_transport().is_active():
            raise EOFError("the server is gone")
    return None if stopped else code
