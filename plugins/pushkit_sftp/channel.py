"""Scripts on channels of an SSH connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from shlex import quote

from pushkit.files import RemoteError, ShellResult, shell_of
from pushkit_sftp.transport import PATIENCE, Channel, Transport, connection_told

BUFFER = 1024 * 1024
# Bytes that a script may write: the digests of four million files. Nothing else writes nearly as much, and to standard
# error it only says why it failed.
LONGEST = 256 * 1024 * 1024
LONGEST_ERROR = 1024 * 1024
# The beginning of each command.
START = "exec sh -c"


def nothing() -> None:
    """The check of a script that nobody may stop."""


#: A script that takes another from its standard input: how many lines it has, the lines, and what they read.
# `read` of a shell takes no byte too many from a pipe.
WAIT = """LC_ALL=C; export LC_ALL; IFS= read -r n || exit 1; s=
while [ "$n" -gt 0 ]; do IFS= read -r l || exit 1; s="$s$l
"; n=$((n-1)); done; eval "$s"
"""


def shell_command(script: str) -> bytes:
    """The command that runs ``script`` in a POSIX shell."""
    # The account's own shell may be any; it only has to start this one.
    return f"{START} {quote(script)}".encode("utf-8", "surrogateescape")


def run(
    transport: Transport,
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
    # A channel's end may be said by us while the server closes it because the script has ended. paramiko then says
    # it of a channel that is closed, for which OpenSSH hangs up. So what reads nothing is told of no end.
    finish = stdin != ()
    script = script if finish else f"exec </dev/null\n{script}"
    within = min(patience, PATIENCE)
    if transport.ahead:
        channel = transport.take(WAITING, within)
        transport.prepare(WAITING)
        stdin = chain((sent(script),), stdin)
    else:
        channel = transport.open(shell_command(script), within)
    return ended(transport, channel, stdin, patience=patience, failed=failed, check=check, finish=finish)


def ended(
    transport: Transport,
    channel: Channel,
    stdin: Iterable[bytes],
    *,
    patience: float,
    failed: Callable[[bytes], bool],
    check: Callable[[], None],
    finish: bool = True,
) -> ShellResult:
    """What the script on ``channel`` left, which is closed. Its input is ended unless ``finish`` is false."""
    return Running(channel, transport.where, patience, check).result(stdin, failed, finish=finish)


#: What `run` starts on a server.
WAITING = shell_command(WAIT)


class Running:
    """A script that runs: what it writes is collected while it is fed, so that neither side waits for the other."""

    def __init__(self, channel: Channel, where: str, patience: float, check: Callable[[], None]) -> None:
        self._channel = channel
        self._where = where
        self._patience = patience
        self._check = check
        self._heard = time.monotonic()
        self.stdout = bytearray()
        self.stderr = bytearray()

    def result(self, stdin: Iterable[bytes], failed: Callable[[bytes], bool], *, finish: bool = True) -> ShellResult:
        """Feed it, and wait until it has ended. The channel is closed then."""
        try:
            with connection_told(self._where):
                self.feed(stdin, failed, finish=finish)
                code = self.read_to_end()
                return ShellResult(code, bytes(self.stdout), bytes(self.stderr))
        finally:
            self._channel.close()

    def feed(self, stdin: Iterable[bytes], failed: Callable[[bytes], bool], *, finish: bool = True) -> None:
        """Write ``stdin`` until it, or what reads it, ends. What ``stdin`` raises goes on."""

        def enough() -> bool:
            return self._drain() or failed(bytes(self.stderr))

        for chunk in stdin:
            if enough() or not self._send(chunk, enough):
                break
        if finish:
            self._channel.finish()

    def read_to_end(self) -> int:
        """Take all that there will be; the exit code, -1 when there is none."""
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
        while True:
            self._drain()
            with suppress(TimeoutError):
                code = self._channel.exit_code()
                self._drain()
                return code
            self._wait()

    def _send(self, chunk: bytes, enough: Callable[[], bool]) -> bool:
        """Write a chunk. False when it is not wanted: enough is known, or the script has closed its input."""
        view = memoryview(chunk)
        while view:
            try:
                sent = self._channel.send(view)
            except TimeoutError:
                if enough():
                    return False
                self._wait()
                continue
            if not sent:
                return False
            view = view[sent:]
            self._heard = time.monotonic()
        return True

    def _drain(self) -> bool:
        """Take what is there; whether the script has ended."""
        while any(there := self._channel.recv_there(BUFFER)):
            for output, piece in zip((self.stdout, self.stderr), there, strict=True):
                if piece:
                    self._take(output, piece)
        self._check()
        return self._channel.over

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


def refusal(result: ShellResult) -> str:
    """What an account without a shell said to a command: the first line, without the command where it repeats it."""
    lines = (result.stderr.strip() or result.stdout.strip()).decode("utf-8", "replace").splitlines()
    return lines[0].partition(START)[0].rstrip(" '\"`:")[:200] if lines else ""


def sent(script: str) -> bytes:
    """``script`` as `WAIT` reads it."""
    lines = script.removesuffix("\n").split("\n")
    return "\n".join([str(len(lines)), *lines, ""]).encode("utf-8", "surrogateescape")


def probe(transport: Transport, script: str, within: float) -> ShellResult | None:
    """What ``script`` printed in the account's shell.

    None when it has none: an SFTP-only account refuses, answers otherwise, or hangs. A shell that has begun to answer
    is there, and who waits for it in vain is told so.
    """
    end = time.monotonic() + within

    def check() -> None:
        if time.monotonic() > end:
            raise TimeoutError("the account talks on and on")

    said = b""
    try:
        running = Running(transport.open(shell_command(script), within), transport.where, within, check)
        try:
            return running.result((), bool)
        finally:
            said = bytes(running.stdout)
    except RemoteError:
        if not transport.active or shell_of(ShellResult(0, said, b"")):
            raise
        return None
