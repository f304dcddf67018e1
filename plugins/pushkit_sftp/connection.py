"""`reach`: the way to a server, the key exchange, and the check of the host key, each within its time."""

from __future__ import annotations

import logging
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pushkit import TargetError
from pushkit_sftp.clock import CLOCK, Alarm
from pushkit_sftp.destination import HOPS, Destination, Hop, check_left
from pushkit_sftp.host_keys import STRONG_RSA, HostKey, HostKeys
from pushkit_sftp.library import paramiko

#: Raises `TargetError` for a host key that is not the right one.
Check = Callable[[HostKey], None]
LogIn = Callable[[paramiko.Transport, Destination], None]

# Seconds after which a peer that acknowledges nothing is gone, for the system.
SILENCE = 75
# Seconds for a process that leads to a server to end by itself.
LAST_SECONDS = 2.0
WINDOW = 16 * 1024 * 1024
# So many signs of life may stay without an answer.
MISSED = 3
#: Seconds after which a thread that waits for a server looks whether there is anything else to do.
IDLE = 5.0
#: Bytes after which keys are exchanged anew where a cipher has blocks of 16 bytes: RFC 4344, 3.2, as OpenSSH does.
KEYS_LAST = 1 << 36
#: So many bytes are read at once at least, and where they are there, at most.
AHEAD, MOST = 1 << 11, 1 << 16

# What paramiko has to say is raised; without a handler its logger would also write to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def reach(there: Destination, hop_of: Hop, log_in: LogIn, check: Check, left: int = HOPS) -> paramiko.Transport:
    """A connection to a server whose host key ``check`` found to be right. Nobody is logged in yet.

    The servers that lead to it, ``left`` of them at most, are made known by ``hop_of``, and logged in to; their keys
    are checked too.
    """
    if not there.jumps:
        return dial(there, proxied(there) if there.command else connect(there), check)
    check_left(there, left)
    last = hop_of(there.jumps[-1], there.jumps[:-1])
    gate = reach(last, hop_of, log_in, known(last), left - 1)
    try:
        log_in(gate, last)
        sock = passage(gate, last, there)
    except BaseException:
        hang_up(gate)
        raise
    return dial(there, sock, check)


def known(there: Destination) -> Check:
    """The check that a host key is the one of ``there`` that is known."""
    return HostKeys(there).check


def dial(there: Destination, sock: Any, check: Check) -> paramiko.Transport:
    """Exchange keys over ``sock``, which is closed in the end, and ``check`` that of the server."""
    transport = None
    line: Any = Line(sock)
    timeout = there.timeout
    try:
        with handshake_told(there.where, timeout):
            transport = paramiko.Transport(line, default_window_size=WINDOW)
            transport.banner_timeout = transport.handshake_timeout = timeout
            prefer(transport.get_security_options(), HostKeys(there))
            # A second later than its own limits, so that it is those that speak.
            transport.start_client(timeout=timeout + 1)
            shown = transport.get_remote_server_key()
        if (transport.local_cipher or "").startswith("aes"):
            # paramiko would in the middle of a large file, and not come to an end where a channel closes meanwhile.
            transport.packetizer.REKEY_BYTES = KEYS_LAST
        certificate = shown.public_blob.key_blob if shown.public_blob else b""
        check(HostKey(shown.get_name(), shown.asbytes(), certificate))
        line.watch(transport, there.keepalive)
    except BaseException:
        line.close()
        if transport is not None:
            hang_up(transport)
        raise
    return transport


def passage(gate: paramiko.Transport, by: Destination, there: Destination) -> paramiko.Channel:
    """A way through the server ``by``, in which somebody is logged in, to the next."""
    _user, host, port = there.address
    try:
        return gate.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=there.timeout)
    except (paramiko.SSHException, OSError, EOFError) as error:
        said = f"{error.text}" if isinstance(error, paramiko.ChannelException) else str(error) or "it hung up"
        raise TargetError(
            f"{by.where} does not lead to {there.where}: {said}",
            hint="does the host answer from there, and may this account go through (AllowTcpForwarding)?",
        ) from error


