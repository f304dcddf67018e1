"""Scripts on channels of an SSH connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from shlex import quote

from pushkit.files import RemoteError, ShellResult
from pushkit_sftp.client import TICK
from pushkit_sftp.library import paramiko

PIECE = 32 * 1024
BUFFER = 1024 * 1024
# Bytes that a script may write: the digests of four million files. Nothing else writes nearly as much, and to standard
# error it only says why it failed.
LONGEST = 256 * 1024 * 1024
LONGEST_ERROR = 1024 * 1024
# Seconds for the answer to one request.
PATIENCE = 60


@contextmanager
def answered(channel: paramiko.Channel, within: float) -> Iterator[None]:
    """Raise `TimeoutError` when the server does not answer the request of a channel that is made here.

    paramiko itself would wait for ever; a channel that is closed ends its wait.
    """
    late = threading.Event()

    def give_up() -> None:
        late.set()
        channel.close()

    timer = threading.Timer(within, give_up)
    timer.start()
    try:
        yield
    except paramiko.SSHException as error:
        if late.is_set():
            raise TimeoutError("the server did not answer the request of a channel") from error
        raise
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def connection_told(where: str) -> Iterator[None]:
    """Turn what paramiko raises when the connection fails into a `RemoteError`."""
    try:
        yield
    except TimeoutError as error:
        raise RemoteError(f"{where}: no answer in time", hint="push again") from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise RemoteError(
            f"{where}: the connection was lost: {str(error) or type(error).__name__}",
            hint="push again",
        ) from error


def nothing() -> None:
    """The check of a script that nobody may stop."""


def run(
    transport: paramiko.Transport,
    where: str,
    script: str,
    *,
    patience: float,
    stdin: Iterable[bytes] = (),
    failed: Callable[[bytes], bool] = bool,
    check: Callable[[], None] = nothing,
) -> ShellResult:
    """Run ``script`` in a POSIX shell on a channel of its own; see `ShellRemote.run_script`.

    ``patience`` is how many seconds the script may take nothing and write nothing. ``check`` is called every `TICK`
    while it is waited for, and raises what is to end the wait.
    """
    with connection_told(where):
        channel = transport.open_session(timeout=min(patience, PATIENCE))
        try:
            channel.settimeout(TICK)
            # The account's own shell may be any; it only has to start this one.
            command = f"exec sh -c {quote(script)}".encode("utf-8", "surrogateescape")
            with answered(channel, min(patience, PATIENCE)):
                channel.exec_command(command)
            running = Running(channel, where, patience, check)
            running.feed(stdin, failed)
            code = running.read_to_end()
            if code == -1:
                # A connection that is lost ends its channels first, and is called active for a moment more.
                transport.join(TICK)
                if not transport.is_active():
                    raise EOFError("the server is gone")
            return ShellResult(code, bytes(running.stdout), bytes(running.stderr))
        finally:
            channel.close()


class Running:
    """A script that runs: what it writes is collected while it is fed, so that neither side waits for the other."""

    def __init__(self, channel: paramiko.Channel, where: str, patience: float, check: Callable[[], None]) -> None:
        self._channel = channel
        self._where = where
        self._patience = patience
        self._check = check
        self._heard = time.monotonic()
        self.stdout = bytearray()
        self.stderr = bytearray()

    def feed(self, stdin: Iterable[bytes], failed: Callable[[bytes], bool]) -> None:
        """Write ``stdin`` until it, or what reads it, ends. What ``stdin`` raises goes on."""

        def enough() -> bool:
            return self._drain() or failed(bytes(self.stderr))

        for chunk in stdin:
            if enough() or not self._send(chunk, enough):
                break
        try:
            self._channel.shutdown_write()
        except OSError:
            # The script has ended and the channel with it.
            return

    def read_to_end(self) -> int:
        """Take all that there will be; the exit code, -1 when there is none."""
        # Both outputs share one window: neither may be left full while the other is waited for.
        while True:
            try:
                piece = self._channel.recv(BUFFER)
            except TimeoutError:
                self._wait()
            else:
                self._take(self.stdout, piece)
                if not piece:
                    break
            self._drain()
        self._drain()
        while not self._channel.status_event.wait(TICK):
            self._wait()
        return self._channel.recv_exit_status()

    def _send(self, chunk: bytes, enough: Callable[[], bool]) -> bool:
        """Write a chunk. False when it is not wanted: enough is known, or the script has closed its input."""
        view = memoryview(chunk)
        try:
            while view:
                try:
                    sent = self._channel.send(bytes(view[:PIECE]))
                except TimeoutError:
                    if enough():
                        return False
                    self._wait()
                    continue
                if not sent:
                    return False
                view = view[sent:]
                self._heard = time.monotonic()
        except OSError:
            if not self._channel.closed or not self._channel.get_transport().is_active():
                raise
            return False
        return True

    def _drain(self) -> bool:
        """Take what is there; whether the script has ended."""
        while self._channel.recv_ready():
            self._take(self.stdout, self._channel.recv(BUFFER))
        while self._channel.recv_stderr_ready():
            self._take(self.stderr, self._channel.recv_stderr(BUFFER))
        self._check()
        return self._channel.exit_status_ready()

    def _take(self, output: bytearray, piece: bytes) -> None:
        output += piece
        self._heard = time.monotonic()
        most = LONGEST if output is self.stdout else LONGEST_ERROR
        if len(output) > most:
            raise RemoteError(
                f"{self._where}: a command on the server wrote over {most:,} bytes, which cannot be right"
            )

    def _wait(self) -> None:
        """Another `TICK` has passed in which nothing happened."""
        self._check()
        if time.monotonic() - self._heard > self._patience:
            raise RemoteError(
                f"{self._where}: a command on the server did nothing for {self._patience:,.0f} s, and was given up",
                hint="look at the server: does its disk answer? Then push again",
            )


def probe(transport: paramiko.Transport, where: str, script: str, within: float) -> ShellResult | None:
    """What ``script`` printed in the account's shell.

    None when it has none: an SFTP-only account refuses, answers otherwise, or hangs.
    """
    end = time.monotonic() + within

    def check() -> None:
        if time.monotonic() > end:
            raise TimeoutError("the account talks on and on")

    try:
        return run(transport, where, script, patience=within, check=check)
    except RemoteError:
        if not transport.is_active():
            raise
        return None
