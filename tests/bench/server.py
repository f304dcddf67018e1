"""`Login`: a server as a client reaches it, at a port that may be a relay's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pushkit.testing import Sshd, known_host

#: What paramiko takes first, for OpenSSH: the same work on both sides.
MATCHED = ("KexAlgorithms=curve25519-sha256", "Ciphers=aes128-gcm@openssh.com")


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in where."""

    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path

    @classmethod
    def at(cls, directory: Path, server: Sshd, port: int) -> Login:
        """The login of ``server`` through ``port`` of this machine. What is known of its key lies in ``directory``."""
        known = directory / f"known-{port}"
        known.write_text(known_host(server.host, port, server.host_key))
        return cls(server.host, port, server.user, server.key, known)

    def options(self, *, matched: bool = False) -> tuple[str, ...]:
        """The options of the programs of OpenSSH, without those of the address: nobody's own configuration counts."""
        said = ["IdentityAgent=none", f"UserKnownHostsFile={self.known_hosts}", *(MATCHED if matched else ())]
        return ("-F", "none", "-i", str(self.key), *(word for each in said for word in ("-o", each)))