class Line:
    """What carries a connection, a socket or a channel. Knows when something was heard last."""

    def __init__(self, carrier: Any) -> None:
        self.carrier = carrier
        self._ahead = memoryview(b"")
        self._heard = time.monotonic()
        self._over = False
        self._alarm: Alarm | None = None
        self._asking: threading.Thread | None = None
        self._most = AHEAD

    def recv(self, size: int) -> bytes:
        """What the other side said.

        A packet is read in two or three small pieces, and each that is asked of the system is a turn of Python's lock,
        for which all connections of a fleet queue: more is read at once. How much grows with what comes: who waits for
        it keeps room for it.
        """
        if not self._ahead:
            most = max(size, self._most)
            self._ahead = memoryview(self.carrier.recv(most))
            self._heard = time.monotonic()
            self._most = min(2 * most, MOST) if len(self._ahead) == most else AHEAD
        data = bytes(self._ahead[:size])
        # An empty rest would keep what it is the rest of.
        self._ahead = self._ahead[size:] or memoryview(b"")
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.carrier, name)

    def watch(self, transport: paramiko.Transport, interval: float) -> None:
        """Ask for a sign of life when the other side was silent for so many seconds, and end what has none to give."""

        def ask() -> None:
            # paramiko waits for the answer; what it is does not matter.
            with suppress(paramiko.SSHException, OSError, EOFError):
                transport.global_request("keepalive@openssh.com", wait=True)

        def look() -> None:
            silent = time.monotonic() - self._heard
            if not transport.is_authenticated():
                # A server takes no such question before a login, whose steps have limits of their own; a person who
                # is asked for a passphrase has none.
                self._heard = time.monotonic()
            elif silent > interval * MISSED:
                self.wake()
                self.carrier.close()
                return
            elif silent > interval and (self._asking is None or not self._asking.is_alive()):
                self._asking = threading.Thread(target=ask, name="sign of life", daemon=True)
                self._asking.start()
            if not self._over:
                self._alarm = CLOCK.after(interval / MISSED, look)

        if isinstance(self.carrier, socket.socket):
            # paramiko has a thread look ten times a second whether its connection is being closed: for 800 hosts that
            # nothing is said to, half a processor. `close` wakes it.
            self.carrier.settimeout(IDLE)
        self._alarm = CLOCK.after(interval / MISSED, look)

    def wake(self) -> None:
        """Let nothing more be read, and who waits for that hear of it at once."""
        if isinstance(self.carrier, socket.socket):
            with suppress(OSError):
                self.carrier.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """End it, and whoever watches it."""
        self._over = True
        self.wake()
        self.carrier.close()
        # A look that is under way may have begun to wait for the next.
        while alarm := self._alarm:
            self._alarm = None
            CLOCK.give_up(alarm)
        if self._asking is not None:
            self._asking.join(1)


