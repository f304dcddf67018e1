"""`dial`: a TCP connection, the key exchange, and the check of the host key, each within its time."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pushkit import TargetError
from pushkit_sftp.host_keys import HostKey, HostKeys
from pushkit_sftp.library import paramiko
from pushkit_sftp.options import Address

KEEPALIVE = 15
# A peer that acknowledges nothing for so long is gone; keepalives make sure that there is something to acknowledge.
SILENCE = 75
WINDOW = 16 * 1024 * 1024

# What paramiko has to say is raised; without a handler its logger would also write to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def dial(address: Address, host_keys: HostKeys, timeout: float) -> paramiko.Transport:
    """Connect to the server and make sure that it is the right one. Nobody is logged in yet.

    ``timeout`` seconds for the TCP connection, and as many for the key exchange.
    """
    where = f"{address.host}:{address.port}"
    sock = connect(address, timeout)
    transport = None
    try:
        with handshake_told(where, timeout):
            transport = paramiko.Transport(sock, default_window_size=WINDOW)
            transport.banner_timeout = transport.handshake_timeout = timeout
            prefer(transport.get_security_options(), host_keys)
            # A second later than its own limits, so that it is those that speak.
            transport.start_client(timeout=timeout + 1)
            shown = transport.get_remote_server_key()
        host_keys.check(HostKey(shown.get_name(), shown.asbytes()))
        transport.set_keepalive(KEEPALIVE)
    except BaseException:
        sock.close()
        if transport is not None:
            hang_up(transport)
        raise
    return transport


def connect(address: Address, timeout: float) -> socket.socket:
    """A TCP connection that sends at once and notices when the other side is gone."""
    where = f"{address.host}:{address.port}"
    try:
        sock = socket.create_connection((address.host, address.port), timeout=timeout)
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
            f"{address.host}: there is no such host", hint="check `host`, and that this machine can look names up"
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
    except (paramiko.SSHException, OSError, EOFError) as error:
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
    """The order of algorithms: fast ones first, and the host key's type that is known."""
    # AES-GCM needs no MAC beside it, and processors have instructions for it.
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: not name.startswith("aes128-gcm")))
    # A finite-field exchange of 4096 bits costs 18 times as much as an elliptic curve.
    security.kex = tuple(sorted(security.kex, key=lambda name: (name.startswith("diffie-"), "group16" in name)))
    security.key_types = tuple(host_keys.sort_types(security.key_types))


def hang_up(transport: paramiko.Transport) -> None:
    """Close a connection, whatever its state, and wait until its thread has ended."""
    transport.close()
    # A transport that failed is not active any more, and its close() leaves the socket open.
    transport.sock.close()
    if transport.ident is not None:
        transport.join(5)
