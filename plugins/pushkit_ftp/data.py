"""Data connections: how they come about, and what goes over them, none of which makes anybody wait."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Any

from pushkit_ftp.replies import Reply
from pushkit_ftp.steps import Steps, Wait, doing

#: The most that is taken at once, and from where on a piece is large, in bytes.
PIECE = 256 * 1024
EPSV = re.compile(r"\((.)\1\1(\d{1,5})\1\)")
PASV = re.compile(r"(?:\d{1,3},){4}(\d{1,3}),(\d{1,3})")


def connecting(address: tuple[Any, ...], family: socket.AddressFamily, timeout: float) -> Steps[socket.socket]:
    """A connection to an address in numbers, which nobody has to be asked for."""
    sock = socket.socket(family)
    try:
        sock.settimeout(0)
        # What TLS says in several small pieces is not to wait until the other side has acknowledged the first.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failure = sock.connect_ex(address)
        if failure == errno.EINPROGRESS:
            wait = Wait(sock, timeout, writing=True)
            # A server near by has answered before it can be asked whether it has.
            if not wait._replace(seconds=0).over:
                yield wait
            failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))
    except BaseException:
        sock.close()
        raise
    return sock


def sending(sock: socket.socket, piece: bytes, timeout: float) -> Steps[None]:
    """Send ``piece``, as fast as the other side takes it. One that is large has a thread of its own, which waits."""
    if len(piece) >= PIECE:
        sock.settimeout(timeout)
        sock.sendall(piece)
        sock.settimeout(0)
        return
    left = memoryview(piece)
    while left:
        left = left[(yield from doing(partial(sock.send, left), sock, timeout, writing=True)) :]


def port_of(reply: Reply) -> int:
    """The port in the answer to EPSV or PASV, 0 when there is none."""
    port = 0
    if reply.code == 229 and (found := EPSV.search(reply.text)):
        port = int(found[2])
    if reply.code == 227 and (found := PASV.search(reply.text)):
        port = int(found[1]) * 256 + int(found[2])
    return port if port <= 65535 else 0


def receiving(sock: socket.socket, limit: int, timeout: float) -> Steps[bytes]:
    """What comes until the other side ends it, or until there are ``limit`` bytes."""
    pieces: list[bytes] = []
    while limit > 0 and (piece := (yield from doing(partial(sock.recv, min(PIECE, limit)), sock, timeout))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def finishing(sock: socket.socket, timeout: float) -> Steps[None]:
    """Say that this is all, in TLS too; what the other side says to that is not waited for."""
    if isinstance(sock, ssl.SSLSocket):
        while True:
            try:
                sock.unwrap()
            except ssl.SSLWantWriteError:
                yield Wait(sock, timeout, writing=True)
                continue
            except (OSError, ValueError):
                pass  # it was said; the answer is still to come
            break
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