class Proxied(socket.socket):
    """A socket whose other end is a process."""

    process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the process too."""
        super().close()
        if self.process is not None:
            end(self.process)
            self.process = None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that lost its input, at once if need be."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(LAST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def proxied(there: Destination) -> socket.socket:
    """What the `ProxyCommand` of ssh's configuration reads and prints."""
    ours, theirs = socket.socketpair()
    sock = Proxied(fileno=ours.detach())
    with theirs:
        try:
            # As ssh does it: the shell of the user, which the command takes the place of.
            shell = os.environ.get("SHELL") or "/bin/sh"
            sock.process = subprocess.Popen(
                [shell, "-c", f"exec {there.command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                start_new_session=True,
            )
        except OSError as error:
            sock.close()
            raise TargetError(f"{there.where}: the ProxyCommand cannot be run: {error.strerror or error}") from error
    return sock


def connect(there: Destination) -> socket.socket:
    """A TCP connection that sends at once and notices when the other side is gone."""
    where, timeout = there.where, there.timeout
    try:
        sock = socket.create_connection((there.address.host, there.address.port), timeout=timeout)
    except TimeoutError as error:
        raise TargetError(
            f"{where}: no answer within {timeout:g} s",
            hint="check the host and the port, and that no firewall drops the connection",
        ) from error
    except ConnectionRefusedError as error:
        raise TargetError(
            f"{where}: the connection was refused", hint="check the port, and that the SSH server runs"
        ) from error
    except (socket.gaierror, UnicodeError) as error:
        raise TargetError(
            f"{there.address.host}: there is no such host",
            hint="check `host`, and that this machine can look names up",
        ) from error
    except OSError as error:
        raise TargetError(f"{where}: cannot be reached: {error.strerror or error}") from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)
    return sock


@contextmanager
def handshake_told(where: str, timeout: float) -> Iterator[None]:
    """Turn what can go wrong in a key exchange into one clear message each."""
    start = time.monotonic()
    try:
        yield
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise TargetError(f"{where}: the server shares no algorithm with this client: {error}") from error
    except (paramiko.SSHException, OSError, EOFError, ValueError, LookupError, struct.error) as error:
        # paramiko has one message for a server that says nothing, something else, or hangs up; the time tells.
        if "banner" in str(error) and time.monotonic() - start < timeout:
            said = "is open, but what listens there hung up, or is no SSH server"
        elif "banner" in str(error):
            said = f"is open, but no SSH server introduced itself within {timeout:g} s"
        elif isinstance(error, EOFError) or not str(error):
            said = "the server hung up during the key exchange"
        else:
            said = f"the key exchange failed: {error}"
        raise TargetError(f"{where}: {said}", hint="check the port; is it that of an SSH server?") from error


def prefer(security: paramiko.transport.SecurityOptions, host_keys: HostKeys) -> None:
    """The order of algorithms: fast ones first, and the host key's type that is known. What ssh has given up is out."""
    # AES-GCM needs no MAC beside it, and processors have instructions for it.
    ciphers = [name for name in security.ciphers if "cbc" not in name]
    security.ciphers = tuple(sorted(ciphers, key=lambda name: not name.startswith("aes128-gcm")))
    digests = [name for name in security.digests if not any(weak in name for weak in ("md5", "-96"))]
    security.digests = tuple(sorted(digests, key=lambda name: ("sha1" in name, "etm" not in name)))
    # A finite-field exchange of 4096 bits costs 18 times as much as an elliptic curve.
    security.kex = tuple(sorted(security.kex, key=lambda name: (name.startswith("diffie-"), "group16" in name)))
    security.key_types = tuple(host_keys.sort_types(security.key_types))


def weaknesses(transport: paramiko.Transport) -> list[str]:
    """What of a connection is weaker than it need be."""
    key = transport.get_remote_server_key()
    found = []
    if key.get_name() == "ssh-rsa" and key.get_bits() < STRONG_RSA:
        found.append(f"a host key of {key.get_bits()} bits RSA")
    if transport.local_mac and "sha1" in transport.local_mac and "gcm" not in (transport.local_cipher or ""):
        found.append(f"the MAC {transport.local_mac}")
    return found


def hang_up(transport: paramiko.Transport) -> None:
    """Close a connection, whatever its state, wait until its thread has ended, and close what leads to it."""
    way = transport.sock
    # One that failed in the key exchange would keep the thread that watches over its time.
    transport.packetizer.complete_handshake()
    if isinstance(way, Line):
        way.wake()
    transport.close()
    # A transport that failed is not active any more, and its close() leaves the socket open.
    way.close()
    if transport.ident is not None:
        transport.join(5)
    if isinstance(way, Line) and isinstance(way.carrier, paramiko.Channel):
        hang_up(way.carrier.get_transport())
