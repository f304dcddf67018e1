"""An SSH server in this process: no program, no root, a free port, and gone without a trace."""

from __future__ import annotations

import hmac
import logging
import os
import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from pushkit.testing.embedded_command import RunningCommand
from pushkit.testing.embedded_files import FileProtocol, Files
from pushkit.testing.keypair import KeyPair, known_host

LOG = "pushkit.testing.ssh"
# A client that hangs up is no news, and must not reach stderr where nobody has set up logging.
logging.getLogger(LOG).addHandler(logging.NullHandler())


class EmbeddedSsh:
    """An SSH and SFTP server on the loopback interface, with the files of this machine, from `start` to `stop`.

    Whoever logs in is ``user``, with the key in the file ``key`` or, where one is given, with the password
    ``password``; acts as the user of this process; and is at home in ``directory``, which exists. Commands are
    run by ``/bin/sh -c``. There are no terminals and no forwarding.

    ``known_hosts`` is a file that knows the server's host key, ``host_key`` the key itself as
    ``ssh-ed25519 AAAA...``. What goes on is logged to the logger ``pushkit.testing.ssh``.
    """

    def __init__(self, directory: Path, *, password: str = "") -> None:
        self.directory = directory.resolve()
        self.host = "127.0.0.1"
        self.port = 0
        self.user = "pushkit"
        self.password = password
        self._state = Path(tempfile.mkdtemp(prefix="pushkit-ssh-"))
        keys = KeyPair.generate(self._state / "client_key")
        host_keys = KeyPair.generate(self._state / "host_key")
        self.key = keys.path
        self.public_key = keys.public
        self.host_key = host_keys.public
        self.known_hosts = self._state / "known_hosts"
        self._own_key = paramiko.Ed25519Key.from_private_key_file(str(host_keys.path))
        self._sessions: set[Session] = set()
        self._stopping = False
        self._listener: socket.socket | None = None
        self._accepting = threading.Thread(target=self._accept, name="embedded-ssh", daemon=True)

    def start(self) -> None:
        """Listen on a free port. A server is started once."""
        self._listener = socket.create_server((self.host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.known_hosts.write_text(known_host(self.host, self.port, self.host_key))
        self._accepting.start()

    def stop(self) -> None:
        """End every session with the commands that it runs, and forget the keys."""
        if self._listener and not self._stopping:
            self._stopping = True
            # A connection of our own ends the wait for one; closing the socket would not, everywhere.
            with suppress(OSError):
                socket.create_connection((self.host, self.port), timeout=5).close()
            self._accepting.join()
            self._listener.close()
        for session in list(self._sessions):
            session.stop()
        shutil.rmtree(self._state, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            connection, _ = self._listener.accept()
            if self._stopping:
                connection.close()
                return
            # Two peers that answer each other in small packets would wait for Nagle's algorithm.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sessions = {session for session in self._sessions if session.active}
            session = Session(self, connection)
            self._sessions.add(session)
            session.start(self._own_key)


class Session(paramiko.ServerInterface):
    """One connection: who is let in, and what is done on its channels."""

    def __init__(self, server: EmbeddedSsh, connection: socket.socket) -> None:
        self._server = server
        self._transport = paramiko.Transport(connection)
        self._transport.set_log_channel(LOG)
        self._transport.set_subsystem_handler("sftp", FileProtocol, Files, server.directory)
        self._commands: list[RunningCommand] = []
        # paramiko has room for one answer to a global request on a connection.
        self._round_trip = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether the connection is up, or a command goes on without it."""
        return self._transport.is_active() or any(command.is_alive() for command in self._commands)

    def start(self, host_key: paramiko.PKey) -> None:
        """Talk to the client, in a thread of its own."""
        self._transport.add_server_key(host_key)
        # With an event, this returns at once; a client that goes away is the transport's affair.
        self._transport.start_server(event=threading.Event(), server=self)

    def stop(self) -> None:
        """End the commands and close the connection."""
        for command in self._commands:
            command.kill()
        self._transport.close()
        self._transport.join(5)
        for command in self._commands:
            command.join(5)

    def get_allowed_auths(self, username: str) -> str:
        """A key; a password where there is one."""
        return "publickey,password" if self._server.password else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """The one key of the one user."""
        good = username == self._server.user and f"{key.get_name()} {key.get_base64()}" == self._server.public_key
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        """The one password of the one user, if there is one."""
        given = f"{username}\0{password}".encode()
        good = hmac.compare_digest(given, f"{self._server.user}\0{self._server.password}".encode())
        return AUTH_SUCCESSFUL if good and self._server.password else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Sessions only."""
        if kind == "session":
            return OPEN_SUCCEEDED
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        """Run a command."""
        try:
            running = RunningCommand(
                channel, command, self._server.directory, self._environment(), self._wait_for_client
            )
        except OSError:
            return False
        self._commands = [each for each in self._commands if each.is_alive()] + [running]
        running.start()
        return True

    def _environment(self) -> dict[str, str]:
        """What a command finds in its environment: that of a login, nothing of this process but the path."""
        server = self._server
        client, client_port = self._transport.getpeername()[:2]
        return {
            "HOME": str(server.directory),
            "LOGNAME": server.user,
            "PATH": os.environ.get("PATH", os.defpath),
            "SHELL": "/bin/sh",
            "SSH_CONNECTION": f"{client} {client_port} {server.host} {server.port}",
            "USER": server.user,
        }

    def _wait_for_client(self) -> None:
        """Return when the client has received every answer that was due before this call was made.

        paramiko answers a request when its handler has returned. What a handler starts must not be faster: an
        exit status ahead of the answer ends the channel for most clients. The client's reply to this global
        request (RFC 4254, section 4: refused is a reply too) is read by the thread that sends the answers.
        """
        with self._round_trip, suppress(OSError, EOFError, paramiko.SSHException):
            self._transport.global_request("keepalive@openssh.com")
