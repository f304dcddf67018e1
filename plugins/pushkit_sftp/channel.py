"""Scripts on channels of an SSH connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from shlex import quote

import paramiko

from pushkit.files import PROBE, RemoteError, Shell, ShellResult, shell_of

PIECE = 32 * 1024
BUFFER = 1024 * 1024


@contextmanager
def connection_told(where: str) -> Iterator[None]:
    """Turn what paramiko raises when the connection fails into a `RemoteError`."""
    try:
        yield
    except TimeoutError as error:
        raise RemoteError(f"{where}: no answer in time", hint="push again; what was live is untouched") from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise RemoteError(
            f"{where}: the connection was lost: {error or type(error).__name__}",
            hint="push again; what was live is untouched",
        ) from error


def run(
    transport: paramiko.Transport,
    where: str,
    script: str,
    *,
    stdin: Iterable[bytes] = (),
    failed: Callable[[bytes], bool] = bool,
    within: float | None = None,
) -> ShellResult:
    """Run ``script`` in a POSIX shell on a channel of its own; see `ShellRemote.run_script`.

    ``within`` seconds the script must have ended; None when it may take its time.
    """
    with connection_told(where):
        channel = transport.open_session(timeout=within)
        try:
            channel.settimeout(within)
            # The account's own shell may be any; it only has to start this one.
            channel.exec_command(f"exec sh -c {quote(script)}".encode("utf-8", "surrogateescape"))
            outputs = Outputs(channel, within)
            feed(channel, stdin, lambda: outputs.drain() or failed(bytes(outputs.stderr)))
            outputs.read_to_end()
            code = channel.recv_exit_status()
            if code == -1 and not transport.is_active():
                raise EOFError("the server is gone")
            return ShellResult(code, bytes(outputs.stdout), bytes(outputs.stderr))
        finally:
            channel.close()


def feed(channel: paramiko.Channel, stdin: Iterable[bytes], enough: Callable[[], bool]) -> None:
    """Write ``stdin`` to the channel until it, or what reads it, ends. What `stdin` raises goes on."""
    for chunk in stdin:
        if enough() or not send(channel, chunk):
            break
    try:
        channel.shutdown_write()
    except OSError:
        # The script has ended and the channel with it.
        return


def send(channel: paramiko.Channel, chunk: bytes) -> bool:
    """Write a chunk. False when the other side has closed the channel, which its exit code explains."""
    view = memoryview(chunk)
    try:
        while view:
            sent = channel.send(bytes(view[:PIECE]))
            if not sent:
                return False
            view = view[sent:]
    except TimeoutError:
        raise
    except OSError:
        if not channel.closed or not channel.get_transport().is_active():
            raise
        return False
    return True


class Outputs:
    """What a script writes, collected while it is fed, so that neither side waits for the other."""

    def __init__(self, channel: paramiko.Channel, within: float | None) -> None:
        self._channel = channel
        self._end = None if within is None else time.monotonic() + within
        self.stdout = bytearray()
        self.stderr = bytearray()

    def drain(self) -> bool:
        """Take what is there; whether the script has ended."""
        while self._channel.recv_ready():
            self.stdout += self._channel.recv(BUFFER)
        while self._channel.recv_stderr_ready():
            self.stderr += self._channel.recv_stderr(BUFFER)
        return self._channel.exit_status_ready()

    def read_to_end(self) -> None:
        """Take all there will be."""
        # Both outputs share one window: neither may be left full while the other is waited for.
        self._channel.settimeout(0.2)
        while True:
            try:
                piece = self._channel.recv(BUFFER)
            except TimeoutError:
                piece = None
            if piece:
                self.stdout += piece
            self.drain()
            if piece == b"":
                break
            if self._end is not None and time.monotonic() > self._end:
                raise TimeoutError("the script did not end")
        self._channel.settimeout(None if self._end is None else max(0.0, self._end - time.monotonic()))
        while piece := self._channel.recv_stderr(BUFFER):
            self.stderr += piece


def probe(transport: paramiko.Transport, where: str, within: float) -> Shell | None:
    """The account's shell, or None when it has none: an SFTP-only account refuses, answers otherwise, or hangs."""
    try:
        return shell_of(run(transport, where, PROBE, within=within))
    except RemoteError:
        if not transport.is_active():
            raise
        return None
