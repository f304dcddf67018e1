"""What a server answers first in the handshake of TLS 1.3: which group of keys it wants (RFC 8446, 4.1.3, 4.1.4)."""

from __future__ import annotations

import socket
import ssl

from pushkit_ftp.steps import Steps, Wait, doing

#: The random number of a HelloRetryRequest, by which it is told from a ServerHello.
RETRY = bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")
#: Numbers of groups (RFC 8446, 4.2.7), and what OpenSSL calls them.
GROUPS = {23: "prime256v1", 24: "secp384r1", 25: "secp521r1", 29: "X25519", 30: "X448"}
#: The numbers of a handshake's record, of a ServerHello, and of the extension that has a key.
HANDSHAKE, SERVER_HELLO, KEY_SHARE = 22, 2, 51
#: As much as the answer may have, in bytes.
ANSWER = 512


def shake_hands(sock: ssl.SSLSocket, timeout: float) -> Steps[str]:
    """Carry out the handshake of ``sock``; the group that the server wants, empty where the first one was good.

    Each handshake that begins with another one takes a round trip more, and twice the work. Raises `OSError`.
    """
    try:
        sock.do_handshake()
    except ssl.SSLWantReadError:
        yield Wait(sock, timeout)
        # Looked at and left there: an SSLSocket itself refuses to.
        wanted = wanted_group(socket.socket.recv(sock, ANSWER, socket.MSG_PEEK))
        yield from doing(sock.do_handshake, sock, timeout)
        return wanted
    return ""


def wanted_group(answer: bytes) -> str:
    """The group that a HelloRetryRequest asks for; empty for all else, and for a group that nobody here knows."""
    # Record: type, version, length; message: type, length, version, random, session, cipher, compression, extensions.
    if len(answer) < 44 or answer[0] != HANDSHAKE or answer[5] != SERVER_HELLO or answer[11:43] != RETRY:
        return ""
    at = 44 + answer[43] + 3
    end = at + 2 + int.from_bytes(answer[at : at + 2])
    at += 2
    while at + 4 <= min(end, len(answer)):
        kind, size = int.from_bytes(answer[at : at + 2]), int.from_bytes(answer[at + 2 : at + 4])
        if kind == KEY_SHARE and size == 2:
            return GROUPS.get(int.from_bytes(answer[at + 4 : at + 6]), "")
        at += 4 + size
    return ""
