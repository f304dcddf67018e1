"""A machine with a network of its own, of which it can be cut off: a network namespace with an SSH server in it."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pushkit.testing import Account, Sshd
from pushkit.testing.processes import find_program


def ip(*arguments: str) -> None:
    """Run ip(8)."""
    program = find_program("ip")
    assert program, "not installed: .ci/machine servers"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def can_make_networks() -> bool:
    """Whether this process may make network namespaces."""
    program = find_program("ip")
    if os.geteuid() != 0 or program is None:
        return False
    name = f"try-{secrets.token_hex(4)}"
    made = subprocess.run([program, "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        ip("netns", "delete", name)
    return made


class Network:
    """The addresses of some machines: each has two, one at either end of its cable."""

    def __init__(self) -> None:
        self._net = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"

    def machine(self, directory: Path, account: Account, number: int) -> Machine:
        """The machine of that number, from 1 on."""
        return Machine(directory, account, f"{self._net}.{number * 4 + 1}", f"{self._net}.{number * 4 + 2}")


class Machine(Sshd):
    """A server behind a cable, whose one end is ``near`` and whose other end is the address of the machine."""

    def __init__(self, directory: Path, account: Account, near: str, host: str) -> None:
        super().__init__(directory, account, host=host)
        self._near = near
        self.port = 22
        self._space = ""
        self._cut = self._pulled = False

    def start(self) -> None:
        """Plug it in, and start the server."""
        if not self._space:
            name = f"m{secrets.token_hex(4)}"
            ip("netns", "add", name)
            self._space = name
            ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
            ip("address", "add", f"{self._near}/30", "dev", f"{name}a")
            ip("-n", name, "address", "add", f"{self.host}/30", "dev", f"{name}b")
            ip("link", "set", f"{name}a", "up")
            for end in ("lo", f"{name}b"):
                ip("-n", name, "link", "set", end, "up")
        self.mend()
        super().start()

    def cut(self) -> None:
        """Nothing comes from it any more, and nobody is told."""
        ip("-n", self._space, "route", "add", "blackhole", f"{self._near}/32")
        self._cut = True

    def pull(self) -> None:
        """There is no way to it, which is known here."""
        ip("route", "add", "unreachable", f"{self.host}/32")
        self._pulled = True

    def mend(self) -> None:
        """It can be reached."""
        if self._cut:
            ip("-n", self._space, "route", "delete", "blackhole", f"{self._near}/32")
            self._cut = False
        if self._pulled:
            ip("route", "delete", "unreachable", f"{self.host}/32")
            self._pulled = False

    def remove(self) -> None:
        """End it, and its network."""
        self.stop()
        if self._space:
            ip("netns", "delete", self._space)

    def _command(self, program: str) -> Sequence[str]:
        return ["ip", "netns", "exec", self._space, *super()._command(program)]
