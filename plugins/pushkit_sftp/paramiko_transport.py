"""`ParamikoTransport`: a connection of paramiko, which is always there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from pushkit_sftp.clock import CLOCK
from pushkit_sftp.connection import Check, hang_up, known, reach, weaknesses
from pushkit_sftp.destination import Destination, hops
from pushkit_sftp.host_keys import HostKeys, told
from pushkit_sftp.library import paramiko
from pushkit_sftp.login import Ask, log_in
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.transport import TICK, Channel, Transport

# Bytes that a packet of SSH takes.
PACKET = 32 * 1024


def meet(
    there: Destination, options: SftpOptions, project: Path, local_user: str, check: Check, *, ask: Ask | None = None
) -> paramiko.Transport:
    """A connection to a server, nobody logged in; its host key is what ``check`` raises nothing for."""
    return reach(there, hops(options, project, local_user), partial(log_in, ask=ask), check)


def logged_in(
    there: Destination, options: SftpOptions, project: Path, local_user: str, ask: Ask | None = None
) -> ParamikoTransport:
    """A connection to a server whose host key is known, and in which somebody is logged in."""
    connection = meet(there, options, project, local_user, known(there), ask=ask)
    try:
        log_in(connection, there, ask)
    except BaseException:
        hang_up(connection)
        raise
    return ParamikoTransport(connection, there, options.rate_limit)


def check_host_key(there: Destination, options: SftpOptions, project: Path, local_user: str) -> None:
    """Raise `TargetError` unless the host key of a server is the right one. Nobody logs in."""
    hang_up(meet(there, options, project, local_user, known(there)))


class ParamikoTransport(Transport):
    """``connection`` to ``there``, in which somebody is logged in; it is closed in the end."""

    def __init__(self, connection: paramiko.Transport, there: Destination, rate: int | None = None) -> None:
        super().__init__(there.where, rate)
        self.connection = connection
        self._there = there

    @property
    def active(self) -> bool:
        """Whether it lasts."""
        return self.connection.is_active()

    @property
    def greeting(self) -> str:
        """Who answered."""
        shown = self.connection.get_remote_server_key()
        return f"{self.connection.remote_version}, host key {shown.fingerprint}"

    @property
    def weaknesses(self) -> Sequence[str]:
        """What of it is weaker than it need be."""
        return weaknesses(self.connection)

    @property
    def twins(self) -> Sequence[str]:
        """Other machines that are known to have its host key."""
        return told(HostKeys(self._there).twins(self.connection.get_remote_server_key().fingerprint))

    def _close(self) -> None:
        """Hang up."""
        with suppress(Exception):
            hang_up(self.connection)

    def _open(self, command: bytes, within: float, *, subsystem: bool) -> Channel:
        with speaking(), self._round_trip():
            channel = self.connection.open_session(timeout=within)
        try:
            with speaking(), answered(channel, within):
                if subsystem:
                    channel.invoke_subsystem(command.decode())
                else:
                    channel.exec_command(command)
        except BaseException:
            channel.close()
            raise
        channel.settimeout(TICK)
        return ParamikoChannel(channel)


class ParamikoChannel(Channel):
    """A channel of paramiko on which a program was started."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def _send(self, data: bytes | memoryview, /) -> int:
        """Send one packet."""
        try:
            return self._channel.send(bytes(data[:PACKET]))
        except TimeoutError:
            raise
        except OSError:
            # The program has closed its input, and the channel with it.
            if not self._channel.closed or not self._channel.get_transport().is_active():
                raise
            return 0

    def recv(self, size: int, /) -> bytes:
        """What it printed."""
        return self._channel.recv(size)

    def recv_there(self, size: int, /) -> tuple[bytes, bytes]:
        """What is there already."""
        channel = self._channel
        # Both outputs share one window: neither may be left full while the other is waited for.
        out = channel.recv(size) if channel.recv_ready() else b""
        return out, channel.recv_stderr(size) if channel.recv_stderr_ready() else b""

    def finish(self) -> None:
        """End its standard input."""
        with suppress(OSError, EOFError):
            self._channel.shutdown_write()

    @property
    def over(self) -> bool:
        """Whether it is known how it ended."""
        return self._channel.exit_status_ready()

    def exit_code(self) -> int:
        """How it ended."""
        if not self._channel.status_event.wait(TICK):
            raise TimeoutError("the server did not say how a command ended")
        code = self._channel.recv_exit_status()
        if code == -1:
            # A connection that is lost ends its channels first, and is called active for a moment more.
            connection = self._channel.get_transport()
            connection.join(TICK)
            if not connection.is_active():
                raise EOFError("the server is gone")
        return code

    def close(self) -> None:
        """End it."""
        with suppress(Exception):  # a connection that is gone cannot be told so
            self._channel.close()


@contextmanager
def speaking() -> Iterator[None]:
    """Turn what only paramiko raises into what every connection does."""
    try:
        yield
    except paramiko.SSHException as error:
        raise EOFError(str(error)) from error


@contextmanager
def answered(channel: paramiko.Channel, within: float) -> Iterator[None]:
    """Raise `TimeoutError` when the server does not answer the request of a channel that is made here.

    paramiko itself would wait for ever; a channel that is closed ends its wait.
    """
    late: list[threading.Thread] = []

    def give_up() -> None:
        # It may have to wait until the server takes something.
        late.append(threading.Thread(target=channel.close, name="late", daemon=True))
        late[0].start()

    alarm = CLOCK.after(within, give_up)
    try:
        yield
    except paramiko.SSHException as error:
        if late:
            raise TimeoutError("the server did not answer the request of a channel") from error
        raise
    finally:
        CLOCK.give_up(alarm)
        for each in late:
            each.join(TICK)
