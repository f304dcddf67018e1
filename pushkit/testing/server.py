"""What every server of the tests has: where it listens, who may log in, and a directory to push to."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from msgspec import Struct

from pushkit.errors import TargetError
from pushkit.testing.account import Account
from pushkit.testing.keypair import KeyPair, known_host
from pushkit.testing.processes import end_tree, find_program


class ServerDirectory(Struct, frozen=True):
    """A directory of a server: ``path`` is its name for those who log in, ``local`` the same one on this machine."""

    path: str
    local: Path


class Server(ABC):
    """A real server in a process of its own, on the loopback interface, from `start` to `stop`.

    ``directory`` takes its configuration, keys and log, and must be there. ``account`` is who may log in; without one,
    the user of this process. ``account`` is not removed by `stop`; who made it does that, after `stop`.
    """

    program = ""

    def __init__(self, directory: Path, account: Account | None = None, *, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self.user = account.user if account else own_name()
        self.password = account.password if account else ""
        self._directory = directory
        self._account = account
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.files = account.files if account else directory / "files"
        self.files.mkdir(exist_ok=True)

    @classmethod
    def installed(cls) -> bool:
        """Whether this machine has the server's program."""
        return find_program(cls.program) is not None

    @abstractmethod
    def _configure(self) -> None:
        """Write what the server needs to run but its port. Called before each start."""

    @abstractmethod
    def _command(self, program: str) -> Sequence[str]:
        """The command that runs the server on ``host`` and ``port`` without leaving the foreground."""

    def start(self) -> None:
        """Start the server; return when it answers. Raises `TargetError` with its log when it does not."""
        program = find_program(self.program)
        if program is None:
            raise TargetError(f"{self.program} is not installed")
        self._configure()
        for attempt in range(5):
            # Between the choice of a free port and its use, somebody else may take it; the next start takes the same.
            if attempt or not self.port:
                self.port = free_port(self.host)
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(program), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            if answers(self.host, self.port, self._process):
                return
            self.stop()
        raise TargetError(f"{self.program} did not start on {self.host}: {self.log.strip()}")

    def stop(self) -> None:
        """End the server and every session on it."""
        if self._process:
            end_tree(self._process)
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor ended since."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the server has logged up to now."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @contextmanager
    def new_directory(self) -> Iterator[ServerDirectory]:
        """A fresh, empty directory that the user of the server may write to, removed in the end."""
        local = self.files / f"target-{secrets.token_hex(4)}"
        local.mkdir()
        if self._account:
            self._account.own(local)
        try:
            yield ServerDirectory(self.path_of(local), local)
        finally:
            shutil.rmtree(local, ignore_errors=True)

    def path_of(self, local: Path) -> str:
        """What those who log in call the file ``local`` of this machine."""
        return str(local)


class SshServer(Server):
    """A real SSH server, which lets its user in with the key in the file ``key`` or the password ``password``.

    Without an account, with the key only. ``known_hosts`` is a file that knows the server's host key, ``host_key`` the
    key itself as ``ssh-ed25519 AAAA...``.
    """

    def __init__(self, directory: Path, account: Account | None = None, *, host: str = "127.0.0.1") -> None:
        super().__init__(directory, account, host=host)
        self.known_hosts = directory / "known_hosts"
        keys = KeyPair.generate(directory / "client_key")
        self.key = keys.path
        self.public_key = keys.public
        self.host_key = ""
        if account:
            account.authorize(keys.public)

    @abstractmethod
    def _prepare(self) -> str:
        """Write what the server needs to run but its port; return its public host key."""

    def _configure(self) -> None:
        if not self.host_key:
            self.host_key = self._prepare()

    def start(self) -> None:
        """Start the server, and write down its host key."""
        super().start()
        self.known_hosts.write_text(known_host(self.host, self.port, self.host_key))


def own_name() -> str:
    """The name of the user of this process."""
    return pwd.getpwuid(os.geteuid()).pw_name


def free_port(host: str) -> int:
    """A TCP port that nothing listens on at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port: int = listener.getsockname()[1]
    return port


def answers(host: str, port: int, process: subprocess.Popen[bytes], within: float = 20) -> bool:
    """Wait until ``process`` accepts connections. False when it ended, or ``within`` seconds are over."""
    end = time.monotonic() + within
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection((host, port), timeout=within):
            return process.poll() is None
        time.sleep(0.02)
    return False
