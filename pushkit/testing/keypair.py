"""An ed25519 key pair in OpenSSH's file formats, made without any program."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from msgspec import Struct


class KeyPair(Struct, frozen=True):
    """A private key in the file ``path`` (mode 0600) and its public half as the text ``ssh-ed25519 AAAA...``."""

    path: Path
    public: str

    @classmethod
    def generate(cls, path: Path) -> KeyPair:
        """Make a new key at ``path``, which must not exist."""
        key = Ed25519PrivateKey.generate()
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        return cls(path, public.decode())


def known_host(host: str, port: int, public: str) -> str:
    """The line of a known_hosts file that knows ``public`` as the key of ``host`` (sshd(8), SSH_KNOWN_HOSTS)."""
    name = host if port == 22 else f"[{host}]:{port}"
    return f"{name} {public}\n"
